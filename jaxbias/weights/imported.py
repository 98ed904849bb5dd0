"""Imported weights on disk: parameters, where they come from, and a fingerprint that loads check.

DIR/params/       the parameters, through Orbax
DIR/weights.json  the architecture, the source, the preprocessing, what was dropped, hashes and the
                  fingerprint; written last
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbias.errors import InputError
from jaxbias.files.atomic import make_directory, replacing, write_text
from jaxbias.files.json_files import read_json
from jaxbias.models import Network, make_network
from jaxbias.models.network import Params
from jaxbias.study import ModelSpec, Study
from jaxbias.weights import checkpoint
from jaxbias.weights.conversion import Converted, convert, flat_names
from jaxbias.weights.files import is_there, read_tensors
from jaxbias.weights.limits import refuse_large, shown
from jaxbias.weights.preparations import Preparation, preparation_of
from jaxbias.weights.sources import SOURCES, Arrays, checked

_FORMAT = 1
_RECORD = "weights.json"
_AGAIN = "import the weights again"
# Of what describes imported weights; the architecture and the preprocessing have their own checks.
_FIELDS = {
    "classes": int,
    "content": str,
    "file": str,
    "file_sha256": str,
    "fingerprint": dict,
    "mapped": int,
}
_SHOWN = 8  # Features and logits per image in a fingerprint.
# A fingerprint made elsewhere differs by rounding: other processors, other convolutions.
_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class Imported:
    """What is known of imported weights, without the weights.

    Attributes:
      directory: where they lie.
      spec: the network's settings.
      source: who saved them.
      classes: outputs of their head; 0: they have none.
      preparation: how images were prepared for them.
      content: SHA-256 of the parameters.
      record: all that weights.json says.
    """

    directory: Path
    spec: ModelSpec
    source: str
    classes: int
    preparation: Preparation
    content: str
    record: dict[str, Any] = dataclasses.field(hash=False, compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What the ids of bases and variants are made of."""
        how = self.preparation.preprocessing
        return {
            "content": self.content,
            "model": self.spec.content,
            "preprocessing": {k: str(v) for k, v in dataclasses.asdict(how).items()},
        }

    def network(self, outputs: int, spec: ModelSpec | None = None, mapped: str = "map") -> Network:
        """Returns the network of these weights with a head of its own.

        Args:
          outputs: logits per image.
          spec: of the study: how it is computed, `compute_dtype` and `convolution`.
          mapped: how variants are mapped.
        """
        how = spec or self.spec
        merged = dataclasses.replace(
            self.spec, compute_dtype=how.compute_dtype, convolution=how.convolution
        )
        return make_network(
            merged,
            self.preparation.crop,
            outputs,
            preprocessing=self.preparation.preprocessing,
            mapped=mapped,
        )


def import_weights(arch: str, source: str, file: Path, out: Path) -> tuple[Imported, Converted]:
    """Converts a checkpoint and writes it to a new directory.

    Args:
      arch: the architecture.
      source: who saved it; one of `SOURCES`.
      file: the checkpoint; for source "jaxbias" a base's directory, WORKDIR/bases/ID.
      out: the directory to make.

    Raises:
      InputError: the file does not fit, or there is something at `out`; nothing is written then.
    """
    if is_there(out):
        raise InputError(f"--out: there is something at {out} already; choose a new directory")
    converted, sha256, beside = read(arch, source, file)
    params, network = converted.params, converted.network
    spec = network.spec
    record = {
        "format": _FORMAT,
        "arch": arch,
        "widths": list(spec.widths),
        "stem": spec.stem,
        "source": source,
        "file": file.name,
        "file_sha256": sha256,
        "classes": converted.classes,
        "recipe": dataclasses.asdict(converted.preparation),
        "content": content_hash(params),
        "mapped": converted.mapped,
        "dropped": {**converted.dropped, **dict.fromkeys(beside, "beside the network")},
        "fingerprint": _fingerprint(network, params, converted.classes),
    }
    with replacing(out) as draft:
        make_directory(draft)
        checkpoint.save(draft / "params", params)
        write_text(draft / _RECORD, json.dumps(record, indent=1))
    return describe_imported(out), converted


def read(arch: str, source: str, file: Path) -> tuple[Converted, str, tuple[str, ...]]:
    """Reads and converts a checkpoint; returns also its SHA-256 and what it held beside."""
    if source == "jaxbias":
        arrays, preparation = _own(file)
        sha256 = content_hash(arrays)
        return convert(arrays, arch, source, preparation), sha256, ()
    tensors = read_tensors(file)
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    default = convert(tensors.arrays, arch, source)
    known = preparation_of(default.preparation, file, sha256, source, arch)
    if known != default.preparation:
        default = convert(tensors.arrays, arch, source, known)
    return default, sha256, tensors.beside


