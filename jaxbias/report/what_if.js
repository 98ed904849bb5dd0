// What would change the answer: every verdict by other values of epsilon and delta, and a mark on
// those that differ from the study's.
"use strict";

{
  const known = embedded("what-if-data");
  const NAMES = { epsilon: "ε", delta: "δ" };
  const KINDS = {
    inherited: "on inheritance",
    fix: "on the smallest fix",
    overwritten: "on curations",
  };
  const form = document.getElementById("what-if-form");
  const said = document.getElementById("what-if-said");
  const inputs = Object.keys(NAMES).map((name) => ({
    name,
    number: document.getElementById(`what-if-${name}`),
    slider: document.getElementById(`what-if-${name}-slider`),
  }));

  // Where each verdict is shown. A wide page has thousands, and looking for one passes them all.
  const badges = new Map();
  for (const badge of document.querySelectorAll("[data-verdict]")) {
    const name = badge.dataset.verdict;
    if (!badges.has(name)) badges.set(name, []);
    badges.get(name).push(badge);
  }

  // Every verdict: its kind, question and place, what it is about, and what it says.
  function verdicts(epsilon, delta) {
    const found = [];
    for (const { question, place, about, ...one } of known.inherited) {
      const says = one.reason ? UNDECIDED : inherited(one.compared, one.sure, epsilon);
      found.push({ kind: "inherited", question, place, about, says });
    }
    for (const { question, place, ...one } of known.fix) {
      const says = fixWords(decide(one, epsilon, delta));
      found.push({ kind: "fix", question, place, about: "smallest fix", says });
    }
    for (const { question, studied, curations } of known.overwritten) {
      for (const [place, about, gap] of curations) {
        const says = overwritten(gap, epsilon);
        found.push({ kind: "overwritten", question, place, about, says, aside: !studied });
      }
    }
    return found;
  }

  function fixWords({ verdict, curation }) {
    if (verdict === "confirmed") return `${curation}, confirmed on test`;
    return verdict === "none" ? "none of those tried" : verdict;
  }

  const own = verdicts(known.epsilon, known.delta);

  function show() {
    const values = {};
    for (const { name, number } of inputs) {
      values[name] = number.valueAsNumber;
      if (!(values[name] >= 0 && values[name] <= 1)) {
        said.textContent = `${NAMES[name]} is a number from 0 to 1.`;
        return;
      }
    }
    const changed = verdicts(values.epsilon, values.delta)
      .map((one, i) => ({ ...one, condition: condition(values, one.kind), was: own[i].says }))
      .filter((one) => one.says !== one.was);
    mark(changed);
    list(changed);
    const same = values.epsilon === known.epsilon && values.delta === known.delta;
    said.textContent = same ? "These are the study’s own values." : counted(changed);
  }

  // "with ε = 0.08": which values differ, of those that a kind of verdict depends on.
  function condition(values, kind) {
    const differ = Object.keys(NAMES).filter(
      (name) => values[name] !== known[name] && (name === "epsilon" || kind === "fix"),
    );
    return `with ${differ.map((name) => `${NAMES[name]} = ${values[name]}`).join(", ")}`;
  }

  function counted(changed) {
    const parts = Object.entries(KINDS).map(([kind, words]) => {
      const [all, differ] = [own, changed].map((f) => f.filter((one) => one.kind === kind).length);
      return all ? `${differ} of ${all} ${words}` : "";
    });
    return `Verdicts that would differ: ${parts.filter(Boolean).join(", ")}.`;
  }

  // Beside every verdict that would differ, what it would be.
  function mark(changed) {
    document.querySelectorAll("[data-hypothetical]").forEach((old) => old.remove());
    for (const { kind, place, about, says, condition } of changed) {
      const words = kind === "overwritten" ? says : `${about}: ${says}`;
      for (const badge of badges.get(`${kind} ${place}`) ?? []) {
        badge.after(hypothetical(`${condition}: ${words}`));
      }
    }
  }

  function hypothetical(text) {
    const note = document.createElement("span");
    note.className = "badge hypothetical";
    note.dataset.hypothetical = "";
    note.textContent = text;
    return note;
  }

  // Those that would differ, question by question; of controls and scratch they are only marked.
  function list(changed) {
    const items = new Map();
    for (const one of changed.filter(({ aside }) => !aside)) {
      if (!items.has(one.question)) {
        const name = document.createElement("strong");
        name.textContent = one.question;
        items.set(one.question, document.createElement("li")).get(one.question).append(name);
      }
      const line = document.createElement("span");
      line.className = "change";
      const note = hypothetical(`${one.condition}: ${one.about}: ${one.says}`);
      line.append(note, ` instead of ${one.was}`);
      items.get(one.question).append(line);
    }
    document.getElementById("what-if-changes").replaceChildren(...items.values());
  }

  for (const { number, slider } of inputs) {
    slider.addEventListener("input", () => { number.value = slider.value; show(); });
    number.addEventListener("input", () => { slider.value = number.value; show(); });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show)); // Once the values are back.
  form.hidden = false;
  show();
}
