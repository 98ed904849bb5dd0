"""A base trained step by step on all devices: its step, in pieces that they can hold.

Pieces of a batch are computed one after another. Where norms see the batch, or an image is told
from all others of it, the pieces are part of what is learnt, and `config.pretrain.accumulate` alone
says how many. Elsewhere they change how sums are rounded and nothing else: a batch that a device
cannot hold at once is cut into the fewest that it can, which is a matter of the layout.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbias.capacity import gib
from jaxbias.engine.members import schedule_of
from jaxbias.engine.memory import Room, program_bytes
from jaxbias.engine.starts import Starts
from jaxbias.errors import InputError
from jaxbias.models import Network, Tail
from jaxbias.parallel import DATA
from jaxbias.plan.variants import Base, Recipe
from jaxbias.study import PretrainSpec
from jaxbias.targets import target
from jaxbias.training import Batch, Hyper, Schedule, State, Step, Store, black, stored_bytes
from jaxbias.training.feeds import ON_THE_WAY
from jaxbias.training.loop import lifted

# Of what could not even be compiled.
_TOO_MUCH = 2**62


@dataclasses.dataclass(frozen=True)
class Looped:
    """One step of a base.

    Attributes:
      step: what is done.
      mesh: along "data".
      lift: how it is spread over that.
      pieces: of a batch.
      store: the shape of that which images are rows of.
      fed: whether they come from the host.
      labels: their dtype.
    """

    step: Step
    mesh: Mesh
    lift: str
    pieces: int
    store: tuple[int, ...]
    fed: bool
    labels: np.dtype

    @property
    def model(self) -> Network:
        """What is trained."""
        return self.step.network

    @property
    def batch(self) -> int:
        """Examples of a step."""
        return self.step.schedule.batch

    @property
    def contrasts(self) -> bool:
        """Whether an image is told from all others of its batch, which cannot be cut then."""
        return self.step.schedule.objective == "simclr"

    @property
    def normed(self) -> bool:
        """Whether norms see the batch."""
        return bool(_state_of(self.step).parts.statistics)

    @property
    def beside(self) -> int:
        """Bytes on a device of batches on their way there while one is trained on."""
        each = stored_bytes((self.batch, *self.store[1:]), self.model.pixels)
        return ON_THE_WAY * each // self.mesh.size if self.fed else 0

    def lowered(self) -> jax.stages.Lowered:
        """Returns it as it is written, before it is compiled."""
        whole = NamedSharding(self.mesh, PartitionSpec())
        along = NamedSharding(self.mesh, PartitionSpec(None, DATA))
        cut, pixels = (self.pieces, self.batch // self.pieces), self.model.pixels
        shape = jax.ShapeDtypeStruct
        batch = Batch(
            _images((*cut, *self.store[1:]), pixels, 2) if self.fed else shape(cut, np.int32),
            shape((*cut, self.step.schedule.labels), self.labels),
            shape(cut, np.float32),
            shape(cut, np.int32),
        )
        key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
        numbers = Hyper(*(shape((), np.float32) for _ in Hyper._fields)), key
        store = None if self.fed else _images(self.store, pixels, 1)
        there = ((_state_of(self.step), whole), (batch, along), (numbers, whole), (store, whole))
        run = lifted(self.step, self.mesh, self.lift)
        return run.lower(*(_on(tree, sharding) for tree, sharding in there))


def _images(shape: tuple[int, ...], pixels: np.dtype, leading: int) -> Store:
    """The shapes of a store."""
    return jax.eval_shape(lambda: black(shape, pixels, leading))


def _on(tree: object, sharding: NamedSharding) -> object:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


@functools.lru_cache(maxsize=8)
def _state_of(step: Step) -> State:
    key = jax.random.key(0)
    return jax.eval_shape(lambda: step.begin(step.network.init(key), key))


def looped_of(starts: Starts, base: Base, mesh: Mesh) -> Callable[[int], Looped]:
    """Returns what makes the step of a base, given the number of pieces.

    Args:
      starts: of the study.
      base: it.
      mesh: along "data".
    """
    curator = starts.curator
    spec, labels = curator.study.pretrain, curator.base_labels(base)
    recipe = Recipe.of_base(spec, base)
    schedule = _schedule(spec, recipe, base, curator.pretrain_size(base), labels.shape[1])

    def make(pieces: int) -> Looped:
        network = starts.trained(starts.network_of(base, mapped(pieces)), base, recipe.mode)
        fed = starts.feed is not None and not isinstance(network, Tail)
        store = starts.store_shape(network, base)
        dtype = np.dtype(jax.dtypes.canonicalize_dtype(labels.dtype))
        return Looped(Step(network, schedule), mesh, spec.lift, pieces, store, fed, dtype)

    return make


def mapped(pieces: int) -> str:
    """How a step is mapped, as of `choose`: pieces are in a loop, where XLA:CPU is slow."""
    return "loop" if pieces == 1 else "map"


def _schedule(spec: PretrainSpec, recipe: Recipe, base: Base, n: int, labels: int) -> Schedule:
    objective = "simclr" if base.objective == "simclr" else "erm"
    plain = schedule_of(recipe, objective, n, 1, labels)
    return dataclasses.replace(plain, temperature=spec.temperature, projection=spec.projection)


def held_bytes(looped: Looped) -> int | None:
    """Returns what a device holds of a step, by XLA's analysis; what a run needs is compiled then.

    Returns:
      Bytes; None where the platform has no analysis.
    """
    try:
        return program_bytes(looped.lowered().compile())
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return _TOO_MUCH


def fitted(
    name: str,
    make: Callable[[int], Looped],
    asked: int,
    room: Room | None,
    held: Callable[[Looped], int | None] = held_bytes,
) -> Looped:
    """Returns the step of a base in pieces that a device can hold.

    Args:
      name: of the base.
      make: of `looped_of`.
      asked: pieces, as `config.pretrain.accumulate` says; of more than one, so many.
      room: of a device; None: it does not tell.
      held: what a device holds of one; None: nobody can tell.

    Raises:
      InputError: it cannot hold what was asked, and that may not be cut further, or cannot.
    """
    whole = make(asked)
    if room is None:
        return whole
    # What RAM is left for the budget hangs on what else runs there; the pieces must not.
    most = room.limit if target().platform == "cpu" else room.budget
    each, tried = whole.batch // whole.mesh.size, {}
    for pieces in (asked,) if whole.contrasts else _cuts(asked, each):
        looped = whole if pieces == asked else make(pieces)
        needed = held(looped)
        if needed is None:
            return whole
        tried[pieces] = needed + looped.beside
        if tried[pieces] <= most:
            if pieces == asked or (asked == 1 and not whole.normed):
                return looped
            break
    raise InputError(_misfit(name, whole, tried, most))


def _cuts(asked: int, each: int) -> list[int]:
    """Numbers of pieces, fewest first: those asked, twice as many and so on, one example in each.

    >>> _cuts(1, 12), _cuts(2, 12), _cuts(3, 12), _cuts(1, 1)
    ([1, 2, 4, 12], [2, 4, 12], [3, 6, 12], [1])
    """
    doubled = {asked * 2**i for i in range(each.bit_length())}
    return sorted({n for n in doubled if n <= each and each % n == 0} | {each})


def _misfit(name: str, whole: Looped, tried: dict[int, int], most: int) -> str:
    """What does not fit, and the way out."""
    devices = f"{whole.mesh.size} × {whole.mesh.devices.flat[0].device_kind}"
    text = (
        f"pretraining base '{name}' needs {_told(tried[whole.pieces], most)} on each of {devices}, "
        f"of which {gib(most)} may be taken; "
    )
    smaller = "take more devices, a lower config.pretrain.batch or config.data.image_size, or "
    smaller += "a smaller config.model" if whole.fed else "config.grid.store='host'"
    if whole.contrasts:
        return f"{text}simclr's batches cannot be computed in pieces: {smaller}"
    pieces, least = list(tried.items())[-1]
    if least > most:
        return f"{text}even one example in each piece needs {_told(least, most)}: {smaller}"
    seen = ", but norms then see a piece, which makes another base" if whole.normed else ""
    return f"{text}config.pretrain.accumulate={pieces} needs {gib(least)}{seen}; or {smaller}"


def _told(needed: int, most: int) -> str:
    return gib(needed) if needed < _TOO_MUCH else f"more than {gib(most)}"
