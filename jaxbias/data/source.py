"""What a reader of a dataset hands over: a table of labels and the encoded image of each row."""

import dataclasses
from collections.abc import Callable, Mapping

import pandas as pd


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Images still encoded, and what is known about each."""

    name: str
    # Identifies the encoded images (paths, sizes and times, or a content version): part of the
    # name of the image store, so another key means decoding again.
    key: str
    # Row i describes image i: 'id' (str), 'split' (the source's own), optionally 'stratum',
    # and label columns of dtype 'boolean' or 'category'.
    table: pd.DataFrame
    # The encoded bytes (PNG, JPEG, ...) of row i; called from several threads at once, and from
    # several processes where it can be pickled.
    read: Callable[[int], bytes]
    # Declared population: index = attribute, columns 0 and 1 = P(attribute | Male=0 or 1).
    frequencies: pd.DataFrame | None = None
    group_share: float | None = None  # Declared P(Male = 1).
    # Columns of the user's table that cannot be labels, each with the reason.
    unusable: Mapping[str, str] = dataclasses.field(default_factory=dict)
