"""Planning: what is to be done by what is known so far, agreed upon with other processes."""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from jaxbias import data
from jaxbias.capacity import gib, require_ram
from jaxbias.costs.modes import chosen_mode
from jaxbias.costs.packing import extend
from jaxbias.data.dataset import Dataset
from jaxbias.data.exclusions import exclusions
from jaxbias.engine import features
from jaxbias.engine.features import Features
from jaxbias.engine.layout import Layout
from jaxbias.engine.limits import check_limits, shrunk_text
from jaxbias.engine.members import activations_of
from jaxbias.engine.memory import device_room
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.files.claims import Claims
from jaxbias.models import Network, make_network
from jaxbias.models.network import Params
from jaxbias.parallel import make_mesh
from jaxbias.peers import all_say, first_says, is_first
from jaxbias.plan.packs import Plan
from jaxbias.plan.variants import Base
from jaxbias.stages import screen
from jaxbias.stages.bases import check_batch
from jaxbias.stages.gang import wait_until
from jaxbias.stages.search import read_results
from jaxbias.study import Study, by_loop
from jaxbias.targets import target
from jaxbias.training import stored_bytes
from jaxbias.weights import checkpoint, content_hash, departures, describe_imported
from jaxbias.workdir.results import ResultDirectory

# Of the files of features; the last says what the first holds.
_ENDS = ("npy", "json")
# What the first process of a gang says of features.
_MAKE, _STORED = "make", "stored"
# Of parameters, in the training of one network.
_COPIES = 3


def load_data(study: Study, directory: ResultDirectory | None = None) -> Dataset:
    """Reads the data of a study that is to be trained.

    Args:
      study: the study.
      directory: of its results, which may have a plan already.

    Raises:
      InputError: the data, the machine or the directory cannot hold the study; all that can be
        told from settings and labels is told before an image is decoded.
    """
    if directory is not None:
        directory.check(study)
    notes = departures(study)
    plan = directory.plan() if directory is not None else None
    pretrained = plan is not None and all(map(directory.has, plan.bases))

    def check(labelled: Dataset) -> None:
        check_limits(study, labelled)
        _check_machine(study, len(labelled.table), pretrained)

    dataset = data.load(study.data, check)
    notes += [*exclusions(dataset, study), *filter(None, [shrunk_text(study, dataset)])]
    return dataclasses.replace(dataset, notes=(*dataset.notes, *notes))


def _check_machine(study: Study, images: int, pretrained: bool) -> None:
    """Refuses a study that the devices of this machine cannot hold or share out."""
    devices = devices_of(study)
    make_mesh(devices)
    looped = any(base.target and by_loop(study, base) for base in study.bases.values())
    if looped and not pretrained:
        check_batch(study.pretrain, devices)
    side = study.data.image_size
    _store(study, devices, (images, side, side, 3))
    shapes = jax.eval_shape(
        make_network(study.model, study.data.image_size, 1).init, jax.random.key(0)
    )
    held = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    require_ram(
        _COPIES * held,
        "config.model: the parameters of one training, its gradients and momenta",
        "use a smaller model, such as smaller config.model.widths",
    )


