"""What a dataset holds, before anything is trained on it: splits, cells, correlations, faces."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from jaxbias import words
from jaxbias.data.dataset import UNKNOWN, Dataset, as_text
from jaxbias.data.exclusions import excluded
from jaxbias.study import SPLITS, GroupSpec

_THUMBNAIL = 64  # Smallest side, in pixels, of an image on a contact sheet.
_GAP = 4
_CAPTION = 18
_ROWS = 60  # Cells on a contact sheet or in a text, the largest of them.
_ATTRIBUTES = 60  # Attributes shown in a text; the frame has all.


@dataclasses.dataclass(frozen=True, eq=False)
class Description:
    """Counts of a dataset; `str()` lays it out as text."""

    name: str
    # split, examples, one column per group: how many are in it; and how many are in neither.
    splits: pd.DataFrame
    # split, target, cell ('positive'; 'A only' of a pair; a category), group, count, and
    # population: how many of them are draws from the population, not rendered on purpose.
    cells: pd.DataFrame
    # split, target, one column per group with the prevalence in it, and phi, the correlation of
    # the target with being in the first group; all over draws from the population.
    correlations: pd.DataFrame
    # attribute, values, missing, association with the group: phi with being in the first group
    # where it is binary, Cramér's V where it is a category; over all splits' population draws.
    attributes: pd.DataFrame
    # column, reason: columns that are no label, and those that tell nothing since they do not vary.
    unusable: pd.DataFrame
    notes: tuple[str, ...]

    def __str__(self) -> str:
        parts = [self.name, _text(self.splits)]
        for target, part in self.cells.groupby("target", sort=False):
            table = part.groupby(["group", "cell", "split"], sort=False)["count"].sum()
            table = table.unstack("split")
            shown = table.loc[table.sum(axis=1).sort_values(kind="stable").index[-_ROWS:]]
            shown = table if len(table) <= _ROWS else shown[::-1]
            rest = len(table) - len(shown)
            more = f"\n({words.count(rest, 'smaller cell')} left out)" if rest else ""
            parts.append(f"{target}\n{_text(shown.reset_index())}{more}")
        if len(self.correlations):
            parts.append(f"natural prevalence and correlation\n{_text(self.correlations)}")
        if len(self.attributes):
            shown = self.attributes.assign(
                order=-self.attributes["association"].abs(),
            ).sort_values("order", kind="stable", na_position="last")
            rest = len(shown) - _ATTRIBUTES
            more = f"\n({rest} attributes with less association left out)" if rest > 0 else ""
            table = _text(shown.drop(columns="order").head(_ATTRIBUTES))
            parts.append(f"every attribute and the group\n{table}{more}")
        if len(self.unusable):
            lines = [f"{row.column}: {row.reason}" for row in self.unusable.itertuples()]
            parts.append("\n".join(["columns that are no label, or do not vary", *lines]))
        return "\n\n".join([*parts, *self.notes])


@dataclasses.dataclass(frozen=True, eq=False)
class _Target:
    cells: tuple[str, ...]
    codes: np.ndarray  # int[N]: each example's cell, -1 unknown.
    positive: np.ndarray | None  # int8[N]: 1, 0, -1 unknown; None for a category.


def describe(dataset: Dataset, group: GroupSpec, targets: Sequence[str]) -> Description:
    """Counts the examples of every split and cell, and how targets go with the group.

    Args:
      dataset: the dataset.
      group: the sensitive attribute.
      targets: label columns, or pairs 'A|B' of binary ones.

    Returns:
      The counts. phi is Pearson's correlation of two binary variables, over examples where both
      are known: (n11·n00 - n10·n01) / sqrt(n1·n0·m1·m0); NaN where one does not vary. The
      positives of a pair are A only and B only; examples with both are outside it.

    Raises:
      InputError: an unknown column or value, or a pair of columns that are not binary.
    """
    groups = dataset.codes(group.column, group.values)
    found = {target: _target(dataset, target) for target in targets}
    split = dataset.table["split"].to_numpy(object)
    drawn = dataset.table["stratum"].to_numpy(object) == ""
    sizes, cells, correlations = [], [], []
    for name in (*SPLITS, ""):
        here = split == name
        if not here.any():
            continue
        shown = name or "(none)"
        members = {g: int(np.sum(here & (groups == i))) for i, g in enumerate(group.names)}
        outside = int(np.sum(here & (groups == UNKNOWN)))
        sizes.append({"split": shown, "examples": int(here.sum()), **members, "neither": outside})
        for target, kind in found.items():
            key = {"split": shown, "target": target}
            cells += [key | cell for cell in _cells(kind, groups, group.names, here, drawn)]
            if kind.positive is not None:
                known = here & drawn & (groups >= 0) & (kind.positive >= 0)
                row = _correlation(kind.positive[known], groups[known], group.names)
                correlations.append(key | row)
    return Description(
        name=dataset.name,
        splits=pd.DataFrame(sizes),
        cells=pd.DataFrame(
            cells, columns=["split", "target", "cell", "group", "count", "population"]
        ),
        correlations=pd.DataFrame(correlations, columns=["split", "target", *group.names, "phi"]),
        attributes=_attributes(dataset, group, groups, drawn & (split != "")),
        unusable=_unusable(dataset, split != ""),
        notes=(*dataset.notes, *excluded(dataset, group, targets)),
    )


def _target(dataset: Dataset, target: str) -> _Target:
    if "|" in target:
        first, second = target.split("|", 1)
        a, b = dataset.binary(first), dataset.binary(second)
        known = (a != UNKNOWN) & (b != UNKNOWN)
        codes = np.where(known, np.select([(a > b), (a < b), (a == 0)], [0, 1, 2], 3), UNKNOWN)
        positive = np.select([(codes == 0) | (codes == 1), codes == 2], [1, 0], UNKNOWN)
        return _Target((f"{first} only", f"{second} only", "neither", "both"), codes, positive)
    column = dataset.column(target)
    if column.dtype == "boolean":
        positive = dataset.binary(target)
        codes = np.where(positive == UNKNOWN, UNKNOWN, 1 - positive)
        return _Target(("positive", "negative"), codes, positive)
    return _Target(tuple(column.cat.categories), column.cat.codes.to_numpy(), None)


def _cells(
    target: _Target, groups: np.ndarray, names: Sequence[str], here: np.ndarray, drawn: np.ndarray
) -> Iterator[dict[str, Any]]:
    inside = here & (groups >= 0) & (target.codes >= 0)
    places = groups.astype(np.int64) * len(target.cells) + target.codes
    size = len(names) * len(target.cells)
    count = np.bincount(places[inside], minlength=size)
    population = np.bincount(places[inside & drawn], minlength=size)
    for place in range(size):
        i, j = divmod(place, len(target.cells))
        counts = {"count": int(count[place]), "population": int(population[place])}
        yield {"cell": target.cells[j], "group": names[i], **counts}


def _correlation(
    positive: np.ndarray, groups: np.ndarray, names: Sequence[str]
) -> dict[str, float]:
    inside = [positive[groups == i] for i in range(len(names))]
    prevalence = [float(members.mean()) if len(members) else float("nan") for members in inside]
    return {**dict(zip(names, prevalence, strict=True)), "phi": phi(positive, groups == 0)}


def phi(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the correlation of two binary variables, NaN where one does not vary.

    >>> round(phi(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])), 4)
    0.5774
    """
    if len(x) == 0 or np.ptp(x.astype(int)) == 0 or np.ptp(y.astype(int)) == 0:
        return float("nan")
    return float(np.corrcoef(x.astype(float), y.astype(float))[0, 1])


