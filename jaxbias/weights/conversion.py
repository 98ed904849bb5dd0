"""From another framework's tensors to a network's parameters, every tensor accounted for."""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable

import jax
import numpy as np
from flax import traverse_util

from jaxbias.errors import InputError
from jaxbias.models import Network, make_network
from jaxbias.models.architectures import ARCHITECTURES, Path
from jaxbias.models.network import Params
from jaxbias.study import ModelSpec
from jaxbias.weights.limits import shown
from jaxbias.weights.preparations import MOST_SIDE, Preparation
from jaxbias.weights.sources import SOURCES, Arrays, checked
from jaxbias.weights.tensor_names import Entry, Names, entry

_NAMED = 4  # Tensors that an error lists.
_OTHER_HEAD = "a head of another form than one linear layer: every finetune has its own"


@dataclasses.dataclass(frozen=True)
class Converted:
    """Weights as a network has them.

    Attributes:
      network: of these weights; it has one output where they have no head.
      params: float32, with zeros for a head that they lack.
      classes: outputs of their head, any number; 0: they have none of one linear layer.
      preparation: how images were prepared.
      mapped: tensors that went into the parameters.
      dropped: name -> why it was left out.
    """

    network: Network
    params: Params
    classes: int
    preparation: Preparation
    mapped: int
    dropped: dict[str, str]


def convert(
    arrays: Arrays, arch: str, source: str, preparation: Preparation | None = None
) -> Converted:
    """Brings tensors into a network's parameters.

    Args:
      arrays: of a checkpoint, by name.
      arch: the architecture.
      source: who saved them; one of `SOURCES`.
      preparation: how images were prepared; None: as the source usually does.

    Raises:
      InputError: the source has no such architecture; or a tensor is unknown, missing, there twice,
        of a wrong shape, of no real numbers or not finite.
    """
    origin, kind = checked(arch, source)
    if preparation is None:
        usual, side = origin.preparations[kind], ARCHITECTURES[arch].side
        resize = usual.resize and usual.resize + side - usual.crop
        preparation = dataclasses.replace(usual, resize=resize, crop=side)
    tensors, dropped = origin.clean(arrays)
    names = origin.names[kind]
    classes, other_head = _head(tensors, names)
    for name in other_head:
        del tensors[name]
    dropped |= dict.fromkeys(other_head, _OTHER_HEAD)
    spec, size = _geometry(tensors, arch, source, preparation)
    preparation = dataclasses.replace(
        preparation, crop=size, resize=preparation.resize if size == preparation.crop else 0
    )
    network = make_network(spec, size, max(classes, 1), preprocessing=preparation.preprocessing)
    entries = entries_of(network, source)
    zeros = {}
    if not classes:
        head = [path for path in entries if path[0] == "head"]
        zeros = {path: np.zeros(entries.pop(path).target, np.float32) for path in head}
    _refuse(tensors, entries.values(), f"{source}'s {arch}")
    flat = {path: found.take(tensors) for path, found in entries.items()}
    params = traverse_util.unflatten_dict({**flat, **zeros})
    mapped = sum(len(found.names) for found in entries.values())
    return Converted(network, params, classes, preparation, mapped, dropped)


def _head(tensors: Arrays, names: Names) -> tuple[int, list[str]]:
    """Returns how many classes a linear head has, or 0 and the names of a head of another form."""
    weight, bias = (names(("head", leaf))[0] for leaf in ("kernel", "bias"))
    root = re.split(r"(?<=[./])", bias)[0]
    held = [name for name in tensors if name.startswith(root)]
    if set(held) == {weight, bias} and tensors[weight].ndim == 2 and tensors[bias].ndim == 1:
        classes = tensors[bias].size
        return (classes, []) if classes and classes in tensors[weight].shape else (0, held)
    return 0, held


