"""The built-in synthetic faces: cartoon faces with a known population and no privacy.

The group is synthetic: `Male` names a set of overlapping proportions of a cartoon, and the names of
the attributes are aliases that follow CelebA's. Nothing here describes real people.
"""

import functools
import threading
from collections.abc import Callable

import pandas as pd

from jaxbias import study
from jaxbias.data.directories import home
from jaxbias.data.faces.attributes import ATTRIBUTES, CELEBA, GROUP, HAIR, frequencies, salience
from jaxbias.data.faces.builder import build, content_hash, reader
from jaxbias.data.faces.roster import enroll
from jaxbias.data.source import Source

__all__ = ["ATTRIBUTES", "CELEBA", "GROUP", "HAIR", "read"]


def read(spec: study.DataSpec) -> Source:
    """Returns a study's faces, which are rendered once, when images are asked for.

    Args:
      spec: image size, seed and settings of the faces.

    Returns:
      Encoded images with every attribute as a label.

    Raises:
      InputError: an unknown attribute, impossible frequencies or no image at all.
    """
    salience(spec.faces)  # Refuse wrong settings before anything is rendered.
    # Several threads may ask at once.
    rendering = threading.Lock()

    @functools.cache
    def rendered() -> Callable[[int], bytes]:
        return reader(build(spec, home() / "datasets"))

    def images() -> Callable[[int], bytes]:
        with rendering:
            return rendered()

    table = pd.concat([part.table() for part in enroll(spec)], ignore_index=True)
    return Source(
        name="faces",
        key=content_hash(spec),
        table=table,
        read=lambda row: images()(row),
        prepare=images,
        frequencies=frequencies(spec.faces),
        group_share=spec.faces.male_share,
    )
