"""Any dataset that TensorFlow Datasets has prepared as ArrayRecord; TensorFlow is not needed.

The folder is read for what it says of itself (`dataset_info.json`, `features.json`), so a dataset
whose builder needs TensorFlow can be prepared on one machine and read on another.
"""

import contextlib
import dataclasses
import functools
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.data import files
from jaxbias.data.decode import BadImageError
from jaxbias.data.readers.tfds_features import as_text, flat, label_columns, parse, short
from jaxbias.data.source import Source, locate, with_labels
from jaxbias.errors import InputError, nearest
from jaxbias.files.digits import whole
from jaxbias.progress import progress
from jaxbias.study import DataSpec

_INFO = "dataset_info.json"
# Features that name an example, wherever they do so uniquely.
_NAMES = ("id", "file_name", "filename", "image/filename", "image/id", "image_id")


def read(data: DataSpec) -> Source:
    """Reads `tfds:NAME`, or `tfds:NAME/CONFIG`, from `data.path`, the data directory of TFDS.

    `data.image_column` is the image; `data.columns` maps label columns to features, such as
    {'Male': 'attributes/Male'}. Without it every feature that can be a label is one: truth
    values, class labels, short texts and whole numbers; a sequence of class labels becomes a
    binary column per class. The source splits are those of TFDS.

    Raises:
      InputError: the dataset is not there, was prepared as something else than ArrayRecord, or
        has no such feature.
    """
    name = data.name.removeprefix("tfds:")
    root = files.folder(data.path, f"TFDS has prepared '{name}' in (its data_dir)")
    folder = prepared(root, name)
    if folder is None:
        raise InputError(
            f"config.data.path={root} holds no '{name}/VERSION/{_INFO}'; prepare it once with"
            f" tfds.builder('{name}', data_dir='{root}', file_format='array_record')"
            ".download_and_prepare()"
        )
    return read_prepared(folder, data.name, data.missing_values, data.image_column, data.columns)


def prepared(root: Path, name: str) -> Path | None:
    """Returns the folder of a prepared dataset, its newest version; None where there is none.

    Raises:
      InputError: several configs of it are there and `name` does not say which.
    """
    if (root / _INFO).is_file():
        return root
    found = [path.parent for depth in ("*", "*/*") for path in root.glob(f"{name}/{depth}/{_INFO}")]
    configs = sorted({folder.parent.relative_to(root).as_posix() for folder in found})
    if len(configs) > 1:
        raise InputError(
            f"{root} has several configs of {name}: say config.data.name='tfds:...'"
            f" with one of {', '.join(configs)}"
        )
    return max(found, key=lambda folder: _version(folder.name), default=None)


def read_prepared(
    folder: Path,
    name: str,
    missing_values: Sequence[str],
    image: str = "image",
    columns: Mapping[str, str] | None = None,
) -> Source:
    """Reads a folder that TFDS has written; see `read`."""
    builder = _builder(folder)
    features = dict(flat(builder.info.features))
    if image not in features:
        raise InputError(
            f"config.data.image_column='{image}' is no feature of {name};"
            f" {nearest(image, features)}"
        )
    wanted = dict(columns or short({path for path in features if path != image}))
    for column, path in wanted.items():
        if path not in features:
            raise InputError(
                f"config.data.columns.{column}='{path}' is no feature of {name};"
                f" {nearest(path, features)}"
            )
    splits = [split for split, info in builder.info.splits.items() if info.num_examples]
    sizes = [builder.info.splits[split].num_examples for split in splits]
    names = [path for path in _NAMES if path in features]
    values = _values(folder, splits, sizes, sorted({*wanted.values(), *names}))
    found, unusable, notes = label_columns(values, features, wanted, missing_values)
    split = np.repeat(splits, sizes)
    ids = [
        f"{part}/{row:07d}" for part, size in zip(splits, sizes, strict=True) for row in range(size)
    ]
    numbers = None
    for path in names:
        texts = pd.Series([as_text(value) for value in values[path]])
        if texts.is_unique and (texts != "").all():
            numbers = texts
            break
    return Source(
        name=name,
        key=f"tfds/{_key(folder)}",
        table=with_labels(ids, split.tolist(), found),
        read=_Reader(folder, tuple(splits), tuple(np.cumsum(sizes).tolist()), image),
        unusable=unusable,
        notes=notes,
        numbers=numbers,
    )


@dataclasses.dataclass(frozen=True)
class _Reader:
    """From a row to the bytes of its image; may be sent to other processes."""

    folder: Path
    splits: tuple[str, ...]
    ends: tuple[int, ...]
    image: str

    def __call__(self, row: int) -> bytes:
        """Returns the bytes of row `row`, as they were encoded."""
        part, at = locate(self.ends, row)
        record = _opened(self.folder, self.splits[part])[at]
        (image,) = parse(record, [self.image])
        if not len(image):
            raise BadImageError("the example holds no bytes of an image")
        return image[0]


@functools.lru_cache(maxsize=32)
def _opened(folder: Path, split: str) -> Any:
    import tensorflow_datasets

    raw = tensorflow_datasets.decode.DeserializeMethod.RAW_BYTES
    with _quiet():
        return _builder(folder).as_data_source(split, deserialize_method=raw)


@functools.lru_cache(maxsize=8)
def _builder(folder: Path) -> Any:
    import tensorflow_datasets

    with _quiet():
        builder = tensorflow_datasets.builder_from_directory(folder)
    kind = builder.info.file_format
    if kind is None or kind.value != "array_record":
        raise InputError(
            f"{folder} was prepared as {kind and kind.value}, which needs TensorFlow; prepare it"
            " with file_format='array_record'"
        )
    return builder


def _values(
    folder: Path, splits: Sequence[str], sizes: Sequence[int], paths: Sequence[str]
) -> dict[str, list[Sequence[Any]]]:
    """Reads features of every example, in the order of splits."""
    found: list[list[Sequence[Any]]] = [[] for _ in paths]
    with progress(sum(sizes), "reading labels", "examples") as advance:
        for split in splits:
            source = _opened(folder, split)
            for row in range(len(source)):
                for values, value in zip(found, parse(source[row], paths), strict=True):
                    values.append(tuple(value))
                advance()
    return dict(zip(paths, found, strict=True))


def _version(text: str) -> tuple[int, ...]:
    numbers = map(whole, text.split("."))
    return tuple(-1 if number is None else number for number in numbers)


def _key(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        status = path.stat()
        digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS's log lines out of the way."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
