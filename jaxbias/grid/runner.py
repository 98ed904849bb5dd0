"""The runner: trains one pack in one compiled program and returns one row per member."""

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxbias.curation import Draw
from jaxbias.data.dataset import Dataset
from jaxbias.grid.curator import Curator
from jaxbias.grid.plan import Pack, Plan
from jaxbias.grid.variants import Base, Recipe, Variant
from jaxbias.models import Network, make_network
from jaxbias.models.registry import Params
from jaxbias.parallel import make_mesh, map_variants, replicate, shard_variants, split_variants
from jaxbias.study import Study
from jaxbias.training import Examples, Hyper, Schedule, make_score, make_train

Row = dict[str, Any]


class Runner:
    """Runs the packs of a plan.

    Args:
      study: the study.
      dataset: its data.
      plan: fixes the layout: mode and devices.
      load_base: returns the stored parameters of a base, given its network.
    """

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        plan: Plan,
        load_base: Callable[[Base, Network], Params],
    ) -> None:
        self.study = study
        self.plan = plan
        self.curator = Curator(study, dataset)
        self.mesh = make_mesh(plan.devices)
        self.images = replicate(np.asarray(dataset.images), self.mesh)
        self.validation = np.flatnonzero(self.curator.pools["validation"]).astype(np.int32)
        self.test = np.flatnonzero(self.curator.pools["test"]).astype(np.int32)
        self.compile_seconds = 0.0
        self.train_seconds = 0.0
        self.train_steps = 0
        self._programs: dict[tuple, Callable] = {}
        self.base_params = functools.cache(load_base)
        self.fresh = functools.cache(self._fresh)

    def network_of(self, base: Base) -> Network:
        """Returns the network a base is pretrained with: one output per class, one if binary."""
        classes = self.curator.cells(base.target).classes
        return self._network(1 if classes == 2 else classes)

    def _network(self, outputs: int) -> Network:
        return make_network(self.study.model, self.study.data.image_size, outputs)

    def signatures(self, variants: list[Variant]) -> dict[str, Any]:
        """Returns, per variant and base id, the static shapes that must agree within a pack.

        Raises:
          InputError: a curation needs examples that the data does not have.
        """
        bases = {v.base.id: v.base for v in variants if v.base.role != "scratch"}
        signatures: dict[str, Any] = {
            id: (self.network_of(base).outputs, len(self.curator.pretrain(base).ids))
            for id, base in bases.items()
        }
        for variant in variants:
            shape = (
                variant.recipe.shape,
                variant.objective,
                len(self.curator.cells(variant.task).names),
            )
            signatures[variant.id] = (1, len(self.curator.finetune(variant).ids), *shape)
        return signatures

    def pretrain(self, pack: Pack) -> tuple[list[Row], list[Params]]:
        """Pretrains a pack of bases.

        Returns:
          One row per base (its settings, realised counts, status, validation scores), and the
          parameters of each.
        """
        network = self.network_of(pack.members[0])
        draws = [self.curator.pretrain(base) for base in pack.members]
        labels = [
            self.curator.cells(base.target).labels()[draw.ids]
            for base, draw in zip(pack.members, draws, strict=True)
        ]
        start = [self.fresh(network, base.seed) for base in pack.members]
        keys = [_key("pretrain", base.seed) for base in pack.members]
        recipes = [Recipe.of(self.study.pretrain)] * len(draws)
        out = self._run(
            pack, network, recipes, "erm", start, draws, labels, keys, self.validation, keep=True
        )
        rows = [
            {
                "base": base.name,
                "role": base.role,
                "target": base.target,
                "curation": base.curation,
                "seed": base.seed,
                "id": base.id,
                **_outcome(self.curator.cells(base.target).names, draw, out, i),
                "validation_scores": np.asarray(out["scores"][i], np.float32).reshape(-1),
            }
            for i, (base, draw) in enumerate(zip(pack.members, draws, strict=True))
        ]
        params = [jax.tree.map(lambda x, i=i: x[i], out["params"]) for i in range(len(rows))]
        return rows, params

    def finetune(self, pack: Pack) -> list[Row]:
        """Finetunes a pack of variants and scores every validation and test example.

        Returns:
          One row per variant: its settings, realised counts, status and scores.
        """
        network = self._network(1)
        draws = [self.curator.finetune(variant) for variant in pack.members]
        labels = [
            self.curator.cells(variant.task).labels()[draw.ids]
            for variant, draw in zip(pack.members, draws, strict=True)
        ]
        start = [self._start(network, variant) for variant in pack.members]
        keys = [_key("finetune", variant.seed) for variant in pack.members]
        scored = np.concatenate([self.validation, self.test])
        recipes = [variant.recipe for variant in pack.members]
        objective = pack.members[0].objective
        out = self._run(
            pack, network, recipes, objective, start, draws, labels, keys, scored, keep=False
        )
        rows = []
        for i, (variant, draw) in enumerate(zip(pack.members, draws, strict=True)):
            scores = np.asarray(out["scores"][i, :, 0], np.float32)
            rows.append(
                {
                    "variant": variant.id,
                    "task": variant.task,
                    "base": variant.base.name,
                    "role": variant.base.role,
                    "base_id": variant.base.id,
                    "pretrain_seed": variant.base.seed,
                    "curation": variant.curation.name,
                    "kind": variant.curation.kind,
                    "level": _or_nan(variant.curation.level),
                    "prevalence": _or_nan(variant.curation.prevalence),
                    "k": _or_nan(variant.curation.k),
                    "n": variant.n,
                    **dataclasses.asdict(variant.recipe),
                    "seed": variant.seed,
                    **_outcome(self.curator.cells(variant.task).names, draw, out, i),
                    "ids": draw.ids,
                    "validation_scores": scores[: len(self.validation)],
                    "test_scores": scores[len(self.validation) :],
                }
            )
        return rows

    def _start(self, network: Network, variant: Variant) -> Params:
        fresh = self.fresh(network, variant.seed)
        if variant.base.role == "scratch":
            return fresh
        pretrained = self.base_params(variant.base, self.network_of(variant.base))
        return {**pretrained, "head": fresh["head"]}

    def _fresh(self, network: Network, seed: int) -> Params:
        return jax.tree.map(
            np.asarray, jax.jit(network.init)(jax.random.wrap_key_data(_key("init", seed)))
        )

    def _run(
        self,
        pack: Pack,
        network: Network,
        recipes: list[Recipe],
        objective: str,
        start: list[Params],
        draws: list,
        labels: list[np.ndarray],
        keys: list[np.ndarray],
        scored: np.ndarray,
        keep: bool,
    ) -> Row:
        """Pads the pack to its width with copies of its last member, and runs it."""
        mode, epochs, batch, momentum = recipes[0].shape
        cells = len(draws[0].counts)
        schedule = Schedule(len(draws[0].ids), epochs, batch, momentum, mode, objective, cells)
        members = [
            (
                params,
                Examples(
                    draw.ids, label.astype(np.int32), draw.weights, draw.cells, draw.balanced()
                ),
                Hyper(*(np.float32(getattr(recipe, name)) for name in Hyper._fields)),
                key,
            )
            for params, recipe, draw, label, key in zip(
                start, recipes, draws, labels, keys, strict=True
            )
        ]
        members += [members[-1]] * (pack.width - len(members))
        stacked = split_variants(
            jax.tree.map(lambda *leaves: np.stack(leaves), *members), self.mesh
        )
        shared = (replicate(scored, self.mesh), self.images)
        program = self._program((network, schedule, keep), stacked, shared)
        began = time.perf_counter()
        out = jax.tree.map(np.asarray, program(stacked, shared))
        seconds = time.perf_counter() - began
        self.train_steps += schedule.steps * len(draws)
        self.train_seconds += seconds
        return {**out, "seconds": seconds / len(draws)}

    def _program(self, key: tuple, stacked: Any, shared: Any) -> Callable:
        """Compiles once per signature: network, schedule and the shapes of the arguments."""
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves((stacked, shared)))
        if (key, shapes) not in self._programs:
            network, schedule, keep = key
            began = time.perf_counter()
            one = _train_and_score(network, schedule, keep)
            lifted = shard_variants(map_variants(one, self.plan.mode), self.mesh)
            self._programs[key, shapes] = jax.jit(lifted).lower(stacked, shared).compile()
            self.compile_seconds += time.perf_counter() - began
        return self._programs[key, shapes]


