"""How long the paper's whole programme takes from its config to variants with ids and to packs.

    python -m benchmarks.expansion --out=benchmarks/results/expansion.json

No image is rendered or decoded and no example drawn: quotas follow from the labels alone.

Also how many programs, pairs of a signature and a padded width, the packs need and how many of
their places are padding, where the plan is made at once and where it grows: seed by seed, or
experiment by experiment. A plan that grows uses its widths again ("again") where little is padded;
"anew" gives every group that is added a width of its own.
"""

import argparse
import functools
import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.hardware import hardware
from configs import programme
from jaxbias.data.dataset import Dataset
from jaxbias.data.faces.attributes import frequencies
from jaxbias.data.faces.roster import enroll
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.plan.packs import Plan, extend_plan, most_members
from jaxbias.plan.variants import Variant, expand, expand_by_experiment
from jaxbias.study import Study, make_study


def labels_alone(study: Study) -> Dataset:
    """The built-in faces of a study, with their labels and without their images."""
    spec = study.data
    table = pd.concat([part.table() for part in enroll(spec)], ignore_index=True)
    return Dataset(
        name="faces",
        images=np.zeros((0, spec.image_size, spec.image_size, 3), np.uint8),
        table=table,
        fingerprint="labels",
        frequencies=frequencies(spec.faces),
        group_share=spec.faces.male_share,
    )


def grown(
    empty: Plan, steps: Sequence[list[Variant]], signatures: dict[str, Any], width: int, anew: bool
) -> dict[str, float]:
    """Programs, packs and the share of padding of the finetunes of a plan that grows in steps."""
    plan = empty
    for variants in steps:
        # Of packs whose signature is not known no width is used again.
        have = {variant.id for variant in plan.variants} if anew else set()
        known = {id: each for id, each in signatures.items() if id not in have}
        plan = extend_plan(plan, variants, known, lambda member: width)
    return {
        "programs": len({(signatures[p.members[0].id], p.width) for p in plan.finetunes}),
        "packs": len(plan.finetunes),
        "padding": round(1 - len(plan.variants) / sum(p.width for p in plan.finetunes), 4),
    }


def paddings(
    empty: Plan, experiments: dict[str, list[Variant]], signatures: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """Both ways to choose widths, at several largest ones."""
    variants = list({v.id: v for each in experiments.values() for v in each}.values())
    seeds = sorted({variant.seed for variant in variants})
    histories = {
        "at once": [variants],
        "seed by seed": [[v for v in variants if v.seed <= seed] for seed in seeds],
        "experiment by experiment": list(experiments.values()),
    }
    cases = itertools.product(histories.items(), (8, 16, 64), ("again", "anew"))
    return {
        f"{history}, width {width}, {how}": grown(empty, steps, signatures, width, how == "anew")
        for (history, steps), width, how in cases
    }


def measure(repeats: int) -> dict[str, Any]:
    """Times every step from the config to the packs, the best and the worst of some repeats."""
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = work()
        seconds.setdefault(name, []).append(time.perf_counter() - began)
        return result

    dataset = labels_alone(make_study(programme.get_config()))
    for _ in range(repeats):
        config = timed("config", programme.get_config)
        study = timed("study", lambda config=config: make_study(config))
        empty = Plan(dataset.fingerprint)
        # Its cells and counts are empty again: a run starts so.
        runner = Runner(study, dataset, Layout(study.grid.mode, 1), lambda base, network: {})
        variants = timed("variants", lambda study=study: expand(study, dataset.fingerprint))
        signatures = timed(
            "signatures", lambda of=runner.catalog, variants=variants: of.signatures(variants)
        )
        plan = timed(
            "packs",
            lambda empty=empty, variants=variants, signatures=signatures, study=study: extend_plan(
                empty, variants, signatures, functools.partial(most_members, study)
            ),
        )
    totals = np.sum(list(seconds.values()), axis=0)
    packs = len(plan.bases) + len(plan.finetunes)
    return {
        "points": sum(map(len, study.experiments.values())),
        "variants": len(variants),
        "bases": sum(len(pack.members) for pack in plan.bases),
        "packs": packs,
        "signatures": len(set(signatures.values())),
        "widths": paddings(empty, expand_by_experiment(study, dataset.fingerprint), signatures),
        "seconds": {name: [min(each), max(each)] for name, each in seconds.items()},
        "seconds_in_all": [float(totals.min()), float(totals.max())],
        "repeats": repeats,
    }


def main() -> None:
    """Prints what was measured as JSON, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    text = json.dumps({"hardware": hardware(), **measure(args.repeats)}, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
