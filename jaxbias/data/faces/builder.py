"""The built-in faces as a TensorFlow Datasets builder that needs no TensorFlow.

Rendering runs ahead on the device while threads encode the previous chunk; TFDS writes ArrayRecord
files to a temporary directory and renames it when all is there, so a directory under its final name
is complete.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import tensorflow_datasets as tfds
from etils import epath
from PIL import Image

from jaxbias import study
from jaxbias.data.directories import ELSEWHERE, remove_stale
from jaxbias.data.faces.attributes import ATTRIBUTES, salience
from jaxbias.data.faces.render import CHUNK, render
from jaxbias.data.faces.roster import Rows, enroll
from jaxbias.files.atomic import writing
from jaxbias.progress import progress

_HERE = Path(__file__).parent
# Whatever decides the pixels is part of the content: a changed drawing is another dataset.
_SOURCES = sorted(_HERE.glob("*.py"))
_ENCODERS = os.cpu_count() or 1
_CHUNKS_AHEAD = 2
# What ArrayRecord's C++ says of a full disk, as a RuntimeError of several lines.
_UNWRITTEN = re.compile(r"\w+\(\) failed: ([^;\n]+)")


@dataclasses.dataclass(eq=False, kw_only=True)
class FacesConfig(tfds.core.BuilderConfig):
    """One set of faces; its name holds a hash of everything that decides the files.

    Attributes:
      data: image size, seed and settings of the faces.
    """

    data: study.DataSpec

    @classmethod
    def of(cls, data: study.DataSpec) -> "FacesConfig":
        """Returns the config of a study's faces."""
        size = data.image_size
        return cls(name=f"{size}px-{content_hash(data)[:16]}", data=data)


def content_hash(data: study.DataSpec) -> str:
    """Returns the sha256 (hex) of the settings and the code that decide the images."""
    content = json.dumps([data.image_size, data.seed, study.to_dict(data.faces)])
    digest = hashlib.sha256(content.encode())
    for path in _SOURCES:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class JaxbiasFaces(tfds.core.GeneratorBasedBuilder):
    """Procedural cartoon faces with CelebA-like attributes; the group is synthetic."""

    VERSION = tfds.core.Version("1.0.0")
    # TFDS looks for download checksums beside this file; its search for the file itself needs a
    # package it does not install.
    code_path = epath.Path(__file__)

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.data.image_size
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                    "id": tfds.features.Text(),
                    "stratum": tfds.features.Text(),
                    # One vector: TFDS writes an example of 16 scalars half as fast.
                    "attributes": tfds.features.Tensor(shape=(len(ATTRIBUTES),), dtype=np.bool_),
                }
            ),
            metadata=tfds.core.MetadataDict(attributes=list(ATTRIBUTES)),
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict]]]:
        del dl_manager
        parts = enroll(self.builder_config.data)
        splits = dict.fromkeys(part.pool.split for part in parts)
        return {
            split: self._generate_examples([p for p in parts if p.pool.split == split])
            for split in splits
        }

    def _generate_examples(self, parts: list[Rows]) -> Iterator[tuple[int, dict]]:
        table = pd.concat([part.table() for part in parts], ignore_index=True)
        labels = np.concatenate([part.labels for part in parts])
        keys = np.concatenate([part.keys for part in parts])
        images = encoded(keys, labels, self.builder_config.data)
        what = f"Rendering faces, {parts[0].pool.split}"
        with progress(len(table), what, "images") as advance:
            for row, png in enumerate(images):
                yield (
                    row,
                    {
                        "image": io.BytesIO(png),
                        "id": table["id"][row],
                        "stratum": table["stratum"][row],
                        "attributes": labels[row],
                    },
                )
                advance()


def encoded(keys: np.ndarray, labels: np.ndarray, data: study.DataSpec) -> Iterator[bytes]:
    """Renders images and yields each as PNG bytes, in order.

    Args:
      keys: uint32[N, 2], one per image.
      labels: bool[N, A] in the order of ATTRIBUTES.
      data: image size and settings of the faces.
    """
    weights = salience(data.faces)
    starts = collections.deque(range(0, len(labels), CHUNK))
    ahead: collections.deque[tuple[int, jax.Array]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(_ENCODERS) as pool:
        while starts or ahead:
            while starts and len(ahead) < _CHUNKS_AHEAD:
                rows = slice(starts[0], starts.popleft() + CHUNK)
                images = render(keys[rows], labels[rows], weights, data.image_size)
                ahead.append((len(labels[rows]), images))
            count, images = ahead.popleft()
            yield from pool.map(encode, np.asarray(images)[:count])


def encode(image: np.ndarray) -> bytes:
    """Returns uint8[S, S, 3] as PNG bytes, compressed little: noise does not compress anyway."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def build(data: study.DataSpec, directory: Path) -> JaxbiasFaces:
    """Returns the builder of a study's faces, generating the files if they are not there yet.

    Args:
      data: image size, seed and settings of the faces.
      directory: where TFDS keeps its datasets.

    Returns:
      A prepared builder.

    Raises:
      InputError: the directory cannot be written.
    """
    with _quiet(), writing(directory, "write the rendered faces in", ELSEWHERE):
        builder = _open(data, directory)
        if not builder.data_path.exists():
            remove_stale(Path(builder.data_path).parent, "incomplete.*")  # As TFDS names them.
            try:
                builder.download_and_prepare()
            except OSError:
                # Another process may have finished the same faces first; its files are as good.
                if not builder.data_path.exists():
                    raise
                builder = _open(data, directory)
            except RuntimeError as error:
                unwritten = _UNWRITTEN.search(str(error))
                if unwritten is None:
                    raise
                raise OSError(unwritten[1]) from error
    return builder


def _open(data: study.DataSpec, directory: Path) -> JaxbiasFaces:
    config = FacesConfig.of(data)
    return JaxbiasFaces(data_dir=directory, config=config, file_format="array_record")


def reader(builder: JaxbiasFaces) -> Callable[[int], bytes]:
    """Returns a function from a row of the roster to the PNG bytes stored for it."""
    as_stored = {"image": tfds.decode.SkipDecoding()}
    with _quiet():
        sources = [
            builder.as_data_source(split, decoders=as_stored)
            for split in study.SPLITS
            if split in builder.info.splits
        ]
    ends = np.cumsum([len(source) for source in sources])

    def read(row: int) -> bytes:
        which = int(np.searchsorted(ends, row, side="right"))
        first = ends[which] - len(sources[which])
        return sources[which][int(row - first)]["image"]

    return read


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS's own bars and log lines out of the way of `jaxbias.progress`."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
