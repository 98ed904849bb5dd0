// What every report does.
"use strict";

// What is folded is printed too.
addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((part) => { part.open = true; });
});

// Data that travel inside the page; unknown numbers are NaN.
const embedded = (id) =>
  JSON.parse(document.getElementById(id).textContent, (_, value) => value ?? NaN);
