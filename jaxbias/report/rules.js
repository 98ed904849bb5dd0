// Verdicts as functions of bounds, epsilon and delta: jaxbias/analysis/rules.py, function by
// function. A bound is [low, high]; what is unknown is NaN, of which no comparison is true.
"use strict";

const UNDECIDED = "undecided";

const within = ([low, high], bound) => -bound < low && high < bound;
const outside = ([low, high], bound) => low > bound || high < -bound;

function inherited(compared, sure, epsilon) {
  let above = compared.every((row) => row.family[0] > 0);
  let below = compared.every((row) => row.family[1] < 0);
  let close = compared.every((row) => row.no[1] < epsilon);
  if (!sure) {
    close &&= compared.every((row) => row.no[0] > -epsilon);
    above ||= below;
    below = false;
  }
  if (above) return close ? "practically none" : "yes";
  if (below) return "reversed";
  return close ? "no" : UNDECIDED;
}

function overwritten(gap, epsilon) {
  if (within(gap, epsilon)) return "no gap";
  return outside(gap, epsilon) ? "gap" : UNDECIDED;
}

const closed = (bounds, epsilon, delta) =>
  bounds.gaps.every((gap) => within(gap, epsilon)) && bounds.auc_change[0] >= -delta;
const ruledOut = (bounds, epsilon, delta) =>
  bounds.gaps.some((gap) => outside(gap, epsilon)) || bounds.auc_change[1] < -delta;

function decide(known, epsilon, delta) {
  if (known.reason) return decision(UNDECIDED, known.nearest, [], known.reason);
  if (within(known.natural_inside, epsilon)) return decision("nothing to fix", "");
  if (!outside(known.natural, 0)) return decision("no gap shown", "");
  const found = decideTried(known, epsilon, delta);
  if (known.waiting && (found.verdict === "confirmed" || found.verdict === "none")) {
    return { ...found, verdict: UNDECIDED, reason: known.waiting };
  }
  return found;
}

function decision(verdict, curation, tested = [], reason = "") {
  return { verdict, curation, tested, reason };
}

function decideTried(known, epsilon, delta) {
  const natural = known.natural_on_validation;
  const margins = new Map(
    known.tried.map((one) => [one.name, margin(one.validation, natural, epsilon, delta)]),
  );
  const plan = sequences(margins, known.axes, known.cheapest);
  const { tested, held } = walk(known, plan, epsilon, delta);
  if (held.length) {
    const costs = new Map(known.tried.map((one) => [one.name, one.cost]));
    return decision("confirmed", largest(held, (name) => -costs.get(name)), tested);
  }
  const out = known.tried.filter((one) => ruledOut(one.alone[0], epsilon, delta));
  if (out.length && out.length >= known.family) return decision("none", known.nearest, tested);
  const closest = plan.length
    ? largest([...margins.keys()], (name) => margins.get(name))
    : known.nearest;
  return decision(UNDECIDED, closest, tested);
}

function margin(validation, natural, epsilon, delta) {
  const gaps = validation.slice(0, -1);
  const [change, error] = validation.at(-1);
  const room = gaps.map(([gap, each]) => [epsilon - Math.abs(gap), each]);
  room.push([change + delta, error]);
  if (Math.abs(gaps[0][0]) > Math.abs(natural)) return -Infinity;
  if (!room.every(([left]) => Number.isFinite(left))) return -Infinity;
  const parts = room.map(([left, each]) =>
    each > 0 ? left / each : left >= 0 ? Infinity : -Infinity,
  );
  return Math.min(...parts);
}

function sequences(margins, axes, cheapest) {
  const found = [];
  for (const [i, axis] of axes.entries()) {
    const known = axis.filter((name) => margins.get(name) > 0);
    if (!known.length) continue;
    const start = axis.indexOf(largest(known, (name) => margins.get(name)));
    const last = cheapest[i];
    found.push(
      last > start ? axis.slice(start, last + 1) : axis.slice(last, start + 1).reverse(),
    );
  }
  return found;
}

function walk(known, plan, epsilon, delta) {
  const usable = new Map(known.tried.map((one) => [one.name, one]));
  const tested = [];
  const held = [];
  const going = [];
  const test = (name, bounds) => {
    const smaller = Math.abs(usable.get(name).gap) <= Math.abs(known.natural_gap);
    const holds = smaller && closed(bounds, epsilon, delta);
    tested.push([name, holds]);
    if (holds) held.push(name);
    return holds;
  };
  for (const [first, ...rest] of plan) {
    if (test(first, usable.get(first).chosen[plan.length - 1]) && rest.length) going.push(rest);
  }
  for (const names of going) {
    for (const name of names) {
      if (!usable.has(name)) {
        tested.push([name, false]);
        break;
      }
      if (!test(name, usable.get(name).alone[going.length - 1])) break;
    }
  }
  return { tested, held };
}

// The first of those whose value is largest.
function largest(names, value) {
  return names.reduce((best, name) => (value(name) > value(best) ? name : best));
}
