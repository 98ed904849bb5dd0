"""The runner: trains one pack in one compiled program and returns one row per member."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbias.data.dataset import Dataset
from jaxbias.engine.curator import Curator
from jaxbias.engine.executor import Executor
from jaxbias.engine.features import Features
from jaxbias.engine.feed import Feed
from jaxbias.engine.members import examples_of, hyper_of, key_of, penalty_of, schedule_of
from jaxbias.engine.memory import device_room
from jaxbias.engine.programs import fitted_heads, heads, networks
from jaxbias.engine.rows import DIVERGED, Row, base_row, variant_row
from jaxbias.engine.signatures import signatures
from jaxbias.engine.starts import LoadBase, LoadFeatures, Starts
from jaxbias.models import Head, Network
from jaxbias.models.registry import Params
from jaxbias.parallel import make_mesh, replicate
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.variants import Base, Recipe, Variant
from jaxbias.study import Study
from jaxbias.training import Examples, Schedule


class Runner:
    """Runs the packs of a plan.

    Args:
      study: the study.
      dataset: its data.
      plan: fixes the layout: mode and devices.
      load_base: returns the stored parameters of a base, given its network.
      load_features: returns the stored features of a base under a name, or makes and stores them.
    """

    def __init__(
        self,
        study: Study,
        dataset: Dataset,
        plan: Plan,
        load_base: LoadBase,
        load_features: LoadFeatures = lambda base, name, make: make(),
    ) -> None:
        self.study = study
        self.plan = plan
        self.curator = Curator(study, dataset)
        # Before anything is put there.
        room = device_room(study.grid.memory_mib, plan.devices)
        self.executor = Executor(make_mesh(plan.devices, plan.data_devices), plan.mode, room)
        # Where the images stay on the host.
        self.feed = (
            Feed(self.executor, dataset.images, plan.data_devices) if plan.store == "host" else None
        )
        self.starts = Starts(
            self.curator, self.executor, lambda: self.images, self.feed, load_base, load_features
        )
        self.validation = np.flatnonzero(self.curator.pools["validation"]).astype(np.int32)
        self.test = np.flatnonzero(self.curator.pools["test"]).astype(np.int32)
        self.train_seconds = 0.0
        self.train_steps = 0
        self.run_seconds = 0.0  # Of all programs, fits to convergence too.
        self.trained_images = 0
        self.scored_images = 0
        self.mesh = self.executor.mesh
        self.rows = self.starts.rows
        self.fresh = self.starts.fresh

    def counters(self) -> dict[str, float]:
        """Returns what was done so far. Training and scoring are one program, one time."""
        return {
            "compile_seconds": self.compile_seconds,
            "train_and_score_seconds": self.run_seconds,
            "trained_images": self.trained_images,
            "scored_images": self.scored_images,
        }

    @property
    def compile_seconds(self) -> float:
        """Spent compiling so far."""
        return self.executor.compile_seconds

    @functools.cached_property
    def images(self) -> jax.Array:
        """The image store, on every device from its first use on."""
        return replicate(np.asarray(self.curator.dataset.images), self.mesh)

    def images_on(self, mesh: Mesh) -> jax.Array:
        """Returns the image store on every device of a mesh."""
        alike = mesh.devices.ravel().tolist() == self.mesh.devices.ravel().tolist()
        if alike and jax.process_count() == 1:
            return jax.device_put(self.images, NamedSharding(mesh, PartitionSpec()))
        return replicate(np.asarray(self.curator.dataset.images), mesh)

    def network_of(self, base: Base) -> Network:
        """Returns the network a base is pretrained with: one output per class, one if binary."""
        return self.starts.network_of(base)

    def features(self, base: Base, solver: str) -> Features:
        """Returns the features that heads of a solver see of a base, extracting them once."""
        return self.starts.features(base, solver)

    def signatures(self, variants: list[Variant]) -> dict[str, Any]:
        """Returns, per variant and base id, the static shapes that must agree within a pack.

        Raises:
          InputError: a curation needs examples that the data does not have.
        """
        return signatures(self.curator, self.starts, variants)

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
            schedule_of(recipe, "erm", len(draws[0].ids), len(draws[0].counts)),
            recipes=[recipe] * len(draws),
            start=[self.fresh(network, base.seed) for base in pack.members],
            examples=[
                examples_of(draw, self.curator.cells(base.target).labels())
                for base, draw in zip(pack.members, draws, strict=True)
            ],
            scored=self.validation,
            purpose="pretrain",
        )
        rows = [
            base_row(base, self.curator.cells(base.target).names, draw, out, i)
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
            examples_of(draw, self.curator.cells(variant.task).labels())
            for variant, draw in zip(pack.members, draws, strict=True)
        ]
        schedule = schedule_of(
            first.recipe, first.objective, len(draws[0].ids), len(draws[0].counts)
        )
        scored = np.concatenate([self.validation, self.test])
        if first.recipe.mode == "head":
            out = self._train_heads(pack, schedule, examples, scored)
        else:
            network = self.starts.finetuned(first.base)
            out = self._train_networks(
                pack,
                network,
                schedule,
                recipes=[variant.recipe for variant in pack.members],
                start=[self.starts.of(network, variant) for variant in pack.members],
                examples=examples,
                scored=scored,
                purpose="finetune",
            )
        return [
            variant_row(
                variant,
                self.curator.cells(variant.task).names,
                draw,
                out,
                i,
                validation=len(self.validation),
            )
            for i, (variant, draw) in enumerate(zip(pack.members, draws, strict=True))
        ]

    def _train_heads(
        self, pack: Pack, schedule: Schedule, examples: list[Examples], scored: np.ndarray
    ) -> Row:
        """Trains a pack of heads of one base and seed on the base's features."""
        first = pack.members[0]
        features, variances = self.starts.features_on_device(first.base, first.recipe.solver)
        head = Head(features.shape[1])
        examples = [
            part._replace(ids=np.searchsorted(self.rows, part.ids).astype(np.int32))
            for part in examples
        ]
        places = np.searchsorted(self.rows, scored).astype(np.int32)
        recipes = [variant.recipe for variant in pack.members]
        if first.recipe.solver == "lbfgs":
            members = list(zip(examples, map(penalty_of, recipes), strict=True))
            maker = (fitted_heads, head, schedule.objective)
            return self.run(pack, maker, members, (places, features, variances))
        start = {"head": self.fresh(self.starts.finetuned(first.base), first.seed)["head"]}
        members = [
            (start, part, hyper_of(recipe)) for part, recipe in zip(examples, recipes, strict=True)
        ]
        shared = (places, features, key_of("finetune", first.seed))
        return self.run(
            pack, (heads, head, schedule), members, shared, schedule.steps, schedule.batch
        )

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
        keys = [key_of(purpose, member.seed) for member in pack.members]
        members = list(zip(start, examples, map(hyper_of, recipes), keys, strict=True))
        sgd = schedule.steps, schedule.batch
        keep = purpose == "pretrain"
        if self.feed:
            asked = (network, schedule, members, pack.width, scored, keep)
            return self._counted(pack, functools.partial(self.feed.train, *asked), scored, *sgd)
        maker = (networks, network, schedule, keep, self.plan.data_devices)
        return self.run(pack, maker, members, (scored, self.images), *sgd)

    def run(
        self,
        pack: Pack,
        maker: tuple,
        members: Sequence[Any],
        shared: tuple,
        steps: int = 0,
        batch: int = 0,
    ) -> Row:
        """Runs the program of a pack and counts what it took.

        Args:
          pack: the members, and the width they are padded to.
          maker: of the program, as the executor takes it.
          members: the arrays of each.
          shared: what they share; what is scored comes first.
          steps: of each member; a fit to convergence has none to count.
          batch: examples of a step.

        Returns:
          What the program returns, as host arrays, with the seconds of a member and what its
          failure is called before the number of its step.
        """
        run = functools.partial(self.executor.run, maker, members, pack.width, shared)
        return self._counted(pack, run, shared[0], steps, batch)

    def _counted(
        self, pack: Pack, run: Callable[[], Row], scored: np.ndarray, steps: int, batch: int
    ) -> Row:
        """Runs a pack and counts what it took."""
        began, compiled = time.perf_counter(), self.compile_seconds
        out = run()
        seconds = time.perf_counter() - began - (self.compile_seconds - compiled)
        if steps:
            self.train_steps += steps * len(pack.members)
            self.trained_images += steps * batch * len(pack.members)
            self.train_seconds += seconds
        self.run_seconds += seconds
        self.scored_images += len(scored) * len(pack.members)
        failure = DIVERGED if steps else "did not converge by iteration"
        return {**out, "seconds": seconds / len(pack.members), "failure": failure}
