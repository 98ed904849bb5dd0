"""The labels of a table: each column of text recognised as binary, categorical or none."""

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxbias.data.dataset import FIXED_COLUMNS, MOST_VALUES, as_text, listed, missing_hint
from jaxbias.data.vocabulary import BINARY, folded, meanings, unify
from jaxbias.errors import InputError, nearest
from jaxbias.study import DerivedSpec

_LISTED = 100  # Values that an error lists.
SAME = "Words that differ in case, blanks or normal form alone are one"
_UNKNOWN = "Taken as unknown, by config.data.missing_values"
_NOTED = 12  # Columns that a note names.
# A whole number as people and pandas write it; "007" is a name.
_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.0*)?")
_EXACT = 2**53  # Larger numbers may be two in text and one as float64.


class Labels(NamedTuple):
    """The label columns of a table.

    Attributes:
      columns: dtype 'boolean' or 'category' (values as strings, sorted).
      unusable: the other columns, each with the reason it cannot be a label.
      notes: what was read other than as it is written, in sentences.
    """

    columns: pd.DataFrame
    unusable: dict[str, str]
    notes: tuple[str, ...]


def labels(
    text: pd.DataFrame,
    missing_values: Sequence[str],
    classes: Mapping[str, tuple[np.ndarray, Sequence[str]]] | None = None,
) -> Labels:
    """Recognises label columns.

    A column is binary when all its values are of one of the pairs of `vocabulary.BINARY` (0/1,
    -1/1, false/true, no/yes, ...), or are two words of which one negates the other. It is
    categorical when it has at most 32,767 distinct words or whole numbers and at most half as many
    as it has rows; words that differ in case, blanks or normal form alone are one. '' is unknown.

    Args:
      text: columns of strings.
      missing_values: words that are unknown, too, in any case (`config.data.missing_values`).
      classes: further columns -> class numbers int[N], -1 unknown, and the name of each class;
        there may be as many as there are.

    >>> found = labels(
    ...     pd.DataFrame({"hat": ["yes", "no", "?", ""], "size": ["1.5", "2.5", "3", "4"]}), ["?"]
    ... )
    >>> found.columns["hat"].tolist()
    [True, False, <NA>, <NA>]
    >>> found.unusable["size"]
    'is neither binary nor categorical: 4 distinct numbers; group them into a few values first'
    >>> found.notes[0]
    "Taken as unknown, by config.data.missing_values: 'hat' 1 × '?'."
    """
    found: dict[str, pd.Series] = {}
    unusable: dict[str, str] = {}
    missing, same, negated = [], [], []
    known = {folded(word) for word in missing_values}
    for name in (*text.columns, *(classes or ())):
        if name in FIXED_COLUMNS:
            unusable[name] = "is a name jaxbias uses itself; rename it"
            continue
        declared = classes is not None and name in classes
        codes, written = classes[name] if declared else pd.factorize(text[name])
        column = _Column.of(codes, written, known, declared)
        missing += [f"'{name}' {column.unknown}"] if column.unknown else []
        label = column.label()
        if isinstance(label, str):
            unusable[name] = label
            continue
        found[name] = pd.Series(label, index=text.index if len(text.columns) else None)
        same += [f"'{name}' {column.spelt}"] if column.spelt else []
        negated += [f"'{name}' {column.negated}"] if column.negated else []
    notes = (
        _note(_UNKNOWN, missing),
        _note(SAME, same),
        _note("Binary, as one word negates the other", negated),
    )
    return Labels(pd.DataFrame(found), unusable, tuple(note for note in notes if note))


