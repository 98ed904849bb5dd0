"""Quotas: how many examples of each cell a curation takes. Pure functions of counts."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jaxbias.curation.cells import Cells
from jaxbias.data.dataset import listed
from jaxbias.errors import InputError, nearest
from jaxbias.study import Curation

_NAMED = 4  # Cells that a message names.


def largest_remainder(total: int, shares: Sequence[float] | np.ndarray) -> np.ndarray:
    """Splits a whole number by shares; the largest remainders get what rounding leaves.

    Args:
      total: what to split, at least 0.
      shares: float[C], at least 0; scaled to add up to 1.

    Returns:
      int64[C] adding up to `total`; ties go to the earlier cell.

    >>> largest_remainder(10, [0.25, 0.25, 0.5])
    array([3, 2, 5])
    """
    shares = np.asarray(shares, dtype=np.float64)
    exact = total * shares / shares.sum()
    # 0.3 * 10 must count as 3: rounding noise is no remainder.
    floor = np.floor(exact + 1e-9).astype(np.int64)
    left = total - int(floor.sum())
    order = np.argsort(-np.round(exact - floor, 9), kind="stable")
    floor[order[:left]] += 1
    return floor


def quotas(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    """Returns int64[C], how many examples of each cell make up a finetuning set.

    Args:
      curation: the rule.
      cells: the task's cells with their natural shares, along the curation's column if it has one.
      n: finetuning images; `Curation.size` says how many are made of them.

    Raises:
      InputError: the rule does not apply to the task, or k is more than there is to replace.
    """
    if curation.kind not in RULES:
        raise InputError(f"curation '{curation.kind}' is unknown; {nearest(curation.kind, RULES)}")
    return RULES[curation.kind](curation, cells, n)


def sample_weights(curation: Curation, cells: Cells, counts: np.ndarray) -> np.ndarray:
    """Returns float64[C], the loss weight of an example of each cell.

    1 everywhere, except where `WEIGHTS` has a rule. An empty cell has weight 0.
    """
    if curation.kind not in WEIGHTS:
        return np.ones(len(counts))
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = WEIGHTS[curation.kind](cells, counts)
    return np.where(counts > 0, weights, 0.0)


def largest_n(curation: Curation, cells: Cells, available: np.ndarray, n: int) -> int:
    """Returns the largest size up to n that the available counts cover (0: none).

    A set that lacks a cell that n images have is another curation, and does not count.
    """
    low, high = 0, n
    while low < high:  # Whether quotas fit is monotone in n up to rounding.
        middle = (low + high + 1) // 2
        if fits(curation, cells, available, middle):
            low = middle
        else:
            high = middle - 1
    while low > 0 and not fits(curation, cells, available, low):
        low -= 1
    wanted = quotas(curation, cells, n) > 0
    return low if low and quotas(curation, cells, low)[wanted].all() else 0


def needed(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    """Returns int64[C], how many examples of each cell must be there: what is removed too.

    Raises:
      InputError: as of `quotas`.
    """
    taken = quotas(curation, cells, n)
    return taken if curation.whole == curation else quotas(curation.whole, cells, n)


def fits(curation: Curation, cells: Cells, available: np.ndarray, n: int) -> bool:
    """Returns whether the available counts cover what n images need."""
    try:
        return bool((needed(curation, cells, n) <= available).all())
    except InputError:  # k larger than what so few images hold.
        return False


def _natural(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    return largest_remainder(n, cells.shares)


def _group_balanced(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    if not cells.grouped:
        raise InputError(
            f"curation 'group_balanced' of '{cells.task}': nobody is known to be of either group; "
            "'natural' and 'class_balanced' do without"
        )
    return largest_remainder(n, np.ones(len(cells.names)))


def _class_balanced(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    class_share = np.bincount(cells.targets, weights=cells.shares)
    return largest_remainder(n, cells.shares / np.maximum(class_share[cells.targets], 1e-300))


def _prevalence(curation: Curation, cells: Cells) -> float:
    if curation.prevalence is None:
        return float(cells.shares[cells.targets == 1].sum())
    return curation.prevalence


def _correlation(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    if cells.classes != 2 or set(cells.groups.tolist()) != {0, 1} or len(cells.names) != 4:
        raise InputError(
            f"curation '{curation.kind}' needs a binary target and two groups; task "
            f"'{cells.task}' has cells {listed(cells.names, _NAMED)}"
        )
    k = curation.level
    p = _prevalence(curation, cells)
    negatives, positives = largest_remainder(n, [1 - p, p])
    # Cells come in the order (negative, first), (negative, second), (positive, first), ...
    return np.concatenate(
        [largest_remainder(negatives, [k, 10 - k]), largest_remainder(positives, [10 - k, k])]
    )


def _reduce_only(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    """A part of each cell of the set at the level that images are removed from."""
    most = _correlation(curation.whole, cells, n)
    left = curation.size(n)
    if not left:
        raise InputError(f"curation '{curation.name}' leaves nothing of n={n}")
    asked = _correlation(dataclasses.replace(curation.whole, level=curation.level), cells, left)
    counts = np.minimum(asked, most)
    k = curation.level
    of_level = np.array([k, 10 - k, 10 - k, k]) > 0
    # Where both roundings do not fit, what one cell lacks comes from others of this level.
    while counts.sum() < left:
        room = of_level & (counts < most)
        counts[np.argmax(np.where(room, asked - counts, -left - 1))] += 1
    return counts


def _mixture(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    """A natural draw, and then a level."""
    natural, rest = largest_remainder(n, [curation.share, 1 - curation.share])
    return largest_remainder(int(natural), cells.shares) + _correlation(curation, cells, int(rest))


def _drop(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    """The draw that images are dropped from; which ones, their scores tell."""
    if n <= curation.k:
        raise InputError(f"curation '{curation.name}' leaves nothing of n={n}")
    return largest_remainder(n, cells.shares)


def _source_mix(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    """Each source as it is: its classes and groups by their natural shares in it."""
    shares = cells.shares.reshape(-1, 2)
    counts = np.zeros(shares.shape, np.int64)
    sizes = largest_remainder(n, [10 - curation.level, curation.level])
    for source, size in enumerate(sizes):
        if size:
            counts[:, source] = largest_remainder(int(size), shares[:, source])
    return counts.reshape(-1)


def _pair_mix(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    if len(cells.names) != 3:
        raise InputError(f"curation 'pair_mix' needs a pair 'A|B'; the task is '{cells.task}'")
    p = _prevalence(curation, cells)
    negatives, positives = largest_remainder(n, [1 - p, p])
    k = curation.level
    return np.concatenate([[negatives], largest_remainder(positives, [10 - k, k])])


def _minority(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    """The minority is the cell with the smallest natural share, or, of many classes, a group."""
    counts = largest_remainder(n, cells.shares)
    if cells.classes > 2:
        return _minority_group(curation, cells, counts)
    minority = int(np.argmin(cells.shares))
    counts[minority] += curation.k
    if curation.kind == "replace_minority":
        # Taken from the other group of the same class, so prevalence stays as it is.
        same_class = (cells.targets == cells.targets[minority]).nonzero()[0]
        donor = max(same_class[same_class != minority], key=lambda cell: counts[cell])
        if counts[donor] < curation.k:
            raise InputError(
                f"curation '{curation.name}' at n={n} replaces {curation.k} of "
                f"({cells.names[donor]}), but a natural draw has {counts[donor]}"
            )
        counts[donor] -= curation.k
    return counts


def _minority_group(curation: Curation, cells: Cells, counts: np.ndarray) -> np.ndarray:
    """The minority is the group with the smaller natural share, in all its classes."""
    by_group = np.bincount(cells.groups, cells.shares, minlength=2)
    inside = cells.groups == int(np.argmin(by_group))
    if not by_group.min():
        raise InputError(f"curation '{curation.name}': task '{cells.task}' has nobody of one group")
    more = largest_remainder(curation.k, cells.shares * inside)
    if curation.kind == "replace_minority":
        # Cells come in the order (class 0, first), (class 0, second), (class 1, first), ...: each
        # image replaces one of the same class, so that prevalences stay as they are.
        taken = more.reshape(-1, 2)[:, ::-1].reshape(-1)
        lacking = int(np.argmax(taken - counts))
        if taken[lacking] > counts[lacking]:
            raise InputError(
                f"curation '{curation.name}' at n={counts.sum()} replaces {taken[lacking]} of "
                f"({cells.names[lacking]}), but a natural draw has {counts[lacking]}"
            )
        return counts + more - taken
    return counts + more


# Kind of a curation -> how many examples of each cell, int64[C], make up a set of n.
RULES: dict[str, Callable[[Curation, Cells, int], np.ndarray]] = {
    "natural": _natural,
    "correlation": _correlation,
    "pair_mix": _pair_mix,
    "source_mix": _source_mix,
    "reduce_only": _reduce_only,
    "mixture": _mixture,
    "drop": _drop,
    "group_balanced": _group_balanced,
    "class_balanced": _class_balanced,
    "reweight": _natural,
    "group_reweight": _natural,
    "class_reweight": _natural,
    "group_dro": _natural,
    "dfr": _natural,
    "add_minority": _minority,
    "replace_minority": _minority,
}


def _independent(cells: Cells, counts: np.ndarray) -> np.ndarray:
    """Returns n_y·n_a / (n·n_ya): target and group are independent (Kamiran & Calders, 2012)."""
    groups = cells.groups - cells.groups.min()  # BOTH is -1.
    by_group = np.bincount(groups, counts)[groups]
    return _by_class(cells, counts) * by_group / (counts.sum() * counts)


def _cells_alike(cells: Cells, counts: np.ndarray) -> np.ndarray:
    """Returns n / (C·n_ya): every cell weighs the same (RWG of Idrissi et al., 2022)."""
    return counts.sum() / ((counts > 0).sum() * counts)


def _classes_alike(cells: Cells, counts: np.ndarray) -> np.ndarray:
    """Returns n / (K·n_y): every class weighs the same (RWY of Idrissi et al., 2022)."""
    return counts.sum() / (len(set(cells.targets[counts > 0])) * _by_class(cells, counts))


def _by_class(cells: Cells, counts: np.ndarray) -> np.ndarray:
    return np.bincount(cells.targets, counts)[cells.targets]


# Kind of a curation -> the loss weight of an example of each cell, float64[C], given their counts.
WEIGHTS: dict[str, Callable[[Cells, np.ndarray], np.ndarray]] = {
    "reweight": _independent,
    "group_reweight": _cells_alike,
    "class_reweight": _classes_alike,
}
