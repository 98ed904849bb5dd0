"""The runner: trains one pack in one compiled program and returns one row per member."""

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbias.curation import Draw
from jaxbias.data.dataset import Dataset
from jaxbias.grid.curator import Curator
from jaxbias.grid.features import Features, features_id, principal_axes
from jaxbias.grid.heads import EXTRACTED, extract, head_bytes, widest
from jaxbias.grid.plan import Pack, Plan
from jaxbias.grid.programs import extraction, fitted_heads, heads, networks
from jaxbias.grid.variants import Base, Recipe, Variant
from jaxbias.models import Head, Network, make_network
from jaxbias.models.registry import Params
from jaxbias.parallel import make_mesh, replicate, shard_variants, split_variants
from jaxbias.study import Study
from jaxbias.training import Examples, Hyper, Penalty, Schedule
from jaxbias.weights import Imported, describe_imported, load

Row = dict[str, Any]


class Runner:
    """Runs the packs of a plan.

    Args:
      study: the study.
      dataset: its data.
      plan: fixes the layout: mode and devices.
      load_base: returns the stored parameters of a base, given its network.
      load_features: returns the stored features of a name, or makes and stores them.
    """

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        plan: Plan,
        load_base: Callable[[Base, Network], Params],
        load_features: Callable[[str, Callable[[], Features]], Features] = lambda _, make: make(),
    ) -> None:
        self.study = study
        self.plan = plan
        self.curator = Curator(study, dataset)
        self.mesh = make_mesh(plan.devices)
        self.images = replicate(np.asarray(dataset.images), self.mesh)
        self.validation = np.flatnonzero(self.curator.pools["validation"]).astype(np.int32)
        self.test = np.flatnonzero(self.curator.pools["test"]).astype(np.int32)
        # What features are extracted of, in ascending order.
        self.rows = np.flatnonzero(
            np.any([self.curator.pools[name] for name in EXTRACTED], axis=0)
        ).astype(np.int32)
        self.compile_seconds = 0.0
        self.train_seconds = 0.0
        self.train_steps = 0
        self.run_seconds = 0.0  # Of all programs, fits to convergence too.
        self.trained_images = 0
        self.scored_images = 0
        self._programs: dict[tuple, Callable] = {}
        self.base_params = functools.cache(load_base)
        self.fresh = functools.cache(self._fresh)
        self.network = functools.cache(self._network_from)
        self.weights = functools.cache(load)
        self.load_features = load_features
        # Packs come base by base, so one base's features are on the devices at a time.
        self.device_features = functools.lru_cache(maxsize=1)(self._features_on_device)

    def network_of(self, base: Base) -> Network:
        """Returns the network a base is pretrained with: one output per class, one if binary."""
        classes = self.curator.cells(base.target).classes
        return self._network(1 if classes == 2 else classes)

    def _network_from(self, base: Base) -> Network:
        """The network that is finetuned from a base."""
        if base.role != "imported":
            return self._network(1)
        return self._imported(base).network(1, self.study.model, self.plan.mode)

    def _imported(self, base: Base) -> Imported:
        return describe_imported(Path(self.study.bases[base.name].weights))

    def _network(self, outputs: int) -> Network:
        return make_network(
            self.study.model, self.study.data.image_size, outputs, mapped=self.plan.mode
        )

    def signatures(self, variants: list[Variant]) -> dict[str, Any]:
        """Returns, per variant and base id, the static shapes that must agree within a pack.

        Raises:
          InputError: a curation needs examples that the data does not have.
        """
        bases = {v.base.id: v.base for v in variants if v.base.trained_here}
        signatures: dict[str, Any] = {
            id: (self.network_of(base).outputs, self.curator.pretrain_size(base))
            for id, base in bases.items()
        }
        for variant in variants:
            shape = (
                variant.recipe.shape,
                variant.objective,
                len(self.curator.cells(variant.task).names),
            )
            size = self.curator.size(variant.task, variant.curation, variant.n)
            signatures[variant.id] = (1, size, *shape)
            if variant.base.role == "imported":
                signatures[variant.id] += (self.network(variant.base),)
            if variant.recipe.mode == "head":  # Heads of a pack share features and batch orders.
                shared = (variant.recipe.solver, variant.base.id, variant.seed)
                signatures[variant.id] += shared
        return signatures

    def pretrain(self, pack: Pack) -> tuple[list[Row], list[Params]]:
        """Pretrains a pack of bases.

        Returns:
          One row per base (its settings, realised counts, status, validation scores), and the
          parameters of each.
        """
        network = self.network_of(pack.members[0])
        recipe = Recipe.of(self.study.pretrain)
        draws = [self.curator.pretrain(base) for base in pack.members]
        out = self._train_networks(
            pack,
            network,
            _schedule(recipe, "erm", draws[0]),
            recipes=[recipe] * len(draws),
            start=[self.fresh(network, base.seed) for base in pack.members],
            examples=[
                _examples(draw, self.curator.cells(base.target).labels())
                for base, draw in zip(pack.members, draws, strict=True)
            ],
            scored=self.validation,
            purpose="pretrain",
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
        first = pack.members[0]
        draws = [self.curator.finetune(variant) for variant in pack.members]
        examples = [
            _examples(draw, self.curator.cells(variant.task).labels())
            for variant, draw in zip(pack.members, draws, strict=True)
        ]
        schedule = _schedule(first.recipe, first.objective, draws[0])
        scored = np.concatenate([self.validation, self.test])
        if first.recipe.mode == "head":
            out = self._train_heads(pack, schedule, examples, scored)
        else:
            network = self.network(first.base)
            out = self._train_networks(
                pack,
                network,
                schedule,
                recipes=[variant.recipe for variant in pack.members],
                start=[self._start(network, variant) for variant in pack.members],
                examples=examples,
                scored=scored,
                purpose="finetune",
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
        return {**self._frozen(variant.base)[1], "head": fresh["head"]}

    def _frozen(self, base: Base) -> tuple[Network, Params]:
        """A base's network and parameters, random ones for a scratch base."""
        if base.role == "scratch":
            network = self._network(1)
            return network, self.fresh(network, base.seed)
        if base.role == "imported":
            return self.network(base), self.weights(self._imported(base))
        network = self.network_of(base)
        return network, self.base_params(base, network)

    def _fresh(self, network: Network, seed: int) -> Params:
        return jax.tree.map(
            np.asarray, jax.jit(network.init)(jax.random.wrap_key_data(_key("init", seed)))
        )

    def features(self, base: Base, solver: str) -> Features:
        """Returns the features that heads of a solver see of a base, extracting them once."""
        network, params = self._frozen(base)
        principal = solver == "lbfgs"
        name = features_id(base, network, self.curator.dataset.fingerprint, principal)

        def make() -> Features:
            shared = (replicate(params, self.mesh), self.images)
            values = extract(
                self.rows, self.mesh, lambda ids: self._call((extraction, network), ids, shared)
            )
            pool = self.curator.pools["finetune"][self.rows]
            return principal_axes(values, pool) if principal else Features(values)

        return self.load_features(name, make)

    def _features_on_device(self, base: Base, solver: str) -> tuple[Any, Any]:
        features = self.features(base, solver)
        variances = np.zeros(0, np.float32) if features.variances is None else features.variances
        return replicate((np.asarray(features.values), variances), self.mesh)

    def heads_width(self, variants: list[Variant]) -> int:
        """Returns how many of the largest heads among variants fit the memory for a pack."""
        heads = [v for v in variants if v.recipe.mode == "head"]
        kinds = {(self.network(v.base), v.recipe, v.n) for v in heads}
        sizes = (
            head_bytes(
                recipe,
                features=features_of(network),
                n=n,
                scored=len(self.validation) + len(self.test),
                mode=self.plan.mode,
            )
            for network, recipe, n in kinds
        )
        return widest(self.study.grid.heads_mib * 2**20, max(sizes, default=1))

    def _train_heads(
        self, pack: Pack, schedule: Schedule, examples: list[Examples], scored: np.ndarray
    ) -> Row:
        """Trains a pack of heads of one base and seed on the base's features."""
        first = pack.members[0]
        features, variances = self.device_features(first.base, first.recipe.solver)
        head = Head(features.shape[1])
        examples = [
            part._replace(ids=np.searchsorted(self.rows, part.ids).astype(np.int32))
            for part in examples
        ]
        places = np.searchsorted(self.rows, scored).astype(np.int32)
        recipes = [variant.recipe for variant in pack.members]
        if first.recipe.solver == "lbfgs":
            penalties = [Penalty(np.float32(r.C), np.float32(r.tolerance)) for r in recipes]
            members = list(zip(examples, penalties, strict=True))
            maker = (fitted_heads, head, schedule.objective)
            return self._run(pack, maker, members, (places, features, variances), steps=0)
        start = {"head": self.fresh(self.network(first.base), first.seed)["head"]}
        members = [
            (start, part, _hyper(recipe)) for part, recipe in zip(examples, recipes, strict=True)
        ]
        shared = (places, features, _key("finetune", first.seed))
        return self._run(pack, (heads, head, schedule), members, shared, schedule.steps)

    def _train_networks(
        self,
        pack: Pack,
        network: Network,
        schedule: Schedule,
        recipes: list[Recipe],
        start: list[Params],
        examples: list[Examples],
        scored: np.ndarray,
        purpose: str,
    ) -> Row:
        """Trains a pack of whole networks on the images; those of bases are kept."""
        hypers = [_hyper(recipe) for recipe in recipes]
        keys = [_key(purpose, member.seed) for member in pack.members]
        members = list(zip(start, examples, hypers, keys, strict=True))
        maker = (networks, network, schedule, purpose == "pretrain")
        return self._run(pack, maker, members, (scored, self.images), steps=schedule.steps)

    def _run(self, pack: Pack, maker: tuple, members: list, shared: tuple, steps: int) -> Row:
        """Pads the pack to its width with copies of its last member, and runs its program."""
        members = members + [members[-1]] * (pack.width - len(members))
        stacked = split_variants(
            jax.tree.map(lambda *leaves: np.stack(leaves), *members), self.mesh
        )
        began, compiled = time.perf_counter(), self.compile_seconds
        out = self._call(maker, stacked, replicate(shared, self.mesh))
        seconds = time.perf_counter() - began - (self.compile_seconds - compiled)
        if steps:  # A fit to convergence has no steps to count.
            self.train_steps += steps * len(pack.members)
            self.trained_images += steps * maker[2].batch * len(pack.members)
            self.train_seconds += seconds
        self.run_seconds += seconds
        self.scored_images += len(shared[0]) * len(pack.members)
        # What a failure is called before the number of its step.
        failure = (
            "did not converge by iteration" if maker[0] is fitted_heads else "diverged at step"
        )
        return {**out, "seconds": seconds / len(pack.members), "failure": failure}

    def _call(self, maker: tuple, stacked: Any, shared: Any) -> Any:
        """Runs a program on arguments that lie on the devices; returns host arrays."""
        program = self._program(maker, stacked, shared)
        return jax.tree.map(np.asarray, program(stacked, shared))

    def _program(self, maker: tuple, stacked: Any, shared: Any) -> Callable:
        """Compiles once per signature: what makes the program, and the shapes of its arguments."""
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves((stacked, shared)))
        if (maker, shapes) not in self._programs:
            make, *static = maker
            began = time.perf_counter()
            lifted = shard_variants(make(*static, self.plan.mode), self.mesh)
            self._programs[maker, shapes] = jax.jit(lifted).lower(stacked, shared).compile()
            self.compile_seconds += time.perf_counter() - began
        return self._programs[maker, shapes]


@functools.cache
def features_of(network: Network) -> int:
    """Returns how many features the head of a network sees."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    return shapes["head"]["kernel"].shape[0]


def _schedule(recipe: Recipe, objective: str, draw: Draw) -> Schedule:
    mode, epochs, batch, momentum = recipe.shape
    return Schedule(len(draw.ids), epochs, batch, momentum, mode, objective, len(draw.counts))


def _examples(draw: Draw, labels: np.ndarray) -> Examples:
    """The curated set of a draw, given the labels of its whole dataset."""
    chosen = labels[draw.ids].astype(np.int32)
    return Examples(draw.ids, chosen, draw.weights, draw.cells, draw.balanced())


def _hyper(recipe: Recipe) -> Hyper:
    return Hyper(*(np.float32(getattr(recipe, name)) for name in Hyper._fields))


def _outcome(cells: tuple[str, ...], draw: Draw, out: Row, i: int) -> Row:
    failed_at = int(out["diverged_at"][i])
    return {
        "realised_n": len(draw.ids),
        "quotas": json.dumps(dict(zip(cells, draw.counts.tolist(), strict=True))),
        "status": "ok" if failed_at < 0 else f"{out['failure']} {failed_at}",
        "loss": float(out["loss"][i]),
        "train_seconds": out["seconds"],
    }


def _key(purpose: str, seed: int) -> np.ndarray:
    """Data of a key of purpose and seed alone: variants of a seed share batch orders and heads."""
    digest = hashlib.sha256(f"{purpose}/{seed}".encode()).digest()
    return np.asarray(jax.random.key_data(jax.random.key(int.from_bytes(digest[:4], "little"))))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
