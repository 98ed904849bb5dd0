"""The rule of screening asked again on stored scores: fewer repeats, other tolerances, no heads.

    python -m benchmarks.screening --workdir=DIR     # first: trains what is replayed
    python -m benchmarks.screening_replay --workdir=DIR --out=FILE.json

For every 3, 4 and 5 of the demo's repeats and every epsilon: the choice on validation among the
whole grid's finetuned models, and among those that the rule confirms, beginning where the heads
say. And, without any heads, beginning in the middle of the axis, or by bisection for the change of
sign. Replays of one seed share models: they say how sturdy the rule is, not how often it errs.
"""

import argparse
import dataclasses
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from jaxbias.analysis.candidates import axes
from jaxbias.analysis.evaluation import Evaluation, evaluate_task
from jaxbias.analysis.screening import Standing, centre, standings, to_confirm
from jaxbias.curation import target_cells
from jaxbias.engine import compilation
from jaxbias.study import make_study, parse_curation
from jaxbias.workdir.results import ResultDirectory

_EPSILONS = (0.03, 0.05, 0.08)  # The demo's is the second.
_REPEATS = (3, 4, 5)

Standings = Mapping[str, Standing]


def rounds(
    axis: list[str], first: Standings, whole: Standings, epsilon: float
) -> tuple[dict[str, Standing], int]:
    """Confirms round by round; returns what is confirmed, and after how many rounds."""
    confirmed: dict[str, Standing] = {}
    count = 0
    while window := [c for c in to_confirm(axis, first, confirmed, epsilon) if c not in confirmed]:
        confirmed |= {name: whole[name] for name in window}
        count += 1
    return confirmed, count


def bisected(axis: list[str], whole: Standings, epsilon: float) -> tuple[dict[str, Standing], int]:
    """The same without heads: both ends, halves until the sign changes between neighbours."""
    low, high = 0, len(axis) - 1
    known = {axis[low]: whole[axis[low]], axis[high]: whole[axis[high]]}
    count = 1
    while high - low > 1 and whole[axis[low]].gap * whole[axis[high]].gap < 0:
        middle = (low + high) // 2
        known[axis[middle]] = whole[axis[middle]]
        if whole[axis[middle]].gap * whole[axis[low]].gap < 0:
            high = middle
        else:
            low = middle
        count += 1
    confirmed, more = rounds(axis, known, whole, epsilon)
    return known | confirmed, count + more


def replay(full: Path, screened: Path) -> pd.DataFrame:
    """Returns a row per task, set of repeats, epsilon, base and n."""
    directory = ResultDirectory(full)
    study, dataset = make_study(directory.stored_study()["settings"]), directory.dataset()
    scores = {"full": directory.scores(), "head": ResultDirectory(screened).scores()}
    seeds = range(study.finetune.seeds)
    subsets = [s for k in _REPEATS for s in itertools.combinations(seeds, k)]

    def evaluated(task: str, mode: str, subset: tuple[int, ...]) -> Evaluation:
        table, rule = scores[mode].variants, study.answer
        kept = (table["task"] == task) & (table["mode"] == mode) & (table["role"] == "studied")
        kept &= (table["status"] == "ok") & table["seed"].isin(subset)
        return evaluate_task(
            scores[mode].only(kept.to_numpy()),
            target_cells(dataset, task, study.group),
            rule.population,
            study.evaluations[rule.population],
            "validation",
            rule.replicates,
            rule.confidence,
        )

    rows = []
    for task, subset in itertools.product(study.targets, subsets):
        by_heads, by_models = (evaluated(task, mode, subset) for mode in ("head", "full"))
        arms = by_models.arms()
        for (base, n), _ in arms[arms["curation"] != "natural"].groupby(["base", "n"]):
            for epsilon in _EPSILONS:
                rule = dataclasses.replace(study.answer, epsilon=epsilon)
                heads, whole = (
                    standings(evaluation, base, n, rule) for evaluation in (by_heads, by_models)
                )
                for one in axes(parse_curation(name, "plan") for name in whole):
                    row = {"task": task, "base": base, "n": n, "epsilon": epsilon}
                    rows.append(row | _compared(one, heads, whole, epsilon))
    return pd.DataFrame(rows)


def _compared(axis: list[str], heads: Standings, whole: Standings, epsilon: float) -> dict:
    truth = centre({name: whole[name] for name in axis})
    middle = axis[len(axis) // 2]
    ways = {
        "heads": rounds(axis, heads, whole, epsilon),
        "middle": rounds(axis, {middle: whole[middle]}, whole, epsilon),
        "bisection": bisected(axis, whole, epsilon),
    }
    row: dict[str, Any] = {"a_fix": whole[truth].qualifies}
    row["heads_off"] = abs(axis.index(centre(heads)) - axis.index(truth))
    for name, (confirmed, count) in ways.items():
        row[f"off_{name}"] = abs(axis.index(centre(confirmed)) - axis.index(truth))
        row[f"levels_{name}"], row[f"rounds_{name}"] = len(confirmed), count
    return row


def summed(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Per task and epsilon: how often and how far choices differ, and what was finetuned."""
    found = []
    for keys, part in rows.groupby(["task", "base", "n", "epsilon"]):
        row = dict(zip(("task", "base", "n", "epsilon"), keys, strict=True))
        row |= {"replays": len(part), "with_a_fix": int(part["a_fix"].sum())}
        row["heads_off_by"] = {int(k): int(v) for k, v in part["heads_off"].value_counts().items()}
        for way in ("heads", "middle", "bisection"):
            row[f"same_{way}"] = int((part[f"off_{way}"] == 0).sum())
            row[f"levels_{way}"] = [
                round(float(part[f"levels_{way}"].mean()), 2), int(part[f"levels_{way}"].max())
            ]  # fmt: skip
            row[f"rounds_{way}"] = [
                round(float(part[f"rounds_{way}"].mean()), 2), int(part[f"rounds_{way}"].max())
            ]  # fmt: skip
        found.append(row)
    return found


def main() -> None:
    """Replays every seed that benchmarks.screening has finished."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    compilation.use_compilation_cache()
    found = {}
    for seed in args.seeds:
        full, screened = (args.workdir / f"{name}-{seed}" for name in ("full", "screened"))
        found[f"faces {seed}"] = rows = summed(replay(full, screened))
        print(f"faces {seed}\n{pd.DataFrame(rows).to_string(index=False)}")
        if args.out:
            text = {"levels and rounds": "[mean, most]", **found}
            args.out.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
