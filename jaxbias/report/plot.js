// A chart as SVG: axes, a band of no matter, and points with intervals, joined along their course.
"use strict";

const INK = "#222222";
const PALE = "#ebebeb";
const MARGIN = { left: 58, right: 12, top: 10, bottom: 46 };

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Round numbers between two, about `count` of them.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step / 1e6; i++) found.push(i * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((at) => [at, at.toFixed(digits).replace("-", "−")]);
}

// Where an axis begins and ends: what is drawn, with a little room.
function range(values) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = Math.max(0.05 * (high - low), 0.005);
  return [low - room, high + room];
}

// Whether texts under an axis would touch, at so many pixels a unit.
function crowded(ticks, unit) {
  const half = (words) => 3.8 * words.length;
  return ticks.some(([at, words], i) =>
    i > 0 && (at - ticks[i - 1][0]) * unit < half(words) + half(ticks[i - 1][1]) + 4);
}

// Corners of a regular shape around a point; a star's have others between them.
function corners(count, turn, inner = 0) {
  const all = inner ? 2 * count : count;
  return Array.from({ length: all }, (_, i) => {
    const angle = turn + (2 * Math.PI * i) / all;
    const reach = inner && i % 2 ? inner : 1;
    return [reach * Math.sin(angle), -reach * Math.cos(angle)];
  });
}

const SHAPES = {
  s: corners(4, Math.PI / 4),
  D: corners(4, 0),
  "^": corners(3, 0),
  v: corners(3, Math.PI),
  "<": corners(3, -Math.PI / 2),
  p: corners(5, 0),
  h: corners(6, 0),
  P: corners(4, 0, 0.4),
  X: corners(4, Math.PI / 4, 0.4),
  "*": corners(5, 0, 0.45),
};

function mark(marker, x, y, look, { size = 5, title = "" } = {}) {
  const says = svg("title", {}, title);
  if (!SHAPES[marker]) return svg("circle", { cx: x, cy: y, r: size - 0.5, ...look }, says);
  const points = SHAPES[marker].map(([dx, dy]) => `${x + dx * size},${y + dy * size}`).join(" ");
  return svg("polygon", { points, ...look }, says);
}

// Draws a chart into a box, as wide as the box.
//   x, y: label, values (what must fit), band (half of its width around zero, if there is one); x
//     may have ticks, [place, text] each.
//   series: colour, marker, hollow, dashed, points; a point has x, y, a title, the intervals xs and
//     ys and, thinner, all, and the name of the course that it is joined to, if to any.
function chart(box, { label, height, x, y, series }) {
  const width = Math.max(box.clientWidth, 240);
  const [xs, ys] = [range(x.values), range(y.values)];
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const slanted = x.ticks && crowded(x.ticks, (right - left) / (xs[1] - xs[0]));
  const [top, base] = [MARGIN.top, height - MARGIN.bottom - (slanted ? 34 : 0)];
  const across = (at) => left + ((at - xs[0]) / (xs[1] - xs[0])) * (right - left);
  const up = (at) => base - ((at - ys[0]) / (ys[1] - ys[0])) * (base - top);
  const inside = (at, [low, high]) => Math.min(Math.max(at, low), high);
  const root = svg("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label,
  });
  const line = (x1, y1, x2, y2, stroke = INK) =>
    root.append(svg("line", { x1, y1, x2, y2, stroke, "stroke-width": 0.8 }));
  const shade = (x, y, width, height) =>
    root.append(svg("rect", { x, y, width, height, fill: PALE, class: "band" }));
  const text = (at, down, words, look) =>
    root.append(svg("text", { x: at, y: down, "font-size": 12, fill: INK, ...look }, words));

  if (x.band) {
    const [from, to] = [-x.band, x.band].map((at) => across(inside(at, xs)));
    shade(from, top, to - from, base - top);
  }
  if (y.band) {
    const [to, from] = [-y.band, y.band].map((at) => up(inside(at, ys)));
    shade(left, from, right - left, to - from);
  }
  for (const [at, words] of ticks(...ys, 8)) {
    line(left, up(at), right, up(at), at || !y.band ? PALE : INK);
    text(left - 6, up(at) + 4, words, { "text-anchor": "end" });
  }
  for (const [at, words] of x.ticks ?? ticks(...xs, width / 90)) {
    if (!x.ticks) line(across(at), top, across(at), base, at || !x.band ? PALE : INK);
    line(across(at), base, across(at), base + 4);
    const turn = `rotate(-35 ${across(at)} ${base + 16})`;
    text(across(at), base + 17, words, slanted
      ? { "text-anchor": "end", transform: turn }
      : { "text-anchor": "middle" });
  }
  line(left, base, right, base);
  line(left, top, left, base);
  text((left + right) / 2, height - 6, x.label, { "text-anchor": "middle" });
  text(0, 0, y.label, {
    "text-anchor": "middle", transform: `translate(13 ${(top + base) / 2}) rotate(-90)`,
  });
  for (const one of series) draw(root, one, across, up);
  box.replaceChildren(root);
}

function draw(root, { colour, marker, hollow, dashed, points }, across, up) {
  const known = points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  const courses = new Map();
  for (const point of known) {
    courses.set(point.joined, [...(courses.get(point.joined) ?? []), point]);
  }
  for (const [course, along] of courses) {
    if (course === undefined || along.length < 2) continue;
    const path = along.map((point) => `${across(point.x)},${up(point.y)}`).join(" ");
    const look = { stroke: colour, "stroke-width": 1.4 };
    if (dashed) look["stroke-dasharray"] = "5 3";
    root.append(svg("polyline", { points: path, fill: "none", ...look }));
  }
  const bar = (x1, y1, x2, y2, width) => {
    if (![x1, y1, x2, y2].every(Number.isFinite)) return;
    const look = { stroke: colour, "stroke-width": width, opacity: 0.8 };
    root.append(svg("line", { x1, y1, x2, y2, ...look }));
  };
  for (const point of known) {
    const [x, y] = [across(point.x), up(point.y)];
    if (point.all) bar(x, up(point.all[0]), x, up(point.all[1]), 0.8);
    if (point.ys) bar(x, up(point.ys[0]), x, up(point.ys[1]), 1.8);
    if (point.xs) bar(across(point.xs[0]), y, across(point.xs[1]), y, 1.2);
    const open = hollow || point.marked;
    const stroke = point.marked ? INK : colour;
    const look = { fill: open ? "white" : colour, stroke, "stroke-width": 1.4 };
    root.append(mark(point.marker ?? marker, x, y, look, point));
  }
}