def entries_of(network: Network, source: str) -> dict[Path, Entry]:
    """Returns where each parameter of a network comes from in a source's checkpoints."""
    known = ARCHITECTURES[network.spec.name]
    names = SOURCES[source].names[known.kind]
    return {
        path: entry(source, path, shape, names(path), known.multiple, known.heads)
        for path, shape in _shapes(network).items()
    }


@functools.lru_cache(maxsize=32)  # The sources of one architecture ask for the same network.
def _shapes(network: Network) -> dict[Path, tuple[int, ...]]:
    shapes = traverse_util.flatten_dict(jax.eval_shape(network.init, jax.random.key(0)))
    return {path: leaf.shape for path, leaf in shapes.items()}


def _geometry(
    tensors: Arrays, arch: str, source: str, preparation: Preparation
) -> tuple[ModelSpec, int]:
    """The settings that only the tensors tell, and the side of the images in pixels."""
    known, names = ARCHITECTURES[arch], SOURCES[source].names[ARCHITECTURES[arch].kind]
    spec, size = ModelSpec(name=arch), preparation.crop
    if known.kind == "vit":
        positions = tensors.get(names(("positions",))[0])
        if positions is not None:
            tokens = positions.shape[-2] if positions.ndim > 1 else 0
            side = math.isqrt(max(tokens - 1, 0))
            size = side * known.multiple
            if not side or side * side != tokens - 1 or size > MOST_SIDE:
                raise InputError(
                    f"{names(('positions',))[0]} has {tokens} positions: not those of a class "
                    f"token and a square of patches, of images of at most {MOST_SIDE:,}² pixels"
                )
    elif known.kind == "convnet":
        count = len({name.split("/")[1] for name in tensors if name.startswith("stages/")})
        biases = (tensors.get(f"stages/{i}/linear/bias") for i in range(count))
        widths = tuple(bias.size for bias in biases if bias is not None)
        if not all(0 < width < 2**16 for width in widths):
            raise InputError(f"stages of {shown(widths)} channels are those of no {arch}")
        spec = dataclasses.replace(spec, widths=widths or spec.widths)
    elif source == "jaxbias" and tensors.get("stem/kernel", np.zeros(7)).shape[:1] == (3,):
        spec = dataclasses.replace(spec, stem="small")
    return spec, size


def _refuse(tensors: Arrays, entries: Iterable[Entry], what: str) -> None:
    """Refuses tensors that are not one for one those of the entries."""
    wanted = {name: found for found in entries for name in found.names}
    missing = [name for name in wanted if name not in tensors]
    unknown = [name for name in tensors if name not in wanted]
    if missing or unknown:
        parts = [
            f"{len(some)} {kind} ({_listed(some)})"
            for kind, some in (("missing", missing), ("unknown", unknown))
            if some
        ]
        raise InputError(
            f"the file is no {what}: of its tensors {' and '.join(parts)}; "
            "`jaxbias weights describe` says what it is"
        )
    for name, found in wanted.items():
        if tensors[name].shape != found.shape:
            raise InputError(
                f"{name} has shape {tensors[name].shape}, but {what} has {found.shape}"
            )
        dtype = tensors[name].dtype
        if not jax.numpy.issubdtype(dtype, np.floating):
            raise InputError(
                f"{name} is of dtype {dtype}, but weights are real numbers; if they are quantised, "
                "save them in float32"
            )
        with np.errstate(over="ignore"):
            narrow = tensors[name].astype(np.float32)
        if not np.isfinite(narrow).all():
            raise InputError(
                f"{name} holds values that are not finite in float32: the training diverged, or "
                "the file is damaged"
            )


def _listed(names: list[str]) -> str:
    more = f", … {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more


def flat_names(params: Params) -> dict[str, np.ndarray]:
    """Returns a network's parameters by path, such as "stages/0/1/convs/0/kernel", in order."""
    flat: dict[Path, np.ndarray] = traverse_util.flatten_dict(params)
    named = {"/".join(map(str, path)): np.asarray(leaf) for path, leaf in flat.items()}
    return dict(sorted(named.items()))
