"""The dataset as every later room sees it: one image store and one table of labels."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jaxbias.data.vocabulary import meanings, suggestion
from jaxbias.errors import InputError, nearest
from jaxbias.study import DataSpec

# Columns of the table that are not labels.
FIXED_COLUMNS = ("id", "split", "stratum")
UNKNOWN = -1
MOST_VALUES = 32_767  # Of a column that is learnt or compared.


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Decoded images and their labels; row i of the table describes image i."""

    name: str
    images: np.ndarray  # uint8[N, S, S, 3], a read-only memory map.
    # 'id' (str), 'split' (one of study.SPLITS, '' = in none), 'stratum' ('' = a draw from the
    # population, else the attribute it was rendered for), then label columns: 'boolean'
    # (NA = unknown) or 'category'.
    table: pd.DataFrame
    fingerprint: str  # sha256 hex of the pixels' checksum and the table's content.
    # Declared population: index = attribute, columns 0 and 1 = P(attribute | Male=0 or 1).
    frequencies: pd.DataFrame | None = None
    group_share: float | None = None  # Declared P(Male = 1).
    notes: tuple[str, ...] = ()  # What the report must say about the data, in sentences.
    unusable: Mapping[str, str] = dataclasses.field(default_factory=dict)
    # float32[N] columns in [0, 1]: soft targets of labels that a model has scored; NaN = unknown.
    soft: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    built: bool = False  # Whether its images were decoded now, and not by an earlier run.

    @property
    def label_columns(self) -> list[str]:
        """Names of the label columns, in table order."""
        return [name for name in self.table.columns if name not in FIXED_COLUMNS]

    def column(self, name: str) -> pd.Series:
        """Returns a label column.

        Args:
          name: a label column.

        Returns:
          A series of N values, dtype 'boolean' (NA = unknown) or 'category'.

        Raises:
          InputError: there is no such column (with the nearest), or its values are neither
            binary nor categorical.
        """
        if name in self.unusable:
            raise InputError(f"column '{name}' of {self.name} {self.unusable[name]}")
        if name not in self.label_columns:
            raise InputError(
                f"{self.name} has no label column '{name}'; {nearest(name, self.label_columns)}"
            )
        return self.table[name]

    def binary(self, name: str) -> np.ndarray:
        """Returns a binary column as int8[N]: 1 positive, 0 negative, -1 unknown.

        Raises:
          InputError: no such column, or it is not binary.
        """
        column = self.column(name)
        if column.dtype != "boolean":
            values = [str(value) for value in column.cat.categories]
            negative, positive = suggestion(values)
            other = f", negative=('{negative}',)" if negative else ""
            raise InputError(
                f"column '{name}' of {self.name} has the values {listed(values)}, but a binary"
                " column is needed: make one, for example"
                f" config.data.derived.my_{name} = dict(column='{name}',"
                f" positive=('{positive}',){other})"
            )
        return column.astype("Int8").fillna(UNKNOWN).to_numpy(np.int8)

    def probabilities(self, name: str) -> np.ndarray:
        """Returns float32[N], what a model gave for a label (`soft`); -1 where it gave nothing.

        Raises:
          InputError: there are none of this column.
        """
        if name not in self.soft.columns:
            raise InputError(
                f"{self.name} has no probabilities of '{name}', which config.data.scores gives; "
                f"{nearest(name, self.soft.columns)}"
            )
        return self.soft[name].fillna(UNKNOWN).to_numpy(np.float32)

    def codes(self, name: str, values: Sequence[str]) -> np.ndarray:
        """Returns each example's place in `values`.

        Args:
          name: a label column.
          values: its values as strings; those of a binary column are '0' and '1', or two words
            that say no and yes.

        Returns:
          int32[N]: an index into `values`, -1 where the value is unknown or not among them.

        Raises:
          InputError: no such column, a value that no example has, or more than 32,767 of them.
        """
        column = self.column(name)
        if len(values) > MOST_VALUES:
            raise InputError(
                f"column '{name}' of {self.name} has {len(values):,} values, more than"
                f" {MOST_VALUES:,}: make a binary column of some of them (config.data.derived)"
            )
        meaning = meanings(values) if column.dtype == "boolean" and len(values) == 2 else None
        if meaning and len(set(meaning.values())) == 2:
            values = [str(int(meaning[value])) for value in values]
        codes, present = pd.factorize(as_text(column))  # The distinct values are few.
        known, places = set(present), {value: place for place, value in enumerate(values)}
        absent = [value for value in values if value not in known]
        if absent:
            raise InputError(
                f"column '{name}' of {self.name} has no value '{absent[0]}'; it has"
                f" {listed(sorted(present))}{missing_hint(absent[0])}"
            )
        found = np.array([*(places.get(value, UNKNOWN) for value in present), UNKNOWN], np.int32)
        return found[codes]


def missing_hint(value: str) -> str:
    """Returns why a value may not be there although a table has it, "" where that is no reason."""
    words = DataSpec().missing_values
    if value.strip().casefold() not in {word.casefold() for word in words}:
        return ""
    return f"; '{value}' is taken as unknown unless config.data.missing_values leaves it out"


def as_text(label: pd.Series) -> pd.Series:
    """Returns a label column as strings, NA where unknown; binary values are '0' and '1'."""
    return (label.astype("Int8") if label.dtype == "boolean" else label).astype("string")


def listed(names: Sequence[str], limit: int = 12) -> str:
    """Returns names in quotes, the rest of a long list as a count.

    >>> listed(["b", "a"]), listed(["a", "b", "c"], limit=2)
    ("'b', 'a'", "'a', 'b' and 1 more")
    """
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    more = len(names) - limit
    return f"{shown} and {more} more" if more > 0 else shown or "none"
