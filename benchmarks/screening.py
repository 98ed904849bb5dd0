"""Screening against the whole grid: the same demo run both ways, its answers and what each cost.

    python -m benchmarks.screening --workdir=DIR --out=benchmarks/results/screening.json
    python -m benchmarks.screening --workdir=DIR --smoke   # in a minute

For every seed of the faces, `DIR/full-SEED` is the demo (configs/quickstart.py) and
`DIR/screened-SEED` the same with config.screen.on=True; both start from one pretraining. What is
finished is kept: run again to go on. Training FLOPs are steps × XLA's count of one step, and of the
screen also one pass over all images for each base's features; scoring FLOPs are counted apart.
Seconds are of the runs that trained; a run that was cut tells those of its last part.
"""

import argparse
import dataclasses
import functools
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# One virtual device per core, as `jaxbias run` does.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(os.cpu_count()))

import jax
import pandas as pd

from benchmarks.hardware import hardware
from configs import quickstart
from jaxbias import data
from jaxbias.analysis.candidates import axes
from jaxbias.costs.timing import score_flops, step_flops
from jaxbias.engine import compilation
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.plan.variants import Base, Variant
from jaxbias.stages import train
from jaxbias.study import Study, make_study, parse_curation
from jaxbias.workdir.results import ResultDirectory

_SECTIONS = ("plan", "features", "finetune", "compile", "train_and_score")


def study_of(seed: int, screened: bool, args: argparse.Namespace) -> Study:
    """The demo on faces of a seed."""
    config = quickstart.get_config("smoke" if args.smoke else "")
    config.data.seed = seed
    config.screen.on = screened
    config.screen.solver, config.screen.C = args.solver, args.C
    if args.n:
        config.finetune.n = args.n
    return make_study(config)


def run(study: Study, workdir: Path) -> dict[str, Any]:
    """Runs a study to its answer.

    Returns:
      The answer's frames for every question, keyed by task, base and n, and seconds by section.
    """
    train.train(study, workdir)
    answer, _ = train.write_report(workdir)
    keys = ["task", "base", "n"]
    inherited = answer.inherited_verdicts.set_index(keys)["verdict"]
    fixes = answer.smallest_fix.set_index(keys)
    return {
        "inherited": inherited.to_dict(),
        "fix": fixes["curation"].to_dict(),
        "verdict": fixes["verdict"].to_dict(),
        "nearest": fixes["nearest"].to_dict() if "nearest" in fixes else {},
        "sentences": answer.sentences,
        "screen": answer.screen_verdicts.to_dict("records"),
        "seconds": {k: answer.timings.get(f"{k}_seconds") for k in _SECTIONS},
    }


def share_bases(source: Path, target: Path) -> None:
    """Copies pretrained bases and their results, so that both ways start from the same."""
    if (target / "bases").exists():
        return
    (target / "packs").mkdir(parents=True)
    shutil.copytree(source / "bases", target / "bases")
    for pack in ResultDirectory(source).plan().bases:
        shutil.copy(source / "packs" / f"{pack.id}.parquet", target / "packs")


class Costs:
    """FLOPs of a study's trainings.

    Args:
      study: the study; its screen does not matter.
    """

    def __init__(self, study: Study) -> None:
        dataset = data.load(study.data)
        layout = Layout(study.grid.mode, len(jax.local_devices()))
        self.catalog = Runner(study, dataset, layout, lambda base, network: {}).catalog
        self._of = functools.cache(lambda brief: (step_flops(brief), score_flops(brief)))

    def of(self, variants: Iterable[Variant]) -> dict[str, float]:
        """Training, feature extraction and scoring of finetunes."""
        training = scoring = features = 0.0
        frozen = {}
        for variant in variants:
            program = self.catalog.finetune(variant)
            if program.batch:
                step, score = self._of(program.brief)
                training += program.units * step
            else:  # A fit's iterations are not known before; a hundred passes are an upper bound.
                training += self._hundred_passes(variant)
                score = self._of(program.brief)[1]
            scoring += program.scored * score
            if variant.recipe.mode == "head":
                frozen[variant.base.id] = dataclasses.replace(
                    variant, recipe=dataclasses.replace(variant.recipe, mode="full", solver="sgd")
                )
        for variant in frozen.values():
            score = self._of(self.catalog.finetune(variant).brief)[1]
            features += len(self.catalog.starts.rows) * score
        return {"training": training, "features": features, "scoring": scoring}

    def pretraining(self, bases: Iterable[Base]) -> float:
        """Training of bases."""
        programs = [self.catalog.base(base) for base in bases]
        return sum(program.units * self._of(program.brief)[0] for program in programs)

    def _hundred_passes(self, variant: Variant) -> float:
        recipe = dataclasses.replace(variant.recipe, solver="sgd", epochs=100)
        program = self.catalog.finetune(dataclasses.replace(variant, recipe=recipe))
        return program.units * self._of(program.brief)[0]