def add_derived(
    table: pd.DataFrame, derived: Mapping[str, DerivedSpec], unusable: Mapping[str, str]
) -> pd.DataFrame:
    """Adds the binary columns that the study makes from the values of others.

    Args:
      table: label columns, among others.
      derived: new column -> the values of another that are positive and negative (none named:
        every other known value is negative). What is neither is unknown.
      unusable: the columns that are no labels, each with the reason.

    Returns:
      The table with the new columns, dtype 'boolean', at its end.

    Raises:
      InputError: an unknown column, a value that never occurs, or one that is both.
    """
    new = {}
    for name, spec in derived.items():
        setting = f"config.data.derived.{name}"
        if name in table or name in unusable or name in FIXED_COLUMNS:
            raise InputError(f"{setting}: the data has a column '{name}' already; choose another")
        if spec.column in unusable:
            raise InputError(f"{setting}: column '{spec.column}' {unusable[spec.column]}")
        sources = [column for column in table.columns if column not in FIXED_COLUMNS]
        if spec.column not in sources:
            raise InputError(
                f"{setting}.column='{spec.column}' is no label column; "
                f"{nearest(spec.column, sources)}"
            )
        new[name] = _derive(table[spec.column], spec, setting)
    return table.assign(**new)


def category(column: pd.Series) -> pd.Series:
    """Returns strings as a categorical label, values sorted, '' as unknown."""
    codes, texts = pd.factorize(column)
    words = [text.strip() for text in texts]
    return pd.Series(_categorical(codes, words), index=column.index)


