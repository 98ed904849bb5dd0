"""What an answer and its report cost, by the number of finetuned models.

    python -m benchmarks.report --out=benchmarks/results/report.json

Scores are drawn, of studies that grow as users' do: every target and size is asked about 5 bases in
12 curations with 5 repeats, 300 models; first come more targets, then more sizes. Each number of
models is answered and reported in a process of its own, which tells its peak memory.

"fixed_s" and "s_per_variant" are the line through the total seconds of the first three that is
nearest to them in relative terms; "off_the_line" is how far each lies from it, above the fixed
cost, the largest too: what grew faster than the number of models would lie far above.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.hardware import hardware
from jaxbias import report
from jaxbias.analysis import make, make_answer
from jaxbias.data.dataset import Dataset
from jaxbias.report import figures, files, page
from jaxbias.scores.scores import Scores
from jaxbias.study import Study, default_config, make_study, parse_curation

BASES = {
    "Gendered": "studied",
    "Control_Hat": "control",
    "Control_Bangs": "control",
    "Control_Chubby": "control",
    "Scratch": "scratch",
}
TARGETS = tuple(f"Target_{i:02d}" for i in range(14))
SIZES = tuple(2**i for i in range(7, 17))
CURATIONS = ("natural", *(f"correlation {k}" for k in range(11)))
SEEDS = 5
QUESTION = len(BASES) * len(CURATIONS) * SEEDS
# Numbers of models, the smallest, that the line is drawn through.
_LINE = 3
# What of a report takes time: where it is, and what it is called there.
PARTS = {
    "evaluate": (make, "evaluate_task"),
    "tables": (files, "write_tables"),
    "figures": (figures, "draw"),
    "page": (page, "render"),
}


def study_of(variants: int, replicates: int) -> Study:
    """The smallest such study with so many models."""
    questions = -(-variants // QUESTION)
    config = default_config()
    config.name, config.data.name = "drawn", "drawn"
    config.targets = TARGETS[:questions]
    config.group = {"column": "group", "values": ("a", "b"), "names": ("a", "b")}
    for name, role in BASES.items():
        config.bases[name] = {"role": role} | ({} if role == "scratch" else {"target": name})
    config.finetune.n = SIZES[: -(-questions // len(TARGETS))]
    config.answer.replicates = replicates
    return make_study(config)


def labels(study: Study, test: int, rng: np.random.Generator) -> Dataset:
    """Examples of two groups; positives are more frequent in the first."""
    split = np.repeat(["finetune", "validation", "test"], (2000, test // 2, test))
    second = rng.random(len(split)) < 0.5
    table = pd.DataFrame({"id": np.arange(len(split)).astype(str), "split": split, "stratum": ""})
    table["group"] = pd.Categorical(np.where(second, "b", "a"))
    for target in study.targets:
        positive = rng.random(len(split)) < np.where(second, 0.2, 0.3)
        table[target] = pd.array(positive, dtype="boolean")
    return Dataset("drawn", np.zeros((0, 1, 1, 3), np.uint8), table, "drawn")


def models(study: Study, variants: int) -> pd.DataFrame:
    """A row per finetuned model, question by question."""
    rows = []
    questions = itertools.product(study.finetune.n, study.targets)
    arms = itertools.product(questions, CURATIONS, BASES, range(SEEDS))
    for (n, task), name, base, seed in itertools.islice(arms, variants):
        curation = parse_curation(name, "")
        rows.append(
            {
                "variant": f"{len(rows):016x}",
                "task": task,
                "base": base,
                "role": BASES[base],
                "pretrain_seed": seed,
                "curation": name,
                "kind": curation.kind,
                "level": np.nan if curation.level is None else float(curation.level),
                "prevalence": np.nan if curation.prevalence is None else curation.prevalence,
                "k": np.nan,
                "n": n,
                "seed": seed,
                "mode": "full",
                "realised_n": float(n),
                "status": "ok",
            }
        )
    return pd.DataFrame(rows)


def scores(table: pd.DataFrame, dataset: Dataset, rng: np.random.Generator) -> Scores:
    """Scores that favour the first group: more from the studied base, less along the levels."""
    split = dataset.table["split"].to_numpy()
    rows = split != "finetune"
    first = (dataset.table["group"] == "a").to_numpy()[rows].astype(np.float32)
    matrix = np.empty((len(table), rows.sum()), np.float32)
    common = rng.standard_normal(rows.sum(), np.float32)
    for place, model in enumerate(table.itertuples()):
        natural = 0.4 if model.base == "Gendered" else 0.15
        shift = natural if np.isnan(model.level) else natural * (4 - model.level) / 2
        shift = np.float32(shift + rng.normal(0, 0.08))
        positive = dataset.table[model.task].to_numpy(np.float32)[rows]
        own = np.float32(0.3) * rng.standard_normal(rows.sum(), np.float32)
        matrix[place] = common + 2 * positive + shift * first + own
    test = split[rows] == "test"
    return Scores(table, matrix[:, ~test], matrix[:, test], dataset.table)


def timed(seconds: dict[str, float], name: str, work: Callable) -> Callable:
    """The same work, whose seconds are added up under a name."""

    def run(*args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        found = work(*args, **named)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
        return found

    return run


def one(variants: int, examples: int, replicates: int) -> dict[str, Any]:
    """Answers and reports once, in this process."""
    rng = np.random.default_rng(0)
    study = study_of(variants, replicates)
    dataset = labels(study, examples, rng)
    table = models(study, variants)
    drawn = scores(table, dataset, rng)
    seconds: dict[str, float] = {}
    for name, (module, called) in PARTS.items():
        setattr(module, called, timed(seconds, name, getattr(module, called)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as directory:
        began, cpu = time.perf_counter(), time.process_time()
        answer = make_answer(study, dataset, drawn, planned=table.drop(columns="status"))
        answered = time.perf_counter()
        written = report.write(answer, Path(directory))
        ended, used = time.perf_counter(), time.process_time()
        size = written.stat().st_size
    seconds["analysis"] = answered - began - seconds["evaluate"]
    return {
        "variants": variants,
        "questions": -(-variants // QUESTION),
        "seconds": round(ended - began, 2),
        "cpu_seconds": round(used - cpu, 2),  # Of all threads; what else runs adds little to it.
        "parts": {name: round(each, 2) for name, each in seconds.items()},
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "peak_before_gib": round(before / 2**20, 3),
        "page_mb": round(size / 1e6, 2),
        "verdicts": answer.smallest_fix["verdict"].value_counts().to_dict(),
    }


def line(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The fixed cost and that of a model, and how far each total is from their line."""
    variants = np.array([each["variants"] for each in found], float)
    seconds = np.array([each["seconds"] for each in found], float)
    # Least squares of (fixed + each · variants) / seconds = 1.
    sides = np.stack([1 / seconds, variants / seconds], axis=1)[:_LINE]
    fixed, each = np.linalg.lstsq(sides, np.ones(len(sides)), rcond=None)[0]
    off = (seconds - fixed) / (each * variants) - 1
    return {
        "fixed_s": round(float(fixed), 2),
        "s_per_variant": round(float(each), 5),
        "off_the_line": dict(zip(map(int, variants), off.round(3).tolist(), strict=True)),
    }


def main() -> None:
    """Prints what was measured as JSON, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", default="300,1200,4800,25680", help="numbers, by commas")
    parser.add_argument("--examples", type=int, default=2000, help="of the test split")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    wanted = [int(each) for each in args.variants.split(",")]
    if args.only:
        print(json.dumps(one(wanted[0], args.examples, args.replicates)))
        return
    found = []
    for variants in wanted:
        command = [sys.executable, "-m", "benchmarks.report", "--only", f"--variants={variants}"]
        command += [f"--examples={args.examples}", f"--replicates={args.replicates}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    result = {
        "hardware": hardware(),
        "examples": args.examples,
        "replicates": args.replicates,
        "runs": found,
    }
    if len(found) >= _LINE:  # Two are on a line whatever they are.
        result["line"] = line(found)
    text = json.dumps(result, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