def cramer(table: np.ndarray) -> float:
    """Returns Cramér's V of a table of counts, int[R, C]; NaN where a side has one value only.

    >>> round(cramer(np.array([[10, 0, 0], [0, 5, 5]])), 4)
    1.0
    """
    from scipy.stats import contingency  # Half a second that nobody else should pay.

    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    if min(table.shape) < 2:
        return float("nan")
    return float(contingency.association(table, method="cramer"))


def _attributes(
    dataset: Dataset, group: GroupSpec, groups: np.ndarray, used: np.ndarray
) -> pd.DataFrame:
    rows = []
    for name in dataset.label_columns:
        if name == group.column:
            continue
        column = dataset.column(name)
        if column.dtype == "boolean":
            codes, values = dataset.binary(name), 2
        else:
            codes, values = column.cat.codes.to_numpy(), len(column.cat.categories)
        known = used & (codes >= 0) & (groups >= 0)
        if column.dtype == "boolean":
            association = phi(codes[known], groups[known] == 0)
        else:
            flat = groups[known].astype(int) * values + codes[known]
            association = cramer(np.bincount(flat, minlength=2 * values).reshape(2, values))
        missing = int((used & (codes < 0)).sum())
        rows.append(
            {"attribute": name, "values": values, "missing": missing, "association": association}
        )
    return pd.DataFrame(rows, columns=["attribute", "values", "missing", "association"])


