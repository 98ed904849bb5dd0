// Look closer: the reader's choice of target, size, population, metric, group, bases and curations
// as three charts and a table, from the numbers inside the page.
"use strict";

{
  const known = embedded("panel-data");
  const charts = new PanelCharts(known);
  const form = document.getElementById("panel-form");
  const box = (name) => document.getElementById(`panel-${name}`);
  const spoken = (name) => name.replaceAll("_", " ");
  const select = {};
  for (const each of form.querySelectorAll("select")) select[each.name] = each;

  // Fills a select; what was chosen stays chosen where it can.
  function offer(name, values, words = (value) => value) {
    const before = select[name].value;
    select[name].replaceChildren(...values.map((value) => new Option(words(value), value)));
    if (values.map(String).includes(before)) select[name].value = before;
    select[name].closest("label").hidden = values.length < 2;
  }

  // A box to tick for each; a mark may stand before its name.
  function boxes(name, values, before = () => "") {
    const labels = values.map((value, i) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "checkbox", checked: true, value: i });
      const label = document.createElement("label");
      label.append(input, before(value), ` ${spoken(value.name)}`);
      return label;
    });
    box(name).append(...labels);
  }

  function ticked(name) {
    const inputs = [...box(name).querySelectorAll("input:checked")];
    return new Set(inputs.map((input) => Number(input.value)));
  }

  function swatch({ marker, colour }) {
    const look = { fill: colour, stroke: colour };
    return svg("svg", { width: 14, height: 14, "aria-hidden": true }, mark(marker, 7, 7, look));
  }

  const groupsOf = (metric) =>
    known.series.filter(([name]) => name === metric).map(([, group]) => group);

  // Offers what there is of the target and the metric.
  function update() {
    const mine = known.arms.filter((arm) => arm.task === Number(select.task.value));
    const sizes = [...new Set(mine.map((arm) => arm.n))].sort((a, b) => a - b);
    offer("n", sizes, (n) => n.toLocaleString("en"));
    const populations = [...new Set(mine.map((arm) => arm.population))];
    offer("population", populations, (i) => known.populations[i]);
    offer("group", groupsOf(select.metric.value));
    draw();
  }

  function chosen() {
    const wanted = ["task", "n", "population"].map((name) => [name, Number(select[name].value)]);
    const [bases, curations] = [ticked("bases"), ticked("curations")];
    return known.arms
      .filter((arm) => wanted.every(([name, value]) => arm[name] === value))
      .filter((arm) => bases.has(arm.base) && curations.has(arm.curation))
      .sort((a, b) => a.base - b.base || a.curation - b.curation);
  }

  function draw() {
    const arms = chosen();
    const [metric, group] = [select.metric.value, select.group.value];
    charts.dose(box("dose"), arms, metric, group);
    charts.tradeOff(box("trade-off"), arms, known.metrics[metric].gap ? metric : known.gap);
    rates(arms, metric);
    table(arms, metric, group);
    box("said").textContent = arms.length ? "" : "No model is ticked.";
  }

  // Of a gap, what it is the gap of; of another metric that no group has alone, the first that has.
  function rates(arms, metric) {
    const byGroup = Object.keys(known.metrics).filter((name) => known.metrics[name].groups);
    const asked = [metric, metric.replace(/_gap$/, "")].find((name) => byGroup.includes(name));
    const shown = asked ?? byGroup[0];
    box("rates").closest("figure").hidden = !shown;
    if (!shown) return;
    const groups = groupsOf(shown).filter((group) => group !== "all");
    charts.rates(box("rates"), arms, shown, groups, Number(select.base.value));
    const marks = groups.map((group, i) => `${group} ${["filled", "open"][i % 2]}`);
    box("rates-said").textContent = `${marks.join(", ")}.`;
  }

  function table(arms, metric, group) {
    const { label } = known.metrics[metric];
    const value = `${label}${group === "all" ? "" : `, ${group}`} [${known.confidence}]`;
    const headings = ["Base", "Finetuned on", value, "For all curations"];
    const rows = arms.map((arm) => {
      const one = charts.estimate(arm, metric, group);
      const joint = one.all && Number.isFinite(one.all[0]);
      return [
        known.bases[arm.base].name,
        known.curations[arm.curation].name,
        charts.write(one),
        joint ? `[${one.all.map(signed).join(", ")}]` : "–",
      ];
    });
    box("table").replaceChildren(made("table", { role: "table" }, [
      made("thead", {}, [row(headings.map((words, i) => heading(words, i, "col")))]),
      made("tbody", {}, rows.map((cells) => row(cells.map((words, i) =>
        i ? cell(words, i, headings[i]) : heading(words, i, "row"))))),
    ]));
  }

  function made(name, attributes, children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  const row = (cells) => made("tr", { role: "row" }, cells);
  const number = (i) => (i > 1 ? { class: "number" } : {});
  const heading = (words, i, scope) => {
    const role = scope === "row" ? "rowheader" : "columnheader";
    return made("th", { scope, role, ...number(i) }, [words]);
  };
  const cell = (words, i, of) =>
    made("td", { role: "cell", "data-heading": of, ...number(i) }, breakable(words));

  // Where there is no room, an estimate breaks before its interval.
  function breakable(words) {
    const [value, ends] = words.split(" [");
    return ends ? [value, made("span", { class: "break" }, [" "]), `[${ends}`] : [words];
  }

  offer("task", known.tasks.map((_, i) => i), (i) => spoken(known.tasks[i]));
  offer("base", known.bases.map((_, i) => i), (i) => spoken(known.bases[i].name));
  // What the verdicts are about comes first.
  const names = Object.keys(known.metrics).sort((a, b) => (b === known.gap) - (a === known.gap));
  offer("metric", names, (name) => known.metrics[name].label);
  boxes("bases", known.bases, swatch);
  boxes("curations", known.curations);
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  box("body").hidden = false;
  update();
  addEventListener("resize", draw);
}
