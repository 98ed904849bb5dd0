"""What a reader of a dataset hands over: a table of labels and the encoded image of each row."""

import bisect
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.errors import InputError

_PLAIN = ("id", "split")  # The first columns of every table, in this order.


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Images still encoded, and what is known about each."""

    name: str
    # Identifies the encoded images (paths, sizes and times, or a content version): part of the
    # name of the image store, so another key means decoding again.
    key: str
    # Row i describes image i: 'id' (str), 'split' (the source's own), optionally 'stratum',
    # and label columns of dtype 'boolean' or 'category' (unknown: NA).
    table: pd.DataFrame
    # The encoded bytes (PNG, JPEG, ...) of row i; called from several threads at once, and from
    # several processes where it can be pickled.
    read: Callable[[int], bytes]
    # Declared population: index = attribute, columns 0 and 1 = P(attribute | Male=0 or 1).
    frequencies: pd.DataFrame | None = None
    group_share: float | None = None  # Declared P(Male = 1).
    # Columns of the user's table that cannot be labels, each with the reason.
    unusable: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()  # What the report must say about the data, in sentences.
    # Another name of every row, by which tables made elsewhere may call it: an image number.
    numbers: pd.Series | None = None
    # Ids and numbers of rows that are left out because their image is not there.
    absent: pd.Index = dataclasses.field(default_factory=lambda: pd.Index([], dtype=str))
    # Makes what `read` reads, where that takes long and may be there already, such as by rendering;
    # called before the first image is read.
    prepare: Callable[[], object] = lambda: None


def check(source: Source) -> None:
    """Holds a source to the contract.

    Raises:
      InputError: no rows, or an id twice.
      UnicodeEncodeError: a text that cannot be written as UTF-8: the name of a file of other bytes,
        or half of a pair of surrogates. Some versions of pandas have refused it before.
      TypeError: the reader is at fault: a column of another type, or out of place.
    """
    table = source.table
    if table.empty:
        raise InputError(f"{source.name} has no images")
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise InputError(
            f"{source.name} has {words.count(len(twice), 'id')} twice, such as '{twice.iloc[0]}'"
        )
    if tuple(table.columns[:2]) != _PLAIN:
        raise TypeError(f"the table of {source.name} must begin with {', '.join(_PLAIN)}")
    " ".join([source.name, *table.columns]).encode()
    for name in table.columns:
        dtype, plain = table[name].dtype, name in (*_PLAIN, "stratum")
        good = pd.api.types.is_string_dtype(dtype) if plain else dtype in ("boolean", "category")
        if not good:
            raise TypeError(f"column '{name}' of {source.name} has dtype {dtype}")
        if dtype != "boolean":
            for text in table[name].unique() if plain else table[name].cat.categories:
                text.encode()


def with_labels(
    ids: pd.Series | list[str], split: pd.Series | list[str] | str, labels: Mapping[str, pd.Series]
) -> pd.DataFrame:
    """Returns the table of a source from its columns, which share one order of rows."""
    fixed = pd.DataFrame({"id": list(ids)}, dtype=str)
    fixed["split"] = split if isinstance(split, str) else list(split)
    columns = {name: column.reset_index(drop=True) for name, column in labels.items()}
    return pd.concat([fixed, pd.DataFrame(columns, index=fixed.index)], axis=1)


def only(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Returns some rows of a table; a category that only the others had is gone."""
    table = table.iloc[rows].reset_index(drop=True)
    for name in table.select_dtypes("category"):
        table[name] = table[name].cat.remove_unused_categories()
    return table


def locate(ends: Sequence[int], row: int) -> tuple[int, int]:
    """Returns in which of several joined parts a row is, and its row there.

    >>> locate((2, 5), 1), locate((2, 5), 2)
    ((0, 1), (1, 0))
    """
    part = bisect.bisect_right(ends, row)
    return part, row - (ends[part - 1] if part else 0)