class Planner:
    """Lays out the packs of a study by what is known so far, together with other processes.

    Args:
      study: the study.
      dataset: its data.
      directory: of its results.
      claims: of the directory.
    """

    def __init__(
        self, study: Study, dataset: Dataset, directory: ResultDirectory, claims: Claims
    ) -> None:
        self.study = study
        self.dataset = dataset
        self.directory = directory
        self._claims = claims

    @functools.cached_property
    def runner(self) -> Runner:
        """A runner of the study on this machine's devices."""
        layout = agreed(layout_of(self.study, self.dataset))
        runner = Runner(self.study, self.dataset, layout, self._load_base, self._load_features)
        for task in self.study.tasks:
            runner.curator.check_evaluation(task)
        return runner

    def agree(self) -> Plan:
        """Writes or extends the plan, or takes the one that another process wrote meanwhile."""
        study, directory = self.study, self.directory
        while True:
            directory.check(study, self.dataset)
            old = directory.plan()
            results = read_results(directory, old)
            finetunes = screen.wanted(study, self.dataset, directory) if study.screen.on else None
            so_far = old or Plan(self.dataset.fingerprint)
            plan = extend(so_far, self.runner.catalog, results, finetunes)
            if plan == old and directory.is_claimed(study, self.dataset):
                return plan  # A thousand processes that only join need not queue.
            with self._claims.lock("plan") as claim:
                if directory.plan() == old and claim.confirm():
                    directory.claim(study, self.dataset)
                    if plan != old:
                        directory.write_plan(plan)
                    return plan

    def _load_base(self, base: Base, network: Network) -> Params:
        directory = self.directory
        path, recorded = directory.base_path(base.id), directory.parameters().get(base.id)
        directory.place.fetch_folder(f"bases/{base.id}")
        try:
            params = checkpoint.load(path, network)
            if recorded not in (None, content_hash(params)):
                raise InputError(f"{path} holds other parameters than those that were pretrained")
        except InputError as error:
            raise directory.lost_base(base, error) from error
        return params

    def _load_features(self, id: str, name: str, make: Callable[[], Features]) -> Features:
        of = self.directory.parameters().get(id, "")
        if not is_first():  # Of a gang all extract them; the first has the claim, and stores them.
            while first_says() == _MAKE:
                make()
            return self._seen_features(name, of)
        stored = self._stored_features(name, of)
        while stored is None:
            with self._claims.lock(f"features-{name}") as claim:
                # Another process may have extracted them, or be about to, if it took over.
                stored = self._stored_features(name, of)
                if stored is None:
                    first_says(_MAKE)
                    made = make()
                    if claim.confirm():
                        stored = features.write(self.directory.features_path, name, made, of)
                        for end in _ENDS:
                            self.directory.place.send(f"features/{name}.{end}")
        first_says(_STORED)
        return stored

    def _seen_features(self, name: str, of: str) -> Features:
        """Returns the features that the first process has stored."""
        found: list[Features | None] = []

        def look() -> bool:
            found[:] = [self._stored_features(name, of)]
            return found[0] is not None

        wait_until(look, f"{self.directory.features_path} shows no features {name}")
        return found[0]

    def _stored_features(self, name: str, of: str) -> Features | None:
        for end in reversed(_ENDS):
            self.directory.place.fetch(f"features/{name}.{end}")
        return features.read(self.directory.features_path, name, of)


def layout_of(study: Study, dataset: Dataset) -> Layout:
    """Returns the layout in which this machine runs packs of a study, whoever planned them."""
    device = target().device
    mode, timed = chosen_mode(study, device)
    if study.grid.mode == "auto" and timed is None:
        print(
            f"config.grid.mode='auto': nothing was timed for this model on {device}, so it is "
            f"'{mode}'; `jaxbias run --config=... --calibrate` times it",
            file=sys.stderr,
        )
    devices = devices_of(study)
    store = _store(study, devices, dataset.images.shape)
    return Layout(mode, devices, store, _trunks(study, devices, len(dataset.table)))


def agreed(layout: Layout) -> Layout:
    """Returns the layout of a gang, given what this process would do alone."""
    told = [Layout(**json.loads(each)) for each in all_say(json.dumps(dataclasses.asdict(layout)))]
    # Timings are a machine's own; so is what fits its memory.
    store = "host" if any(each.store == "host" for each in told) else layout.store
    trunks = all(each.trunks for each in told)
    return dataclasses.replace(told[0], store=store, trunks=trunks)


def _trunks(study: Study, devices: int, images: int) -> bool:
    """Whether there are trunks of imported weights whose activations are wanted, and fit."""
    points = [point for points in study.experiments.values() for point in points]
    modes = {study.finetune.mode, *(point["mode"] for point in points if "mode" in point)}
    sizes = [
        stored_bytes((images, 2, *_activations(base.weights)), np.float32)
        for base in study.bases.values()
        if base.trained == "last_block" or (base.role == "imported" and "last_block" in modes)
    ]
    room = device_room(study.grid.memory_mib, devices)
    return bool(sizes) and (room is None or max(sizes) <= room.budget / 2)


def _activations(weights: str) -> tuple[int, ...]:
    """The shape of what the trunk of imported weights makes of an image."""
    return activations_of(describe_imported(Path(weights)).network(1))


def _store(study: Study, devices: int, images: tuple[int, ...]) -> str:
    """Returns where images [N, S, S, 3] are during training: "device" or "host"."""
    size = stored_bytes(images, np.uint8)
    store, room = study.grid.store, device_room(study.grid.memory_mib, devices)
    if store == "auto":
        store = "device" if room is None or size <= room.budget / 2 else "host"
    if store == "host" and study.search.on:
        raise InputError(
            f"config.search trains on images that lie on the devices, and these ({gib(size)}) do "
            "not fit or config.grid.store='host'; raise config.grid.memory_mib, lower "
            "config.data.image_size, or search in mode 'head' of a smaller study"
        )
    if store == "device" and room is not None and size > room.limit:
        raise InputError(
            f"config.grid.store='device': the images are {gib(size)}, and a device has "
            f"{gib(room.limit)}; set it to 'auto' or 'host', or lower config.data.image_size"
        )
    return store


def devices_of(study: Study) -> int:
    """Returns over how many devices, of this process or of its whole gang, packs are split."""
    return (study.grid.devices or len(target().devices())) * target().processes
