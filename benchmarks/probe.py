"""What frozen features say: AUC of linear probes of each base, beyond random initialisation.

    jaxbias run --config=configs/pretrain_faces.py --workdir=DIR
    python -m benchmarks.probe --workdir=DIR --out=benchmarks/results/probe.json

Probes are those fitted on natural draws; intervals are 95 %, over repeats (pretraining seed, draw)
and test examples together.
"""

import argparse
import json
from pathlib import Path

from jaxbias.analysis.evaluation import evaluate_task
from jaxbias.curation import target_cells
from jaxbias.study import EvaluationSpec, make_study
from jaxbias.workdir.results import ResultDirectory


def main() -> None:
    """Reads a result directory and writes every base's AUC and the difference."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    directory = ResultDirectory(asked.workdir)
    study = make_study(directory.stored_study()["settings"])
    dataset, scores = directory.dataset(), directory.scores()
    scratch = next(name for name, base in study.bases.items() if base.role == "scratch")
    (n,) = study.finetune.n
    found = {}
    for target in study.targets:
        cells = target_cells(dataset, target, study.group)
        rule = study.answer
        done = evaluate_task(
            scores, cells, "natural", EvaluationSpec(), "test", rule.replicates, rule.confidence
        )
        arms = {name: done.panel("auc", name, "natural", n) for name in study.bases}
        found[target] = {}
        for name, arm in arms.items():
            row = {"auc": round(arm.mean, 4)}
            if name != scratch:
                beyond = (arm - arms[scratch]).interval(rule.confidence)
                row["beyond_scratch"] = [
                    round(x, 4) for x in (beyond.value, beyond.low, beyond.high)
                ]
            found[target][name] = row
            print(target, name, row)
    asked.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
