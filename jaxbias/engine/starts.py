"""Starts: what trainings begin with, fresh parameters, those of bases, and features of bases."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbias import words
from jaxbias.capacity import require_ram
from jaxbias.engine.curator import Curator
from jaxbias.engine.executor import Executor
from jaxbias.engine.features import EXTRACTED, Features, extract, features_id, principal_axes
from jaxbias.engine.feed import Feed
from jaxbias.engine.members import inputs_of, key_of
from jaxbias.engine.passes import Extraction, ExtractionFed
from jaxbias.engine.programs import params_of
from jaxbias.models import Head, Network, make_network
from jaxbias.models.network import Params
from jaxbias.parallel import replicate, split_variants
from jaxbias.plan.variants import Base, Variant
from jaxbias.weights import Imported, describe_imported, load

LoadBase = Callable[[Base, Network], Params]
LoadFeatures = Callable[[Base, str, Callable[[], Features]], Features]


class Starts:
    """Parameters and features of one study.

    Args:
      curator: of the study.
      executor: extracts features.
      feed: gives images of the host instead, or None.
      load_base: returns the stored parameters of a base, given its network.
      load_features: returns the stored features of a base under a name, or makes and stores them.
    """

    def __init__(
        self,
        curator: Curator,
        executor: Executor,
        feed: Feed | None,
        load_base: LoadBase,
        load_features: LoadFeatures,
    ) -> None:
        self.curator = curator
        self.executor = executor
        self.feed = feed
        # What features are extracted of, in ascending order.
        self.rows = np.flatnonzero(
            np.any([curator.pools[name] for name in EXTRACTED], axis=0)
        ).astype(np.int32)
        self.base_params = functools.cache(load_base)
        # Compiled once: a bound method is another function to JAX each time it is looked up.
        self.init = functools.cache(lambda network: jax.jit(network.init))
        self.fresh = functools.cache(self._fresh)
        # The study's, of so many outputs, as it is mapped in packs if nothing else is said.
        self.network = functools.cache(self._network)
        self.weights = functools.cache(load)
        self.load_features = load_features
        # Packs come base by base, so one base's features are on the devices at a time.
        self.features_on_device = functools.lru_cache(maxsize=1)(self._features_on_device)

    @functools.cached_property
    def images(self) -> jax.Array:
        """The image store, on every device from its first use on."""
        return replicate(np.asarray(self.curator.dataset.images), self.executor.mesh)

    def images_on(self, mesh: Mesh) -> jax.Array:
        """Returns the image store on every device of a mesh."""
        devices = [each.devices.ravel().tolist() for each in (mesh, self.executor.mesh)]
        if devices[0] == devices[1] and jax.process_count() == 1:
            return jax.device_put(self.images, NamedSharding(mesh, PartitionSpec()))
        return replicate(np.asarray(self.curator.dataset.images), mesh)

    def _network(self, outputs: int, mapped: str = "") -> Network:
        study = self.curator.study
        mapped = mapped or self.executor.mode
        return make_network(study.model, study.data.image_size, outputs, mapped=mapped)

    def network_of(self, base: Base) -> Network:
        """Returns the network a base is pretrained with: one output per class, one if binary."""
        return self.network(self.curator.outputs(base))

    def finetuned(self, base: Base, outputs: int = 1) -> Network:
        """Returns the network that is finetuned from a base: an imported base has its own."""
        if base.role != "imported":
            return self.network(outputs)
        model = self.curator.study.model
        return self._imported(base).network(outputs, model, self.executor.mode)

    def _imported(self, base: Base) -> Imported:
        return describe_imported(Path(self.curator.study.bases[base.name].weights))

    def of(self, network: Network, variant: Variant) -> Params:
        """Returns what a finetune starts with: its base's parameters, and a fresh head."""
        fresh = self.fresh(network, variant.seed)
        return {**self.frozen(variant.base)[1], "head": fresh["head"]}

    def frozen(self, base: Base) -> tuple[Network, Params]:
        """Returns a base's network and parameters, random ones for a scratch base."""
        if base.role == "scratch":
            network = self.network(1)
            return network, self.fresh(network, base.seed)
        if base.role == "imported":
            return self.finetuned(base), self.weights(self._imported(base))
        network = self.network_of(base)
        return network, self.base_params(base, network)

    def places(self, ids: np.ndarray) -> np.ndarray:
        """Returns int32, the rows of the features that belong to rows of the image store."""
        return np.searchsorted(self.rows, ids).astype(np.int32)

    def _fresh(self, network: Network, seed: int) -> Params:
        key = jax.random.wrap_key_data(key_of("init", seed))
        return jax.tree.map(np.asarray, self.init(network)(key))

    def features(self, base: Base, solver: str) -> Features:
        """Returns the features that heads of a solver see of a base, extracting them once."""
        network, params = self.frozen(base)
        principal = solver == "lbfgs"
        name = features_id(base, network, self.curator.dataset.fingerprint, principal)

        def make() -> Features:
            # As they are computed, in one piece, and turned into principal axes.
            require_ram(
                (3 if principal else 2) * 4 * len(self.rows) * inputs_of(network),
                f"the features that base '{base.name}' makes of "
                f"{words.count(len(self.rows), 'image')}",
                "use fewer images, or a network whose last layer is narrower",
            )
            mesh, store = self.executor.mesh, self.curator.dataset.images.shape
            # The head is not used, and imported weights may have one of their own.
            headless = params_of(Head(inputs_of(network), network.outputs))
            params_there = replicate({**params, **headless}, mesh)
            if self.feed is None:
                program, shared = Extraction(network, store), (params_there, self.images)
                load = functools.partial(split_variants, mesh=mesh)
            else:
                program, shared = ExtractionFed(network, store), params_there
                load = self.feed.blocks
            call = functools.partial(self.executor.call, program, shared=shared)
            values = extract(self.rows, mesh, load, call)
            pool = self.curator.pools["finetune"][self.rows]
            return principal_axes(values, pool) if principal else Features(values)

        return self.load_features(base, name, make)

    def _features_on_device(self, base: Base, solver: str) -> tuple[Any, Any]:
        features = self.features(base, solver)
        variances = np.zeros(0, np.float32) if features.variances is None else features.variances
        return replicate((np.asarray(features.values), variances), self.executor.mesh)
