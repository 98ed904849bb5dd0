"""How often the answer errs, and how often it speaks, on studies whose truth is known.

    python -m benchmarks.verdicts                      # 2,000 studies a scenario, panels drawn
    python -m benchmarks.verdicts --scores             # 200 a scenario, scores drawn: make_answer
    python -m benchmarks.verdicts --studies=200 --only=inherited

A study of panels draws the gaps of every model from a law with parts for the base, the finetuning
draw, their interaction and the examples, and the bootstrap replicates with them; the rules are the
package's own. Scenarios stand in `verdict_scenarios.py` (panels) and `verdict_scores.py` (scores).
A scenario that is in the output with as many studies is not run again, so a run that was stopped
goes on.

A rate is "wrong" (a claim that is false; nominally at most 5 %), "covered" (simple 95 % intervals),
"jointly" (simultaneous ones), or "right" (a true claim is made).
"""

import argparse
import json
import multiprocessing
import time
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks import verdict_scenarios, verdict_scores
from benchmarks.hardware import hardware

_RESULTS = Path("benchmarks/results")


def run(job: tuple[str, str, int, int]) -> tuple[str, list[dict], float]:
    """Runs some studies of one scenario: what happened in each, and the seconds."""
    kind, name, first, end = job
    scenario = {"panels": verdict_scenarios, "scores": verdict_scores}[kind].SCENARIOS[name]
    start = time.time()
    seeds = [[study, _seed(name)] for study in range(first, end)]
    found = [scenario.study(np.random.default_rng(seed)) for seed in seeds]
    return name, found, time.time() - start


def row_of(name: str, says: str, found: list[dict], seconds: float) -> dict:
    """A scenario's row of the output; seconds are of one process, summed."""
    rates = {}
    for rate in found[0]:
        values = [one[rate] for one in found if one[rate] is not None]
        rates[rate] = summary(sum(values), len(values)) if values else None
    return {
        "scenario": name,
        "says": says,
        "studies": len(found),
        "rates": rates,
        "seconds": round(seconds, 1),
    }


def summary(hits: int, count: int) -> dict:
    """A rate with its Clopper–Pearson 95 % interval."""
    interval = stats.binomtest(int(hits), count).proportion_ci(0.95, method="exact")
    return {
        "rate": round(hits / count, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "of": count,
    }


def _seed(name: str) -> int:
    return int.from_bytes(name.encode()[-8:], "big")


def main() -> None:
    """Runs what is missing and writes after every scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", action="store_true")
    parser.add_argument("--studies", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", default="")
    given = parser.parse_args()
    kind = "scores" if given.scores else "panels"
    studies = given.studies or (200 if given.scores else 2000)
    path = Path(given.out or _RESULTS / f"verdicts_{kind}.json")
    done = json.loads(path.read_text())["scenarios"] if path.exists() else []
    have = {row["scenario"] for row in done if row["studies"] >= studies}
    module = verdict_scores if given.scores else verdict_scenarios
    names = [n for n in module.SCENARIOS if n not in have and n.startswith(given.only)]
    size = max(studies // 20, 1)  # Of a job, so that the last ones end together.
    jobs = [
        (kind, name, first, min(first + size, studies))
        for name in names
        for first in range(0, studies, size)
    ]
    parts: dict[str, list] = {name: [] for name in names}
    # Forking after JAX has started deadlocks.
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for name, found, seconds in pool.imap_unordered(run, jobs):
            parts[name].append((found, seconds))
            whole = [one for found, _ in parts[name] for one in found]
            if len(whole) < studies:
                continue
            row = row_of(name, module.SCENARIOS[name].says, whole, sum(s for _, s in parts[name]))
            done = [one for one in done if one["scenario"] in module.SCENARIOS]
            done = [one for one in done if one["scenario"] != name] + [row]
            done.sort(key=lambda one: list(module.SCENARIOS).index(one["scenario"]))
            text = json.dumps({"hardware": hardware(), "scenarios": done}, indent=1)
            path.write_text(text + "\n")
            told = {k: v and f"{v['rate']:.1%}" for k, v in row["rates"].items()}
            print(f"{name}: {told} in {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
