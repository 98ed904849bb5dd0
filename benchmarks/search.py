"""Successive halving against trying everything: what it costs, and what it finds.

    pip install -e .
    python -m benchmarks.search --out=benchmarks/results/search.json
    python -m benchmarks.search --repeats=2   # in a minute or so
    python -m benchmarks.search --curves=benchmarks/results/search_curves.npz --eta=3   # trains one

40 trials (5 learning rates × 4 weight decays × 2 samples, the authors' grid) finetune a small
convnet, pretrained on gender, on 512 built-in faces at 24². Per repeat, all 40 are trained to the
longest schedule and measured on validation after every epoch; repeats differ in the seeds of
pretraining, head, draw and batch order. On these stored curves successive halving is replayed with
jaxbias's own rules, for every criterion: "regret" is the criterion of its choice minus the best of
all configurations and epochs. For the first repeat the rungs are really trained, from stored
states, and must give the replayed curves bit for bit.

The defaults of config.search (first_epochs, eta, keep) were chosen on repeats 0 to 39
(--first=0 --repeats=40, search_tuning.json); those reported, 40 to 59, had no part in it.

Cost is counted in epochs × trials. Seconds are given for the first repeat alone and mean something
on a quiet machine only.
"""

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

# One virtual device per core, as `jaxbias run` does.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(os.cpu_count()))

import jax
import numpy as np

from benchmarks.hardware import hardware
from jaxbias import data, default_config, make_study
from jaxbias.engine.compilation import use_compilation_cache
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.engine.trials import Trials
from jaxbias.plan.criteria import MEASURES
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.search import Results, RungResult, follow, kept, rung_epochs
from jaxbias.plan.variants import Base, Variant
from jaxbias.study import Study

TARGET = "Bags_Under_Eyes"
LEARNING_RATES = (0.1, 0.05, 0.01, 0.005, 0.001)
WEIGHT_DECAYS = (0.0, 1e-4, 5e-4, 1e-3)
CRITERIA = ("val_loss", "val_auc", "val_worst_group", "val_gap_constrained")
WITHIN = 0.002

Key = tuple[str, float, float, int]  # Base, learning rate, weight decay, seed.
Curves = dict[Key, dict[str, np.ndarray]]  # Measure -> float64[epochs].


def make(n: int, **search: Any) -> Study:
    """The study of one repeat."""
    config = default_config()
    config.name = "search"
    config.targets = (TARGET,)
    config.bases.Gendered = {"role": "studied", "target": "Male", "curation": "class_balanced"}
    config.data.image_size = 24
    faces = config.data.faces
    faces.population = {"pretrain": 2000, "finetune": 3000, "validation": 600, "test": 40}
    faces.cell_minimum = {"pretrain": 0, "finetune": 400, "validation": 100, "test": 4}
    faces.strata = {split: (TARGET,) for split in ("finetune", "validation", "test")}
    config.model.widths = (8, 16)
    config.pretrain.update(n=1000, epochs=6)
    config.finetune.update(n=(n,), seeds=1)
    config.search.update(learning_rates=LEARNING_RATES, weight_decays=WEIGHT_DECAYS, **search)
    return make_study(config)