def _train_and_score(network: Network, schedule: Schedule, keep: bool) -> Callable:
    """One member from start to scores; its parameters are returned only where they are kept."""
    train, score = make_train(network, schedule), make_score(network)

    def one(member: tuple, shared: tuple) -> dict[str, Any]:
        params, examples, hyper, key = member
        scored, images = shared
        trained = train(params, examples, hyper, jax.random.wrap_key_data(key), images)
        out = {
            "scores": score(trained.params, scored, images),
            "loss": trained.loss,
            "diverged_at": trained.diverged_at,
        }
        return {**out, "params": trained.params} if keep else out

    return one


def _outcome(cells: tuple[str, ...], draw: Draw, out: Row, i: int) -> Row:
    diverged_at = int(out["diverged_at"][i])
    return {
        "realised_n": len(draw.ids),
        "quotas": json.dumps(dict(zip(cells, draw.counts.tolist(), strict=True))),
        "status": "ok" if diverged_at < 0 else f"diverged at step {diverged_at}",
        "loss": float(out["loss"][i]),
        "train_seconds": out["seconds"],
    }


def _key(purpose: str, seed: int) -> np.ndarray:
    """Data of a key of purpose and seed alone: variants of a seed share batch orders and heads."""
    digest = hashlib.sha256(f"{purpose}/{seed}".encode()).digest()
    return np.asarray(jax.random.key_data(jax.random.key(int.from_bytes(digest[:4], "little"))))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
