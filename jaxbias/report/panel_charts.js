// The panel's three charts, as functions of the arms that the reader chose.
"use strict";

const plain = (value) => value.toFixed(3).replace("-", "−");
const signed = (value) => (value > 0 ? "+" : "") + plain(value);

class PanelCharts {
  constructor(known) {
    this.known = known;
  }

  // A metric of an arm: its value, its interval, and the one for all curations together.
  estimate(arm, metric, group) {
    const at = this.known.series.findIndex(([name, of]) => name === metric && of === group);
    const [value, low, high] = at < 0 ? [NaN, NaN, NaN] : arm.numbers.slice(3 * at, 3 * at + 3);
    const all = metric === this.known.gap ? arm.all : undefined;
    const number = this.known.metrics[metric].gap ? signed : plain;
    return { value, ends: [low, high], all, number };
  }

  write({ value, ends, number }) {
    if (!Number.isFinite(value)) return "–";
    return number(value) + (Number.isFinite(ends[0]) ? ` [${ends.map(number).join(", ")}]` : "");
  }

  // Where curations stand from left to right, with room between courses.
  places(arms) {
    const there = new Set(arms.map((arm) => arm.curation));
    const found = new Map();
    let at = 0;
    let before;
    for (const [i, { course }] of this.known.curations.entries()) {
      if (!there.has(i)) continue;
      if (before !== undefined && course !== before) at += 0.6;
      before = course;
      found.set(i, at++);
    }
    return found;
  }

  axis(where) {
    return {
      label: this.known.axis,
      ticks: [...where].map(([i, at]) => [at, this.known.curations[i].tick]),
      values: [...where.values()].flatMap((at) => [at - 0.4, at + 0.4]),
    };
  }

  // The series of every base, of what `point` makes of an arm and its place among the bases.
  series(arms, point) {
    const bases = [...new Set(arms.map((arm) => arm.base))];
    return bases.map((base, place) => {
      const points = arms.filter((arm) => arm.base === base).map((arm) => {
        const { name, course } = this.known.curations[arm.curation];
        const star = name === "natural" ? { marker: "*", size: 8 } : {};
        const { words, ...where } = point(arm, place - (bases.length - 1) / 2);
        const title = `${this.known.bases[base].name}, ${name}: ${words}`;
        return { joined: course || undefined, marked: arm.marked, ...star, ...where, title };
      });
      return { ...this.known.bases[base], points };
    });
  }

  dose(box, arms, metric, group) {
    const where = this.places(arms);
    const series = this.series(arms, (arm, place) => {
      const one = this.estimate(arm, metric, group);
      const x = where.get(arm.curation) + 0.11 * place;
      return { x, y: one.value, ys: one.ends, all: one.all, words: this.write(one) };
    });
    const { label, gap } = this.known.metrics[metric];
    chart(box, {
      label: `${label} of every curation; the table below has its numbers`,
      height: 360,
      x: this.axis(where),
      y: {
        label: group === "all" ? label : `${label}, ${group}`,
        values: reached(series, "y"),
        band: gap ? this.known.epsilon : 0,
      },
      series,
    });
  }

  tradeOff(box, arms, metric) {
    const series = this.series(arms, (arm) => {
      const [gap, auc] = [this.estimate(arm, metric, "all"), this.estimate(arm, "auc", "all")];
      const words = `${this.write(gap)}, AUC ${this.write(auc)}`;
      return { x: gap.value, xs: gap.ends, y: auc.value, ys: auc.ends, words };
    });
    const { label } = this.known.metrics[metric];
    chart(box, {
      label: `AUC against ${label}`,
      height: 340,
      x: { label, values: reached(series, "x"), band: this.known.epsilon },
      y: { label: "AUC", values: reached(series, "y") },
      series,
    });
  }

  // Every group of one base: the distance between two marks is the gap.
  rates(box, arms, metric, groups, base) {
    const mine = arms.filter((arm) => arm.base === base);
    const where = this.places(mine);
    const series = groups.flatMap((group, i) => {
      const of = this.series(mine, (arm) => {
        const one = this.estimate(arm, metric, group);
        const x = where.get(arm.curation) + 0.2 * (i - (groups.length - 1) / 2);
        const words = `${group} ${this.write(one)}`;
        return { x, y: one.value, ys: one.ends, marker: undefined, size: 5, words };
      });
      const look = { marker: ["o", "s", "^", "D", "v"][i % 5], hollow: i % 2, dashed: i % 2 };
      return of.map((one) => ({ ...one, ...look }));
    });
    const { label } = this.known.metrics[metric];
    chart(box, {
      label: `${label} of every group`,
      height: 340,
      x: this.axis(where),
      y: { label: `${label} of each group`, values: reached(series, "y") },
      series,
    });
  }
}

// All that a chart must hold along "x" or "y".
function reached(series, along) {
  const of = (point) => [point[along], ...(point[`${along}s`] ?? [])];
  const all = (point) => (along === "y" ? (point.all ?? []) : []);
  return series.flatMap(({ points }) => points.flatMap((point) => [...of(point), ...all(point)]));
}
