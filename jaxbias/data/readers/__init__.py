"""One file per dataset: from files as their owners distribute them to a table and its images.

Every reader is a function from the data settings to a `Source`, in `read`. It says with an
`InputError` what of the layout is missing. What a source must hold is written, and checked for
every reader, in `jaxbias.data.source`.
"""

import importlib
from collections.abc import Callable

from jaxbias.data.source import Source
from jaxbias.errors import InputError, nearest
from jaxbias.study import DataSpec

# config.data.name -> the module with its `read`, imported when it is asked for: the renderer and
# TFDS take seconds that no other dataset should pay.
READERS = {
    "faces": "jaxbias.data.faces",
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
TFDS = "tfds:"  # Before the name of a dataset that TensorFlow Datasets has prepared.


def reader(name: str) -> Callable[[DataSpec], Source]:
    """Returns the reader of a dataset.

    Raises:
      InputError: there is none of that name (with the nearest).
    """
    if name.startswith(TFDS):
        return importlib.import_module("jaxbias.data.readers.tfds").read
    if name not in READERS:
        raise InputError(
            f"config.data.name='{name}' is no dataset; {nearest(name, [*READERS, 'tfds:NAME'])}"
        )
    return importlib.import_module(READERS[name]).read
