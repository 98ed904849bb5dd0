"""One file per dataset: from files as their owners distribute them to a table and its images.

Every reader is a function from the data settings to a `Source`, in `read`. It says with an
`InputError` what of the layout is missing. What a source must hold is written, and checked for
every reader, in `jaxbias.data.source`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxbias.errors import InputError, nearest
from jaxbias.study import DataSpec

if TYPE_CHECKING:
    from jaxbias.data.source import Source

# config.data.name -> the module with its `read`, imported when it is asked for: the renderer and
# TFDS take seconds that no other dataset should pay.
READERS = {
    "faces": "jaxbias.data.faces",
    "objects": "jaxbias.data.objects",
    "coco2014": "jaxbias.data.readers.coco",
    "coco2017": "jaxbias.data.readers.coco",
    **{
        name: f"jaxbias.data.readers.{name}"
        for name in (
            "celeba",
            "dollar_street",
            "fairface",
            "folder",
            "geode",
            "imagenet",
            "imagenet_det",
            "mix",
            "parquet",
            "places365",
            "waterbirds",
        )
    },
}
_TFDS = "tfds:"  # Before the name of a dataset that TensorFlow Datasets has prepared.


def read(data: DataSpec) -> Source:
    """Reads the dataset that the settings name, and holds what its reader returns to the contract.

    Raises:
      InputError: there is no such dataset, or something is wrong with its files.
    """
    from jaxbias.data.source import check  # Pandas, for which whoever asks for a name waits not.

    try:
        source = reader(data.name)(data)
        check(source)
    except UnicodeEncodeError as error:
        raise InputError(
            f"{data.name} at config.data.path={data.path} has the name {error.object!a}, which is"
            " no UTF-8 text: rename that file, folder or label"
        ) from error
    return source


def reader(name: str) -> Callable[[DataSpec], Source]:
    """Returns the reader of a dataset.

    Raises:
      InputError: there is none of that name (with the nearest).
    """
    return importlib.import_module(module_of(name)).read


def module_of(name: str) -> str:
    """Returns the module that reads a dataset, without importing it.

    Raises:
      InputError: there is none of that name (with the nearest).
    """
    if name.startswith(_TFDS):
        return "jaxbias.data.readers.tfds"
    if name not in READERS:
        raise InputError(
            f"config.data.name='{name}' is no dataset; {nearest(name, [*READERS, 'tfds:NAME'])}"
        )
    return READERS[name]