def cleaned(
    text: pd.DataFrame, missing_values: Sequence[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Returns columns of strings, '' for what is unknown, one spelling per word; and notes."""
    known, columns = {folded(word) for word in missing_values}, {}
    missing, same = [], []
    for name in text.columns:
        codes, written = pd.factorize(text[name])
        column = _Column.of(codes, written, known, declared=False)
        missing += [f"'{name}' {column.unknown}"] if column.unknown else []
        same += [f"'{name}' {column.spelt}"] if column.spelt else []
        words = [column.same.get(word, word) for word in column.words]
        columns[name] = pd.Series(np.array(words, object)[codes], text.index, dtype=str)
    notes = (_note(_UNKNOWN, missing), _note(SAME, same))
    return pd.DataFrame(columns), tuple(note for note in notes if note)


def named(numbers: np.ndarray, names: Sequence[str]) -> pd.Series:
    """Returns class numbers as a categorical label; -1 is unknown.

    >>> named(np.array([1, -1, 0]), ["cat", "dog"]).tolist()
    ['dog', nan, 'cat']
    """
    return pd.Series(_categorical(numbers, names))


def _derive(column: pd.Series, spec: DerivedSpec, setting: str) -> pd.Series:
    text = as_text(column)
    present = sorted(text.dropna().unique())
    if not spec.positive:
        raise InputError(f"{setting}.positive is empty: name values among {listed(present)}")
    for side in ("positive", "negative"):
        for value in getattr(spec, side):
            if value not in present:
                raise InputError(
                    f"{setting}.{side}: column '{spec.column}' has no value '{value}'; it has"
                    f" {listed(present, limit=_LISTED)}{missing_hint(value)}"
                )
    both = sorted(set(spec.positive) & set(spec.negative))
    if both:
        raise InputError(f"{setting}: {listed(both)} cannot be both positive and negative")
    negative = spec.negative or tuple(value for value in present if value not in spec.positive)
    if not negative:
        raise InputError(f"{setting}.positive holds every value of '{spec.column}'")
    known = {value: True for value in spec.positive} | {value: False for value in negative}
    return text.map(known).astype("boolean")


@dataclasses.dataclass(frozen=True)
class _Column:
    """The distinct words of a column, as they are to be read.

    Attributes:
      codes: int[N], each row's place in `words`, -1 unknown.
      words: '' where a word stands for what is unknown.
      counts: int64, rows of each word.
      declared: whether the words are the names of classes, and not what happens to be written.
      unknown: the words that were taken as unknown, with their counts.
    """

    codes: np.ndarray
    words: list[str]
    counts: np.ndarray
    declared: bool
    unknown: str

    @classmethod
    def of(
        cls, codes: np.ndarray, written: Sequence[str], missing: set[str], declared: bool
    ) -> "_Column":
        words = [text.strip() for text in written]
        counts = np.bincount(codes[codes >= 0], minlength=len(words))
        gone = Counter[str]()
        for place, word in enumerate(words):
            if word and word.casefold() in missing:
                words[place] = ""
                gone[word] += int(counts[place])
        unknown = ", ".join(f"{count:,} × '{word}'" for word, count in gone.items() if count)
        return cls(codes, words, counts, declared, unknown)

    @functools.cached_property
    def distinct(self) -> list[str]:
        return sorted(set(self.words) - {""})

    @functools.cached_property
    def numbers(self) -> dict[str, str] | None:
        return {} if self.declared else _whole_numbers(set(self.distinct))

    @functools.cached_property
    def same(self) -> dict[str, str]:
        """Another spelling of a word -> the one that is kept."""
        if self.declared or self.numbers or len(self.words) > 2 * MOST_VALUES:
            return {}
        if meanings(self.distinct):
            return {}
        counts = Counter[str]()
        for word, count in zip(self.words, self.counts, strict=True):
            counts[word] += int(count)
        return unify(self.distinct, [counts[word] for word in self.distinct])

    @property
    def spelt(self) -> str:
        return spelt(self.same)

    @property
    def negated(self) -> str:
        meaning = meanings(self.distinct) or {}
        words = {folded(word): value for word, value in meaning.items()}
        if len(words) < 2 or tuple(sorted(words, key=words.get)) in BINARY:
            return ""
        return " and ".join(f"{int(meaning[word])} is '{word}'" for word in meaning)

    def label(self) -> pd.Categorical | pd.api.extensions.ExtensionArray | str:
        """Returns the column as a label, or the reason it is none."""
        if not self.distinct:
            return f"has no value in any row{self.unknown and f' but {self.unknown}'}"
        numbers = self.numbers
        # pandas writes whole numbers beside missing ones as 1.0.
        words = [(numbers or {}).get(word, self.same.get(word, word)) for word in self.words]
        distinct = set(words) - {""}
        meaning = meanings(distinct)
        if meaning is not None:
            values = pd.array([*(meaning.get(word) for word in words), None], dtype="boolean")
            return values.take(self.codes)
        neither = f"is neither binary nor categorical: {len(distinct):,} distinct"
        way_out = "group them into a few values first"
        if numbers is None:
            return f"{neither} numbers; {way_out}"
        known = int(self.counts[[word != "" for word in words]].sum())
        most = MOST_VALUES if self.declared else min(MOST_VALUES, max(2, known // 2))
        if len(distinct) > most:
            return f"{neither} {'numbers' if numbers else 'values'} in {known:,} rows; {way_out}"
        return _categorical(self.codes, words)


def spelt(same: Mapping[str, str]) -> str:
    """Returns which words were taken as which, for a note.

    >>> spelt({"man": "Man"})
    "'man' as 'Man'"
    """
    return ", ".join(f"'{word}' as '{kept}'" for word, kept in same.items())


def _note(what: str, columns: Sequence[str]) -> str:
    if not columns:
        return ""
    more = f" and {len(columns) - _NOTED:,} more columns" if len(columns) > _NOTED else ""
    return f"{what}: {'; '.join(columns[:_NOTED])}{more}."


def _categorical(codes: np.ndarray, words: Sequence[str]) -> pd.Categorical:
    """Returns words[codes] as a categorical, '' and code -1 as unknown."""
    categories = sorted(set(words) - {""})
    places = {word: place for place, word in enumerate(categories)} | {"": -1}
    found = np.array([*(places[word] for word in words), -1])[codes]
    return pd.Categorical.from_codes(found, categories)


def _whole_numbers(distinct: set[str]) -> dict[str, str] | None:
    """Returns each text's whole number, {} when some are words, None when some are fractions."""
    if all(_WHOLE.fullmatch(text) for text in distinct):
        numbers = {text: int(text.partition(".")[0]) for text in distinct}
        exact = all(abs(number) < _EXACT for number in numbers.values())
        return {text: str(number) for text, number in numbers.items()} if exact else {}
    try:
        values = np.array([float(text) for text in distinct])
    except ValueError:
        return {}
    return {} if (np.isfinite(values) & (values == np.floor(values))).all() else None
