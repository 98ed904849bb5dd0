"""FairFace in the layout its authors publish: two label files and two folders of JPEGs.

Karkkainen & Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age for Bias
Measurement and Mitigation", WACV 2021. Both paddings (0.25 and 1.25) have this layout.
"""

import re

import numpy as np
import pandas as pd

from jaxbias.data import files
from jaxbias.data.source import Source
from jaxbias.data.table import category, cleaned
from jaxbias.data.table_file import Table, read_table
from jaxbias.errors import InputError
from jaxbias.files.digits import whole
from jaxbias.study import DataSpec
from jaxbias.words import count

_AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
_TABLES = {"train": "fairface_label_train.csv", "val": "fairface_label_val.csv"}
_LABELS = ("age", "gender", "race")
_LAYOUT = (
    f"holds {_TABLES['train']}, {_TABLES['val']}, train/ and val/, as published at"
    " https://github.com/joojs/fairface"
)
# The months and days that two brackets look like.
_DATES = {frozenset((3, 9)): "3-9", frozenset((10, 19)): "10-19"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read(data: DataSpec) -> Source:
    """Reads FairFace from `data.path`: columns age, gender and race; splits 'train' and 'val'.

    A spreadsheet turns the ages 3-9 and 10-19 into dates. `data.damaged_labels` says whether such
    a file is refused ('error') or mended ('repair', counted in a note).

    Raises:
      InputError: what of the layout is missing, and where it comes from; or an age that is none.
    """
    root = files.folder(data.path, _LAYOUT)
    parts, names, mended, notes = [], {}, 0, []
    for split, name in _TABLES.items():
        if not (root / name).is_file():
            raise InputError(f"{root} has no {name}; it must be the folder that {_LAYOUT}")
        table = read_table(root / name, key="file")
        for column in ("file", *_LABELS):
            table.column(column, "as published")
        part, unknown = cleaned(table.text[list(_LABELS)], data.missing_values)
        ages, repaired = _ages(table, part["age"], data.damaged_labels)
        mended += repaired
        notes += [*table.notes, *(f"{name}: {note}" for note in unknown)]
        names[name] = table.text["file"].tolist()
        parts.append(part.assign(age=ages, split=split))
    text, same = cleaned(pd.concat(parts, ignore_index=True), ())
    notes += same
    dates = "a date was" if mended == 1 else "dates were"
    note = f"{count(mended, 'age')} of FairFace that a spreadsheet had turned into {dates} mended."
    return files.source(
        "FairFace",
        "fairface",
        data,
        root,
        names,
        text["split"],
        {name: category(text[name]) for name in _LABELS},
        notes=(*notes, note) if mended else notes,
    )


def mend(age: str) -> str | None:
    """Returns the age bracket that a spreadsheet's date was, None where it was none.

    Months and days come in either order, as names or numbers, with or without a year.

    >>> mend("9-Mar"), mend("03-Sep"), mend("2021-03-09"), mend("Oct-19"), mend("20-29")
    ('3-9', '3-9', '3-9', '10-19', None)
    """
    words = re.findall(r"[a-z]+|\d+", age.lower())
    numbers = []
    for word in words:
        if (number := whole(word)) is not None:
            numbers.append(number)
        elif word[:3] in _MONTHS:
            numbers.append(_MONTHS.index(word[:3]) + 1)
        else:
            return None
    # The year, which the spreadsheet has added, is at either end; or it is what was 19.
    pairs = [numbers[:2], numbers[1:]] if len(numbers) == 3 else [numbers]
    found = {_DATES.get(frozenset(number % 1900 % 100 for number in pair)) for pair in pairs}
    found.discard(None)
    return found.pop() if len(found) == 1 and len(numbers) in (2, 3) else None


def _ages(table: Table, ages: pd.Series, on_damage: str) -> tuple[pd.Series, int]:
    """Returns the ages as published, and how many were mended."""
    strange = np.flatnonzero(~ages.isin(("", *_AGES)))
    for row in strange:
        bracket = mend(ages.iloc[row])
        if bracket is None:
            raise InputError(
                f"{table.where(row)}: age '{ages.iloc[row]}' is none of {', '.join(_AGES)}"
            )
        if on_damage == "error":
            raise InputError(
                f"{table.where(row)}: age '{ages.iloc[row]}' is a date that a spreadsheet made of"
                f" '{bracket}', one of {count(len(strange), 'such row')}; take the published file,"
                " or set config.data.damaged_labels='repair'"
            )
    known = {age: age for age in ("", *_AGES)}
    known |= {age: mend(age) for age in ages.iloc[strange].unique()}
    return ages.map(known), len(strange)
