"""Starts: what trainings begin with, fresh parameters, those of bases, and features of bases."""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbias import words
from jaxbias.capacity import require_ram
from jaxbias.engine.curator import Curator
from jaxbias.engine.executor import Executor
from jaxbias.engine.features import (
    EXTRACTED,
    LEARNT,
    Features,
    extract,
    features_id,
    principal_axes,
    trunk_id,
)
from jaxbias.engine.feed import Feed
from jaxbias.engine.members import activations_of, inputs_of, key_of
from jaxbias.engine.passes import Extraction, ExtractionFed
from jaxbias.engine.programs import params_of
from jaxbias.models import Head, Network, Tail, make_network, tail_of
from jaxbias.models.network import Params
from jaxbias.parallel import replicate, split_variants
from jaxbias.plan.variants import Base, Variant
from jaxbias.training import Store, stored
from jaxbias.weights import Imported, describe_imported, load

LoadBase = Callable[[Base, Network], Params]
LoadFeatures = Callable[[str, str, Callable[[], Features]], Features]


class Starts:
    """Parameters and features of one study.

    Args:
      curator: of the study.
      executor: extracts features.
      feed: gives images of the host instead, or None.
      load_base: returns the stored parameters of a base, given its network.
      load_features: returns the stored features of a base's id, or a trunk's, under a name, or
        makes and stores them.
      trunks: whether what trunks of imported weights make of images is stored.
    """

    def __init__(
        self,
        curator: Curator,
        executor: Executor,
        feed: Feed | None,
        load_base: LoadBase,
        load_features: LoadFeatures,
        trunks: bool = False,
    ) -> None:
        self.curator = curator
        self.executor = executor
        self.feed = feed
        # What features are extracted of, in ascending order.
        self.rows = self._rows_of(EXTRACTED)
        self.trunks = trunks
        # Whether pretraining goes on from there decides what trunks are asked about.
        continued = any(spec.trained == "last_block" for spec in curator.study.bases.values())
        self.splits = ("pretrain", *EXTRACTED) if continued else EXTRACTED
        self.trunk_rows = self._rows_of(self.splits)
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
        # Of one trunk at a time: its id, and what it makes of images, on the devices.
        self._activations: tuple[str, Store] | None = None

    def _rows_of(self, splits: Sequence[str]) -> np.ndarray:
        """Returns int32, the rows of the image store that are in some splits, ascending."""
        pools = [self.curator.pools[name] for name in splits]
        return np.flatnonzero(np.any(pools, axis=0)).astype(np.int32)

    @functools.cached_property
    def images(self) -> Store:
        """The image store, on every device from its first use on."""
        return replicate(stored(np.asarray(self.curator.dataset.images)), self.executor.mesh)

    def _network(self, outputs: int, mapped: str = "") -> Network:
        study = self.curator.study
        mapped = mapped or self.executor.mode
        return make_network(study.model, study.data.image_size, outputs, mapped=mapped)

    def network_of(self, base: Base, mapped: str = "") -> Network:
        """Returns the network a base is pretrained with: one output per class, one if binary."""
        return self._network_for(base, self.curator.outputs(base), mapped)

    def finetuned(self, base: Base, outputs: int = 1) -> Network:
        """Returns the network that is finetuned from a base: imported weights have their own."""
        return self._network_for(base, outputs)

    def _network_for(self, base: Base, outputs: int, mapped: str = "") -> Network:
        mapped = mapped or self.executor.mode
        if not base.weights:
            return self.network(outputs, mapped)
        return self._imported(base).network(outputs, self.curator.study.model, mapped)

    def trained(self, network: Network, base: Base, mode: str) -> Network:
        """Returns what is trained of a network that starts from a base: its tail alone, if stored.

        Where the activations of the base's trunk are stored, mode "last_block" trains on them.
        """
        return tail_of(network) if self.trunks and base.trunk and mode == "last_block" else network

    def store_shape(self, model: Network, base: Base) -> tuple[int, ...]:
        """Returns the shape of the store of what a model takes for images."""
        if not isinstance(model, Tail):
            return self.curator.dataset.images.shape
        return len(self.trunk_rows), 2, *activations_of(self.finetuned(base))

    def store(self, model: Network, base: Base) -> tuple[Store, Callable]:
        """Returns that store, on the devices, and what maps rows of the image store to its own."""
        if not isinstance(model, Tail):
            return self.images, lambda ids: ids
        if self._activations is None or self._activations[0] != base.trunk:
            self._activations = None  # Another trunk's make room first.
            found = replicate(stored(np.asarray(self._trunk(base).values)), self.executor.mesh)
            self._activations = base.trunk, found
        return self._activations[1], self._trunk_places

    def store_on(
        self, model: Network, base: Base, mesh: Mesh
    ) -> tuple[Store | None, Callable[[np.ndarray], np.ndarray]]:
        """Returns `store` on every device of a mesh, None where images are on the host."""
        tail = isinstance(model, Tail)
        if self.feed is not None and not tail:
            return None, lambda ids: ids
        devices = [each.devices.ravel().tolist() for each in (mesh, self.executor.mesh)]
        if devices[0] == devices[1] and jax.process_count() == 1:
            store, places = self.store(model, base)
            return jax.device_put(store, NamedSharding(mesh, PartitionSpec())), places
        if not tail:
            return replicate(stored(np.asarray(self.curator.dataset.images)), mesh), lambda ids: ids
        return replicate(stored(np.asarray(self._trunk(base).values)), mesh), self._trunk_places

    def _imported(self, base: Base) -> Imported:
        return describe_imported(Path(self.curator.study.bases[base.name].weights))

    def of(self, network: Network, variant: Variant) -> Params:
        """Returns what a finetune starts with: its base's parameters, and a fresh head."""
        return self._with_head(network, self.frozen(variant.base)[1], variant.seed)

    def begin(self, network: Network, base: Base) -> Params:
        """Returns what a pretraining starts with: fresh parameters, or weights and a fresh head."""
        if not base.weights:
            return self.fresh(network, base.seed)
        return self._with_head(network, self.weights(self._imported(base)), base.seed)

    def whole(self, model: Network, base: Base, params: Params) -> Params:
        """Returns the parameters of a base, given what was trained of it."""
        if not isinstance(model, Tail):
            return params
        return model.whole(self.weights(self._imported(base)), params)

    def _with_head(self, network: Network, params: Params, seed: int) -> Params:
        whole = {**params, "head": self.fresh(network, seed)["head"]}
        return network.part(whole) if isinstance(network, Tail) else whole

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
        return _places(self.rows, ids)

    def _trunk_places(self, ids: np.ndarray) -> np.ndarray:
        return _places(self.trunk_rows, ids)

    def _fresh(self, network: Network, seed: int) -> Params:
        key = jax.random.wrap_key_data(key_of("init", seed))
        return jax.tree.map(np.asarray, self.init(network)(key))

    def features(self, base: Base, solver: str) -> Features:
        """Returns the features that heads of a solver see of a base, extracting them once."""
        network, params = self.frozen(base)
        principal = solver == "lbfgs"

        def make() -> Features:
            # As they are computed, in one piece, and turned into principal axes.
            require_ram(
                (3 if principal else 2) * 4 * len(self.rows) * inputs_of(network),
                f"the features that base '{base.name}' makes of "
                f"{words.count(len(self.rows), 'image')}",
                "use fewer images, or a network whose last layer is narrower",
            )
            # The head is not used, and imported weights may have one of their own.
            whole = {**params, **params_of(Head(inputs_of(network), network.outputs))}
            seen = self.trained(network, base, "last_block")
            values = self._made(seen, base, whole, self.rows, np.zeros(len(self.rows), bool))
            pool = self.curator.pools["finetune"][self.rows]
            return principal_axes(values, pool) if principal else Features(values)

        return self.load_features(base.id, self.features_name(base, solver), make)

    def _trunk(self, base: Base) -> Features:
        """Returns what the trunk of a base makes of images and of their mirror images."""
        network = self.finetuned(base)

        def make() -> Features:
            rows, mirrored = self.trunk_asked()
            shape = self.store_shape(tail_of(network), base)
            require_ram(
                2 * 4 * math.prod(shape),
                f"what the trunk of base '{base.name}' makes of {words.count(shape[0], 'image')}",
                "use fewer images",
            )
            params = self.weights(self._imported(base))
            whole = {**params, **params_of(Head(inputs_of(network), network.outputs))}
            values = np.full(shape, np.nan, np.float32)
            places = self._trunk_places(rows), mirrored.astype(np.int32)
            values[places] = self._made(network, base, whole, rows, mirrored, trunk=True)
            return Features(values)

        return self.load_features(base.trunk, self.trunk_name(base), make)

    def trunk_asked(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns int32 and bool, of which images trunks are asked, and whether of their mirrors.

        Those that nothing is trained on are not mirrored.
        """
        pools = [self.curator.pools[name] for name in self.splits if name in LEARNT]
        mirrored = self.trunk_rows[np.any(pools, axis=0)[self.trunk_rows]]
        rows = np.concatenate([self.trunk_rows, mirrored])
        return rows, np.arange(len(rows)) >= len(self.trunk_rows)

    def features_name(self, base: Base, solver: str) -> str:
        """Returns the name of what `features` returns."""
        network = self.network_of(base) if base.target else self.finetuned(base)
        return features_id(base, network, self.curator.dataset.fingerprint, solver == "lbfgs")

    def trunk_name(self, base: Base) -> str:
        """Returns the name of what the trunk of a base makes of images."""
        data = self.curator.dataset.fingerprint
        return trunk_id(base, self.finetuned(base), data, self.splits)

    def _made(
        self,
        network: Network,
        base: Base,
        params: Params,
        rows: np.ndarray,
        mirrored: np.ndarray,
        trunk: bool = False,
    ) -> np.ndarray:
        """What a network, or its trunk, makes of rows of the image store, and of mirror images."""
        mesh, what = self.executor.mesh, "activations of the trunk" if trunk else "features"
        shape = self.store_shape(network, base)
        if isinstance(network, Tail) or self.feed is None:
            store, places = self.store(network, base)
            params = network.part(params) if isinstance(network, Tail) else params
            program, shared = Extraction(network, shape, trunk), (replicate(params, mesh), store)
            rows = places(rows)
            load = lambda *asked: split_variants(asked, mesh)  # noqa: E731
        else:
            program, shared = ExtractionFed(network, shape, trunk), replicate(params, mesh)
            load = self.feed.blocks
        call = functools.partial(self.executor.call, program, shared=shared)
        return extract(rows, mirrored, mesh, load, call, f"{what} of {base.name}")

    def _features_on_device(self, base: Base, solver: str) -> tuple[Any, Any]:
        features = self.features(base, solver)
        variances = np.zeros(0, np.float32) if features.variances is None else features.variances
        return replicate((np.asarray(features.values), variances), self.executor.mesh)


def _places(among: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Where ids are among ascending rows; int32."""
    return np.searchsorted(among, ids).astype(np.int32)