class Bench:
    """Trains the trials of repeats of one study.

    Args:
      study: the study.
      width: trials per pack.
    """

    def __init__(self, study: Study, width: int) -> None:
        self.study, self.width = study, width
        self.dataset = data.load(study.data)
        self.params: dict[str, Any] = {}
        layout = Layout("map", len(jax.local_devices()))
        load = lambda base, network: self.params[base.id]  # noqa: E731
        self.runner = Runner(study, self.dataset, layout, load)
        self.trials = Trials(self.runner)

    def most(self, member: Base | Variant) -> int:
        """Returns how many members a pack has: bases are trained one by one on each device."""
        return self.width if isinstance(member, Variant) else self.runner.layout.devices

    def compile_seconds(self) -> float:
        """Returns the seconds spent compiling so far."""
        return self.runner.executor.compile_seconds

    def every(self, seeds: tuple[int, ...]) -> Curves:
        """Trains every configuration of every base to the longest schedule."""
        course = follow(self.study, self.dataset.fingerprint, lambda trial: None)
        longest = self.study.search.max_epochs
        every = [self.moved(trial, seed, longest) for trial in course.trials for seed in seeds]
        return self.train(list(dict.fromkeys(every)), {}, {})

    def moved(self, trial: Variant, seed: int, epochs: int) -> Variant:
        """Returns a trial as another repeat, and until another epoch."""
        base = self.trials.maker.base(trial.base.name, seed)
        recipe = dataclasses.replace(trial.recipe, epochs=epochs)
        return self.trials.maker.make(base, trial.task, trial.curation, trial.n, recipe, seed)

    def train(self, variants: list[Variant], states: dict[Key, Any], done: dict) -> Curves:
        """Trains trials on from their states, which are replaced by those at the end."""
        signatures = self.runner.catalog.signatures(variants)
        empty = Plan(self.dataset.fingerprint)
        plan = extend_plan(empty, [], signatures, self.most, trials=variants)
        for pack in plan.bases:
            if not all(base.id in self.params for base in pack.members):
                _, params = self.runner.pretrain(pack)
                self.params |= {b.id: p for b, p in zip(pack.members, params, strict=True)}
        curves = {}
        for pack in plan.rungs:
            keys = [key_of(trial) for trial in pack.members]
            first = done.get(keys[0], 0)
            begun = [
                states.get(key) or self.trials.begin(trial)
                for key, trial in zip(keys, pack.members, strict=True)
            ]
            epochs = pack.members[0].recipe.epochs
            rows, ends = self.trials.train(pack, first, begun, keep=epochs - first)
            for key, row, end in zip(keys, rows, ends, strict=True):
                curves[key] = {name: row[name] for name in MEASURES} | {"status": row["status"]}
                states[key], done[key] = end, epochs
        return curves


def key_of(trial: Variant) -> Key:
    """What tells trials of one study apart, at whatever rung."""
    return trial.base.name, trial.recipe.learning_rate, trial.recipe.weight_decay, trial.seed


def replay(study: Study, curves: Curves, first_seed: int) -> Results:
    """Results as rungs would give them, cut from whole curves of the seeds from `first_seed` on."""
    rungs = rung_epochs(study.search)

    def ended(trial: Variant) -> RungResult:
        base, rate, decay, seed = key_of(trial)
        found = curves[base, rate, decay, first_seed + seed]
        last = trial.recipe.epochs
        first = max((epochs for epochs in rungs if epochs < last), default=0)
        step = found["status"].rpartition(" ")[2]
        # A trial that diverged later was healthy at this rung.
        steps = max(1, last * trial.n // trial.recipe.batch)
        ok = found["status"] == "ok" or int(step) >= steps
        cut = {name: found[name][first:last] for name in MEASURES}
        return RungResult(cut, "ok" if ok else found["status"])

    return ended


def regrets(study: Study, fingerprint: str, results: Results, whole: Results) -> list[dict]:
    """What halving chose for each base, beside the best of everything."""
    everything = dataclasses.replace(study.search, first_epochs=study.search.max_epochs)
    best = follow(dataclasses.replace(study, search=everything), fingerprint, whole)
    found = follow(study, fingerprint, results)
    rows = []
    for mine, theirs in zip(found.searches, best.searches, strict=True):
        trained = sum(len(c.curve) * study.search.repeats for c in mine.configurations)
        count = len(mine.configurations) * study.search.repeats
        chosen, ideal = (s.configurations[s.winner] for s in (mine, theirs))
        rows.append(
            {
                "base": mine.searched.base,
                "criterion": study.search.criterion,
                "learning_rate": chosen.learning_rate,
                "weight_decay": chosen.weight_decay,
                "epochs": mine.recipe.epochs,
                "best_learning_rate": ideal.learning_rate,
                "best_weight_decay": ideal.weight_decay,
                "best_epochs": theirs.recipe.epochs,
                "best": ideal.value,
                "regret": chosen.value - ideal.value,
                "cost": trained / (count * study.search.max_epochs),
            }
        )
    return rows


def really(bench: Bench, curves: Curves, first_seed: int) -> dict[str, Any]:
    """Trains the rungs of the repeat of these seeds and compares them with the replay."""
    study, fingerprint = bench.study, bench.dataset.fingerprint
    states: dict[Key, Any] = {}
    done: dict[Key, int] = {}
    ended: dict[str, RungResult] = {}
    began, compiled = time.perf_counter(), bench.compile_seconds()
    rungs = 0
    while True:
        course = follow(study, fingerprint, lambda trial: ended.get(trial.id))
        due = [trial for trial in course.trials if trial.id not in ended]
        if not due:
            break
        rungs += 1
        moved = [bench.moved(trial, trial.seed + first_seed, trial.recipe.epochs) for trial in due]
        found = bench.train(moved, states, done)
        for trial, own in zip(due, map(key_of, moved), strict=True):
            curve = {name: found[own][name] for name in MEASURES}
            ended[trial.id] = RungResult(curve, found[own]["status"])
    seconds = time.perf_counter() - began - (bench.compile_seconds() - compiled)
    expected = replay(study, curves, first_seed)
    equal = all(
        np.array_equal(ended[trial.id].curves[m], expected(trial).curves[m], equal_nan=True)
        for trial in course.trials
        for m in MEASURES
    )
    return {"rungs": rungs, "trials": len(ended), "bit_equal_to_replay": equal, "seconds": seconds}


def write_curves(path: Path, curves: Curves) -> None:
    """Writes all curves, float64[trials, measures, epochs], beside what they are of."""
    base, rate, decay, seed = map(np.array, zip(*curves, strict=True))
    values = np.array([[found[name] for name in MEASURES] for found in curves.values()])
    status = np.array([found["status"] for found in curves.values()])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path, base=base, learning_rate=rate, weight_decay=decay, seed=seed, curves=values,
        status=status, measures=np.array(MEASURES),
    )  # fmt: skip


