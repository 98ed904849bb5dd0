"""Which example is for pretraining, finetuning, validation or test: no example is for two."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jaxbias.data.dataset import listed
from jaxbias.data.delimited import shown
from jaxbias.data.table_file import Table
from jaxbias.errors import InputError, nearest
from jaxbias.study import SPLITS
from jaxbias.words import count

# What other people call our splits. A source's plain training set is for finetuning.
_ALIASES = {
    "train": "finetune",
    "training": "finetune",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
}
_EXAMPLE = "{'pretrain': 0.4, 'finetune': 0.3, 'validation': 0.1, 'test': 0.2}"


def assign(table: pd.DataFrame, shares: Mapping[str, Mapping[str, float]], seed: int) -> np.ndarray:
    """Assigns every example to at most one split.

    Within a source split, examples are ranked by a keyed hash of their id and the ranking is cut
    at the shares. So the assignment does not depend on the order of rows, its sizes are exact
    (largest remainder), and examples added later move only a few of the old ones.

    Args:
      table: columns 'id' (unique) and 'split', the source's own split.
      shares: source split -> our split -> share of its examples; what is left over, and source
        splits not named, are in no split. Empty: the source's splits are taken by their names.
      seed: keys the hash.

    Returns:
      object[N] of strings: one of `study.SPLITS`, or '' for examples in no split.

    Raises:
      InputError: a source split that is named but not there, or no known name and no shares.

    >>> table = pd.DataFrame({"id": list("abcd"), "split": "all"})
    >>> sorted(assign(table, {"all": {"finetune": 0.5, "test": 0.25}}, seed=0))
    ['', 'finetune', 'finetune', 'test']
    """
    sources = table["split"].to_numpy(dtype=object)
    present = sorted(set(sources))
    if not shares:
        shares = _by_name(present)
    for source in shares:
        if source not in present:
            raise InputError(
                f"config.data.splits.{source}: the data has no split '{source}';"
                f" {nearest(source, present)}"
            )
    ids = table["id"].to_numpy(dtype=object)
    assigned = np.full(len(table), "", dtype=object)
    for source, wanted in shares.items():
        rows = np.flatnonzero(sources == source)
        ranked = rows[np.argsort(_keys(ids[rows], seed), kind="stable")]
        start = 0
        names = [name for name in SPLITS if name in wanted]
        for name, size in zip(names, _sizes([wanted[n] for n in names], len(rows)), strict=True):
            assigned[ranked[start : start + size]] = name
            start += size
    return assigned


def is_split(words: Sequence[str]) -> bool:
    """Whether words are names of splits, two at least.

    >>> is_split(["train", "Val", ""]), is_split(["train", "bus"])
    (True, False)
    """
    named = {_known(word) for word in words if word.strip()}
    return None not in named and len({word.strip().casefold() for word in words} - {""}) > 1


def example(words: Sequence[str]) -> str:
    """Returns what config.data.splits may say of a source's splits.

    >>> example(["test", "train"])
    "{'test': {'test': 1.0}, 'train': {'pretrain': 0.5, 'finetune': 0.5}}"
    """
    shares = {}
    for word in words:
        name = word.strip().casefold()
        ours = _ALIASES.get(name, name)
        trained = ours == "finetune" and name != ours
        shares[word] = {"pretrain": 0.5, "finetune": 0.5} if trained else {ours: 1.0}
    return str(shares)


def of_rows(table: Table) -> tuple[np.ndarray, list[str]]:
    """Returns the split of every row of a table that is divided already, by its column "split".

    Returns:
      object[N] of `study.SPLITS`, '' where the row names none; all "test" without such a column.
      And which words were understood as which split, and rows without one, in sentences.

    Raises:
      InputError: a word that is no split, with the line and the id of its first row.
    """
    if "split" not in table.text:
        return np.full(len(table.text), "test", dtype=object), []
    column = table.text["split"]
    known = {word: _known(word) for word in column.unique()}
    for row, word in enumerate(column):
        if known[word] is None:
            also = ", ".join(f"{alias} ({name})" for alias, name in _ALIASES.items())
            raise InputError(
                f"{table.where(row)}: split {shown(word)} is unknown"
                f" ({count(int((column == word).sum()), 'row')}); valid: {', '.join(SPLITS)}, and"
                f" {also}"
            )
    said = [
        f"Split '{word.strip()}' of {table.path.name} was taken for '{name}'."
        for word, name in known.items()
        if name != word.strip() and name
    ]
    without = int(column.map(known).eq("").sum())
    if without:
        said.append(f"Left out: {count(without, 'row')} of {table.path.name} without a split.")
    return column.map(known).to_numpy(object), said


def _known(word: str) -> str | None:
    name = word.strip().casefold()
    return _ALIASES.get(name, name if name in (*SPLITS, "") else None)


def _by_name(sources: Sequence[str]) -> dict[str, dict[str, float]]:
    shares = {}
    for source in sources:
        name = _known(source)
        if name:
            shares[source] = {name: 1.0}
        elif name is None:
            raise InputError(
                f"config.data.splits is empty and the data's splits are {listed(sources)}: say how"
                f" to divide them, for example config.data.splits = {{'{source}': {_EXAMPLE}}}"
            )
    if not shares:
        raise InputError("no example of the data is in any split")
    return shares


def _keys(ids: Sequence[str], seed: int) -> np.ndarray:
    """Returns uint64[N], a rank key per id that depends on nothing but the seed and the id."""
    digests = (hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


def _sizes(shares: Sequence[float], total: int) -> list[int]:
    """Returns whole sizes for shares of `total`, by largest remainder; the rest is unassigned.

    >>> _sizes([0.5, 0.25], 7)
    [3, 2]
    """
    exact = np.array([*shares, max(0.0, 1.0 - sum(shares))]) * total
    exact = exact.round(6)  # Shares such as 0.1 are not exact: equal remainders must stay equal.
    sizes = np.floor(exact).astype(int)
    # Stable: of equal remainders the earlier split wins, and the unassigned rest comes last.
    for place in np.argsort(-(exact - sizes), kind="stable")[: total - sizes.sum()]:
        sizes[place] += 1
    return sizes[:-1].tolist()