def compared(full: dict[str, Any], screened: dict[str, Any], levels: list[str]) -> list[dict]:
    """Every question: both answers, and how far apart they are."""
    rows = []
    for key in full["fix"]:
        row: dict[str, Any] = dict(zip(("task", "base", "n"), key, strict=True))
        for name, found in (("full", full), ("screened", screened)):
            row[f"inherited_{name}"] = found["inherited"].get(key, "")
            row[f"verdict_{name}"] = found["verdict"].get(key, "")
            row[f"fix_{name}"] = found["fix"].get(key, "")
            nearest = found["nearest"].get(key, "")
            row[f"nearest_{name}"] = "" if pd.isna(nearest) else nearest
        places = [row[f"fix_{name}"] or row[f"nearest_{name}"] for name in ("full", "screened")]
        apart = abs(levels.index(places[0]) - levels.index(places[1]))
        row["same_inherited"] = row["inherited_full"] == row["inherited_screened"]
        row["same_verdict"] = row["verdict_full"] == row["verdict_screened"]
        both = bool(row["fix_full"]) == bool(row["fix_screened"])
        row["levels_apart"] = apart
        row["fix"] = ("same", "adjacent")[apart] if both and apart < 2 else "different"
        rows.append(row)
    return rows


def measure(seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Both ways on faces of one seed."""
    places = {name: args.workdir / f"{name}-{seed}" for name in ("full", "screened")}
    studies = {name: study_of(seed, name == "screened", args) for name in places}
    full = run(studies["full"], places["full"])
    share_bases(places["full"], places["screened"])
    screened = run(studies["screened"], places["screened"])
    costs = Costs(studies["full"])
    flops, counts = {}, {}
    for name, place in places.items():
        plan = ResultDirectory(place).plan()
        kinds = {
            "heads": [v for v in plan.variants if v.recipe.mode == "head"],
            "finetunes": [v for v in plan.variants if v.recipe.mode != "head"],
        }
        flops[name] = {kind: costs.of(variants) for kind, variants in kinds.items() if variants}
        counts[name] = {kind: len(variants) for kind, variants in kinds.items()}
    bases = [base for pack in ResultDirectory(places["full"]).plan().bases for base in pack.members]
    training = {
        name: sum(part["training"] + part["features"] for part in parts.values())
        for name, parts in flops.items()
    }
    everything = {
        name: training[name] + sum(part["scoring"] for part in parts.values())
        for name, parts in flops.items()
    }
    shared = costs.pretraining(bases)
    curations = {v.curation for v in ResultDirectory(places["full"]).plan().variants}
    (levels,) = axes(parse_curation(c.name, "plan") for c in curations)
    seconds = {name: found["seconds"] for name, found in (("full", full), ("screened", screened))}
    return {
        "seed": seed,
        "variants": counts,
        "training_share": training["screened"] / training["full"],
        "training_share_with_pretraining": (training["screened"] + shared)
        / (training["full"] + shared),
        "training_and_scoring_share": everything["screened"] / everything["full"],
        "flops": {**flops, "pretraining": shared},
        "seconds": seconds,
        "seconds_share": sum(seconds["screened"][k] or 0 for k in ("plan", "features", "finetune"))
        / sum(seconds["full"][k] or 0 for k in ("plan", "features", "finetune")),
        "questions": compared(full, screened, levels),
        "screen": screened["screen"],
        "sentences": {"full": full["sentences"], "screened": screened["sentences"]},
    }


def main() -> None:
    """Runs the benchmark and prints a line per question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--n", type=int, nargs="+", help="sizes; the demo's by default")
    parser.add_argument("--solver", default="sgd")
    parser.add_argument("--C", type=float, default=1.0)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    compilation.use_compilation_cache()
    found = {"hardware": hardware(), "solver": args.solver, "runs": []}
    for seed in args.seeds:
        result = measure(seed, args)
        found["runs"].append(result)
        print(
            f"faces {seed}: training {result['training_share']:.1%} of the whole grid's FLOPs, "
            f"{result['training_share_with_pretraining']:.1%} with the bases', "
            f"{result['training_and_scoring_share']:.1%} with scoring; "
            f"{result['seconds_share']:.1%} of its seconds"
        )
        print(pd.DataFrame(result["questions"]).T.to_string(header=False))
        if args.out:
            args.out.write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