def _unusable(dataset: Dataset, used: np.ndarray) -> pd.DataFrame:
    """Returns the columns that cannot be compared or learnt among the examples in use, and why."""
    rows = list(dataset.unusable.items())
    for name in dataset.label_columns:
        values, counts = np.unique(as_text(dataset.column(name))[used].dropna(), return_counts=True)
        if len(values) > 1:
            continue
        reason = "has no value in any example of a split"
        if len(values):
            none = {"0": ", no positive", "1": ", no negative"}
            which = none.get(values[0], "") if dataset.column(name).dtype == "boolean" else ""
            reason = f"is '{values[0]}' in all {counts[0]:,} examples that have it{which}"
        rows.append((name, reason))
    return pd.DataFrame(rows, columns=["column", "reason"])


def contact_sheet(
    dataset: Dataset, group: GroupSpec, target: str, columns: int = 10, seed: int = 0
) -> Image.Image:
    """Draws random examples of every cell, one row each, for a person to look at.

    Args:
      dataset: the dataset.
      group: the sensitive attribute.
      target: a label column, or a pair 'A|B' of binary ones.
      columns: examples per row.
      seed: which examples.

    Returns:
      An RGB image: per cell (the 60 largest) a caption with its count over all splits, and the
      examples.

    Raises:
      InputError: an unknown column or value, or a pair of columns that are not binary.
    """
    groups = dataset.codes(group.column, group.values)
    kind = _target(dataset, target)
    used = dataset.table["split"].to_numpy(object) != ""
    drawn = np.ones(len(used), bool)
    counted = list(enumerate(_cells(kind, groups, group.names, used, drawn)))
    if len(counted) > _ROWS:
        counted = sorted(counted, key=lambda cell: -cell[1]["count"])[:_ROWS]
    rows = []
    for place, cell in counted:
        i, j = divmod(place, len(kind.cells))
        members = np.flatnonzero(used & (groups == i) & (kind.codes == j))
        rows.append((f"{cell['group']}, {target} {cell['cell']}: {len(members):,}", members))
    rng = np.random.default_rng(seed)
    size = dataset.images.shape[1]
    side = size * max(1, -(-_THUMBNAIL // size))
    height = _CAPTION + side + 2 * _GAP
    sheet = Image.new("RGB", (columns * (side + _GAP) + _GAP, height * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (caption, members) in enumerate(rows):
        top = row * height
        draw.text((_GAP, top + 2), caption, fill="black", font=font)
        for column, example in enumerate(rng.permutation(members)[:columns]):
            image = Image.fromarray(dataset.images[example])
            image = image.resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(image, (_GAP + column * (side + _GAP), top + _CAPTION))
    return sheet


def _text(frame: pd.DataFrame) -> str:
    return frame.to_string(
        index=False, float_format=lambda value: f"{value:.3f}", formatters=_thousands(frame)
    )


def _thousands(frame: pd.DataFrame) -> dict[str, object]:
    return {
        name: "{:,}".format for name in frame.columns if pd.api.types.is_integer_dtype(frame[name])
    }