def _own(directory: Path) -> tuple[Arrays, Preparation]:
    """A base that a study has pretrained: its size is known from the study beside it."""
    record = directory.absolute().parent.parent / "study.json"
    if not is_there(record, Path.is_file):
        raise InputError(
            f"--file={directory}: give a base of a result directory, WORKDIR/bases/ID; there is no "
            f"{record}"
        )
    way_out = "give a base of a whole result directory"
    study = read_json(record, way_out)
    try:
        size = study["settings"]["data"]["image_size"]
        preparation = dataclasses.replace(
            SOURCES["jaxbias"].preparations["resnet"], crop=size, origin="the study it is a base of"
        )
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{record} does not say the side of its images ({error}); {way_out}"
        ) from error
    try:
        refuse_large(directory, "its parameters", checkpoint.declared_bytes(directory))
        return flat_names(checkpoint.load_any(directory)), preparation
    except InputError as error:
        raise InputError(f"--file: {error}; {way_out}") from error


def identities(study: Study) -> dict[str, str]:
    """Returns base -> identity of its weights, of the bases of a study that have any."""
    return {
        name: describe_imported(Path(spec.weights)).identity
        for name, spec in study.bases.items()
        if spec.weights
    }


def describe_imported(directory: Path) -> Imported:
    """Reads what is known of imported weights.

    Raises:
      InputError: the directory holds none, or the record is damaged.
    """
    path = directory / _RECORD
    if not is_there(path, Path.is_file):
        raise InputError(
            f"{directory} holds no imported weights (no {_RECORD}); make it with "
            "`jaxbias weights import`"
        )
    record = read_json(path, _AGAIN)
    try:
        if record["format"] != _FORMAT:
            raise ValueError(f"format={shown(record['format'])}, not {_FORMAT}")
        checked(record["arch"], record["source"])
        spec = ModelSpec(name=record["arch"], widths=tuple(record["widths"]), stem=record["stem"])
        widths = all(type(width) is int and 0 < width < 2**16 for width in spec.widths)
        if not widths or spec.stem not in ("imagenet", "small"):
            raise ValueError(f"widths={shown(spec.widths)}, stem={shown(spec.stem)}")
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in record["recipe"].items()}
        for name, kind in _FIELDS.items():
            if type(record[name]) is not kind:
                raise ValueError(f"{name}={shown(record[name])} is no {kind.__name__}")
        return Imported(
            directory,
            spec,
            record["source"],
            record["classes"],
            Preparation(**fields),
            record["content"],
            record,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{path} is damaged, or of another version ({reason[:200]}); {_AGAIN}"
        ) from error


def departures(study: Study) -> list[str]:
    """Says, per imported base, how the study's images differ from those its weights are for."""
    notes = []
    for name, base in study.bases.items():
        if base.weights:
            found = describe_imported(Path(base.weights)).preparation.differences(
                study.data.image_size
            )
            notes += (
                [f"Base {name}, against how its weights were trained: {found}."] if found else []
            )
    return notes


def load(imported: Imported) -> Params:
    """Reads imported weights and checks them against their hash and fingerprint.

    Raises:
      InputError: they are damaged, or this version computes something else with them.
    """
    network = imported.network(max(imported.classes, 1))
    try:
        params = checkpoint.load(imported.directory / "params", network)
    except InputError as error:
        raise InputError(f"{error}; {_AGAIN}") from error
    if content_hash(params) != imported.content:
        raise InputError(f"{imported.directory}: the weights are damaged; import them again")
    expected = imported.record["fingerprint"]
    for name, values in _fingerprint(network, params, imported.classes).items():
        got = np.asarray(values)
        try:
            want = np.asarray(expected[name], np.float64)
            if want.shape != got.shape:
                raise ValueError(f"{name} of shape {want.shape}, not {got.shape}")
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{imported.directory / _RECORD} is damaged (fingerprint: {shown(str(error))}); "
                f"{_AGAIN}"
            ) from error
        error = np.abs(got - want).max() / max(np.abs(want).max(), np.finfo(np.float32).tiny)
        if not error <= _TOLERANCE:
            raise InputError(
                f"{imported.directory}: {name} on fixed images differ from those at the import by "
                f"{error:.1g}; this version computes something else: import the weights again"
            )
    return params


def _fingerprint(network: Network, params: Params, classes: int) -> dict[str, Any]:
    """Returns features and logits on two fixed images, the first few of each.

    Args:
      network: it computes in float32 for this.
      params: its parameters.
      classes: outputs of their head; 0: they have none.
    """
    images = fixed_images(network.image_size)
    features = jax.jit(network.features)(params, images)
    found = {"features": np.asarray(features[:, :_SHOWN]).tolist()}
    if classes:
        head = params["head"]
        logits = np.asarray(features) @ head["kernel"] + head["bias"]
        found["logits"] = logits[:, :_SHOWN].tolist()
    return found


def fixed_images(size: int) -> np.ndarray:
    """Returns uint8[2, size, size, 3]: waves of two lengths, without any generator's luck."""
    image, row, column, channel = np.indices((2, size, size, 3))
    waves = np.sin(row / (3 + image) + channel) + np.cos(column / (5 + channel) + image)
    return np.round(127.5 + 63 * waves).astype(np.uint8)


def content_hash(params: Params | Arrays) -> str:
    """Returns the SHA-256 of parameters: names, shapes and values."""
    digest = hashlib.sha256()
    for name, leaf in flat_names(params).items():
        digest.update(f"{name}{leaf.shape}{leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
