"""The labels of a table: each column of text recognised as binary, categorical or none."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jaxbias.data.dataset import FIXED_COLUMNS, MOST_VALUES, as_text, listed
from jaxbias.errors import InputError, nearest
from jaxbias.study import DerivedSpec

# The vocabularies of a binary column, (negative, positive), compared without case.
BINARY = (("0", "1"), ("-1", "1"), ("false", "true"), ("no", "yes"))
_LISTED = 100  # Values that an error lists.


def labels(text: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Recognises label columns.

    A column is binary when all its values are of one of the pairs 0/1, -1/1, false/true and no/yes
    (case does not matter). It is categorical when it has at most 32,767 distinct words or
    whole numbers and at most half as many as it has rows. '' is unknown.

    Args:
      text: columns of strings.

    Returns:
      The label columns, dtype 'boolean' or 'category' (values as strings, sorted); and the other
      columns, each with the reason it cannot be a label.

    >>> table = pd.DataFrame({"hat": ["yes", "no", "", ""], "size": ["1.5", "2.5", "3", "4"]})
    >>> found, unusable = labels(table)
    >>> found["hat"].tolist()
    [True, False, <NA>, <NA>]
    >>> unusable["size"]
    'is neither binary nor categorical: 4 distinct numbers; group them into a few values first'
    """
    found, unusable = {}, {}
    for name in text.columns:
        label = "is a name jaxbias uses itself; rename it" if name in FIXED_COLUMNS else None
        label = label or _label(text[name])
        if isinstance(label, str):
            unusable[name] = label
        else:
            found[name] = label
    return pd.DataFrame(found, index=text.index), unusable


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
    return _category(codes, [text.strip() for text in texts], column.index)


def named(numbers: np.ndarray, names: Sequence[str]) -> pd.Series:
    """Returns class numbers as a categorical label; -1 is unknown.

    >>> named(np.array([1, -1, 0]), ["cat", "dog"]).tolist()
    ['dog', nan, 'cat']
    """
    order = sorted(set(names))
    places = np.array([*(order.index(name) for name in names), -1])
    return pd.Series(pd.Categorical.from_codes(places[numbers], order))


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
                    f" {listed(present, limit=_LISTED)}"
                )
    both = sorted(set(spec.positive) & set(spec.negative))
    if both:
        raise InputError(f"{setting}: {listed(both)} cannot be both positive and negative")
    negative = spec.negative or tuple(value for value in present if value not in spec.positive)
    if not negative:
        raise InputError(f"{setting}.positive holds every value of '{spec.column}'")
    known = {value: True for value in spec.positive} | {value: False for value in negative}
    return text.map(known).astype("boolean")


def _label(column: pd.Series) -> pd.Series | str:
    """Returns a column as a label, or the reason it is none."""
    codes, texts = pd.factorize(column)  # The distinct texts are few where it is a label.
    words = [text.strip() for text in texts]
    distinct = set(words) - {""}
    if not distinct:
        return "has no value in any row"
    numbers = _whole_numbers(distinct)
    if numbers:  # pandas writes whole numbers beside missing ones as 1.0.
        words = [numbers.get(word, "") for word in words]
        distinct = set(numbers.values())
    folded = {word.casefold() for word in distinct}
    for negative, positive in BINARY:
        if folded <= {negative, positive}:
            meaning = {negative: False, positive: True}
            values = pd.array([meaning.get(word.casefold()) for word in words], dtype="boolean")
            return pd.Series(values.take(codes), index=column.index)
    neither = f"is neither binary nor categorical: {len(distinct):,} distinct"
    way_out = "group them into a few values first"
    if numbers is None:
        return f"{neither} numbers; {way_out}"
    known = int(np.array([word != "" for word in words])[codes].sum())
    if len(distinct) > min(MOST_VALUES, max(2, known // 2)):
        return f"{neither} {'numbers' if numbers else 'values'} in {known:,} rows; {way_out}"
    return _category(codes, words, column.index)


def _category(codes: np.ndarray, words: Sequence[str], index: pd.Index) -> pd.Series:
    """Returns words[codes] as a categorical series, '' as unknown."""
    categories = sorted(set(words) - {""})
    places = {word: place for place, word in enumerate(categories)} | {"": -1}
    found = np.array([places[word] for word in words])[codes]
    return pd.Series(pd.Categorical.from_codes(found, categories), index=index)


def _whole_numbers(distinct: set[str]) -> dict[str, str] | None:
    """Returns each text's whole number, {} when some are words, None when some are fractions."""
    try:
        numbers = {text: float(text) for text in distinct}
    except ValueError:
        return {}
    if not all(np.isfinite(number) and number.is_integer() for number in numbers.values()):
        return None
    return {text: str(int(number)) for text, number in numbers.items()}
