"""What `jaxbias weights import` and `jaxbias weights describe` say."""

from pathlib import Path

from jaxbias import words
from jaxbias.errors import InputError
from jaxbias.models.architectures import ARCHITECTURES
from jaxbias.weights.conversion import Converted, convert
from jaxbias.weights.files import is_there, read_tensors
from jaxbias.weights.imported import Imported, describe_imported, import_weights
from jaxbias.weights.sources import SOURCES
from jaxbias.weights.tensor_names import Names

# A parameter of each kind of architecture that no other has under the same name.
_FIRST = {
    "convnet": ("stages", 0),
    "resnet": ("stem", "kernel"),
    "vit": ("embed", "kernel"),
    "efficientnet_lite": ("stem", "kernel"),
    "tf_efficientnet_lite": ("stem", "kernel"),
}


def import_text(arch: str, source: str, file: Path, out: Path) -> str:
    """Imports a checkpoint; returns what was done, in lines for a terminal."""
    imported, converted = import_weights(arch, source, file, out)
    lines = [f"{out}: {arch} of {source}, {_head(imported.classes)}", *_account(converted)]
    return "\n".join([*lines, *_images(imported)])


def describe_text(file: Path) -> str:
    """Returns what a checkpoint, or a directory of imported weights, holds."""
    if is_there(file, Path.is_dir):
        imported = describe_imported(file)
        record = imported.record
        lines = [
            f"{file}: {record['arch']} of {imported.source}, {_head(imported.classes)}",
            f"imported from {record['file']} (SHA-256 {record['file_sha256'][:16]}…)",
            f"content {imported.content[:16]}…, {words.count(record['mapped'], 'tensor')}",
        ]
        return "\n".join([*lines, *_images(imported)])
    tensors = read_tensors(file)
    count = sum(array.size for array in tensors.arrays.values())
    lines = [
        f"{file}: {words.count(len(tensors.arrays), 'tensor')}, {words.count(count, 'number')}"
    ]
    if tensors.beside:
        lines.append(f"beside the network: {', '.join(tensors.beside)}")
    fits = _matches(tensors.arrays)
    for arch, (source, *others), converted in fits:
        alike = f" (or {', '.join(others)}: the same tensors)" if others else ""
        lines.append(f"fits --arch={arch} --source={source}{alike}, {_head(converted.classes)}")
        lines += [f"  {line}" for line in _account(converted)]
    if len({arch for arch, _, _ in fits}) > 1:
        lines += ["these networks differ in what no tensor shows: take the one it was released as"]
    if not fits:
        shown = list(tensors.arrays.items())[:10]
        lines += ["fits no architecture of any source; it begins with"]
        lines += [f"  {name} {array.dtype}{list(array.shape)}" for name, array in shown]
    return "\n".join(lines)


def _matches(arrays: dict) -> list[tuple[str, list[str], Converted]]:
    """Returns every architecture that all the tensors of a checkpoint fit, and as whose.

    Sources that call its tensors alike stand together, with what the first makes of them.
    """
    tried: dict[tuple[str, Names, tuple[str, ...]], tuple[list[str], Converted | None]] = {}
    for source, origin in SOURCES.items():
        try:
            cleaned, _ = origin.clean(arrays)
        except InputError:
            continue
        for arch, architecture in ARCHITECTURES.items():
            names = origin.names.get(architecture.kind)
            if names and source != "jaxbias" and names(_FIRST[architecture.kind])[0] in cleaned:
                key = (arch, names, tuple(cleaned))
                if key not in tried:
                    tried[key] = ([], _converted(arrays, arch, source))
                tried[key][0].append(source)
    return [(key[0], who, what) for key, (who, what) in tried.items() if what is not None]


def _converted(arrays: dict, arch: str, source: str) -> Converted | None:
    try:
        return convert(arrays, arch, source)
    except InputError:
        return None


def _head(classes: int) -> str:
    """Says what becomes of a head: it is read for the fingerprint of its logits alone."""
    if not classes:
        return "without a head"
    return f"{classes} classes (studies drop this head: every finetune has its own)"


def _account(converted: Converted) -> list[str]:
    reasons: dict[str, int] = {}
    for reason in converted.dropped.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    lines = [f"{words.count(converted.mapped, 'tensor')} mapped"]
    return lines + [f"{count} dropped: {reason}" for reason, count in reasons.items()]


def _images(imported: Imported) -> list[str]:
    preparation = imported.preparation
    resize = f"the shorter side resized to {preparation.resize}, " if preparation.resize else ""
    mean, std = (
        ", ".join(f"{value:g}" for value in v) for v in (preparation.mean, preparation.std)
    )
    return [
        f"images ({preparation.origin}): {resize}{preparation.crop}² {preparation.interpolation}, "
        f"mean {mean}, deviation {std}"
    ]
