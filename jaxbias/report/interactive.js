// Unpacks plotly.js from inside the page (no network) and draws the chosen target.
(async () => {
  const box = document.getElementById("chart");
  const choice = document.getElementById("chart-choice");
  try {
    const packed = atob(document.getElementById("plotly-gzip").textContent);
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  } catch (error) {
    box.textContent = "This browser cannot unpack the chart; the figures above show the same numbers.";
    return;
  }
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const draw = () => {
    const chart = charts[Number(choice.value)];
    const layout = box.clientWidth > 720 ? chart.wide : chart.narrow;
    box.style.height = `${layout.height}px`; // Or a resized window shrinks the chart to a line.
    Plotly.react(box, chart.data, { ...layout }, { responsive: true, displaylogo: false, displayModeBar: false });
  };
  choice.addEventListener("change", draw);
  window.matchMedia("(min-width: 800px)").addEventListener("change", draw);
  draw();
})();