def read_curves(path: Path) -> Curves:
    """Reads them back."""
    with np.load(path) as found:
        names = ("base", "learning_rate", "weight_decay", "seed")
        keys = zip(*(found[name].tolist() for name in names), strict=True)
        rows = zip(found["curves"], found["status"].tolist(), strict=True)
        return {
            key: dict(zip(MEASURES, row, strict=True)) | {"status": status}
            for key, (row, status) in zip(keys, rows, strict=True)
        }


def main() -> None:
    """Measures, prints and, where asked, writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--first_epochs", type=int, default=3)
    parser.add_argument("--max_epochs", type=int, default=24)
    parser.add_argument("--eta", type=float, default=1.5)
    parser.add_argument("--keep", type=float, default=0.7)
    parser.add_argument("--first", type=int, default=40, help="first repeat; see above")
    parser.add_argument("--curves", type=Path, help="NPZ of all curves: read if there, or written")
    parser.add_argument("--out", type=Path, help="JSON to write")
    given = parser.parse_args()
    use_compilation_cache()
    machine = hardware()
    search = {k: getattr(given, k) for k in ("first_epochs", "max_epochs", "eta", "keep")}
    study = make(given.n, **search)
    bench = Bench(study, width=40)
    curves: Curves = {}
    seconds = []
    if given.curves and given.curves.exists():
        curves = read_curves(given.curves)
    for repeat in range(given.first, given.first + given.repeats):
        if any(seed == 2 * repeat for *_, seed in curves):
            continue
        began, compiled = time.perf_counter(), bench.compile_seconds()
        curves |= bench.every((2 * repeat, 2 * repeat + 1))
        seconds.append(time.perf_counter() - began - bench.compile_seconds() + compiled)
        print(f"repeat {repeat}: {seconds[-1]:.0f} s", flush=True)
        if given.curves:
            write_curves(given.curves, curves)
    rows = []
    for name in CRITERIA:
        own = make(given.n, **search, criterion=name)
        for repeat in range(given.first, given.first + given.repeats):
            results = replay(own, curves, 2 * repeat)
            everything = dataclasses.replace(own.search, first_epochs=own.search.max_epochs)
            whole = replay(dataclasses.replace(own, search=everything), curves, 2 * repeat)
            found = regrets(own, bench.dataset.fingerprint, results, whole)
            rows += [{"repeat": repeat, **row} for row in found]
    summary = [
        {
            "base": base,
            "criterion": name,
            "within": sum(row["regret"] <= WITHIN for row in part),
            "of": len(part),
            "largest_regret": max(row["regret"] for row in part),
            "mean_regret": float(np.mean([row["regret"] for row in part])),
            "largest_cost": max(row["cost"] for row in part),
        }
        for name in CRITERIA
        for base in study.bases
        for part in ([r for r in rows if (r["base"], r["criterion"]) == (base, name)],)
    ]
    real = really(bench, curves, 2 * given.first)
    result = {
        "hardware": machine,
        "n": given.n,
        "trials": 2 * len(LEARNING_RATES) * len(WEIGHT_DECAYS),
        "rungs": rung_epochs(study.search),
        "kept": kept(study.search, len(LEARNING_RATES) * len(WEIGHT_DECAYS)),
        "within": WITHIN,
        "summary": summary,
        "first_repeat": {**real, "exhaustive_seconds": seconds[0] if seconds else None},
        "rows": rows,
    }
    print(json.dumps({k: v for k, v in result.items() if k != "rows"}, indent=1))
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
