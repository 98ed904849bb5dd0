"""Quotas: how many examples of each cell a curation takes. Pure functions of counts."""

from collections.abc import Sequence

import numpy as np

from jaxbias.curation.cells import Cells
from jaxbias.errors import InputError
from jaxbias.study import KINDS, MITIGATIONS, Curation


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
      cells: the task's cells with their natural shares.
      n: finetuning images. `add_minority` adds its k to them; every other rule keeps n.

    Raises:
      InputError: the rule does not apply to the task, or k is more than there is to replace.
    """
    kind = curation.kind
    if kind == "natural" or kind in MITIGATIONS:
        return largest_remainder(n, cells.shares)
    if kind in ("first_group", "second_group"):  # Natural, with the other group left out.
        inside = cells.groups == ("first_group", "second_group").index(kind)
        if not (cells.shares * inside).sum():
            raise InputError(f"curation '{kind}': task '{cells.task}' has nobody of that group")
        return largest_remainder(n, cells.shares * inside)
    if kind == "group_balanced":
        return largest_remainder(n, np.ones(len(cells.names)))
    if kind == "class_balanced":
        return largest_remainder(n, _within_class(cells))
    if kind == "correlation":
        return _correlation(curation, cells, n)
    if kind == "pair_mix":
        return _pair_mix(curation, cells, n)
    if kind in ("add_minority", "replace_minority"):
        return _minority(curation, cells, n)
    raise InputError(f"unknown curation '{kind}'; valid: {', '.join(KINDS)}")


def sample_weights(curation: Curation, cells: Cells, counts: np.ndarray) -> np.ndarray:
    """Returns float64[C], the loss weight of an example of each cell.

    1 everywhere, except for
    - `reweight`: w = n_y·n_a / (n·n_ya), which makes target and group independent under the
      weights (Kamiran & Calders, 2012);
    - `group_reweight`: w = n / (C·n_ya), every cell weighs the same (RWG of Idrissi et al., 2022);
    - `class_reweight`: w = n / (K·n_y), every class weighs the same (RWY).
    An empty cell has weight 0.
    """
    if curation.kind not in ("reweight", "group_reweight", "class_reweight"):
        return np.ones(len(counts))
    by_class = np.bincount(cells.targets, counts)[cells.targets]
    groups = cells.groups - cells.groups.min()  # BOTH is -1.
    by_group = np.bincount(groups, counts)[groups]
    total = counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = {
            "reweight": by_class * by_group / (total * counts),
            "group_reweight": total / ((counts > 0).sum() * counts),
            "class_reweight": total / (len(set(cells.targets[counts > 0])) * by_class),
        }[curation.kind]
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


def fits(curation: Curation, cells: Cells, available: np.ndarray, n: int) -> bool:
    """Returns whether the available counts cover the quotas of n images."""
    try:
        return bool((quotas(curation, cells, n) <= available).all())
    except InputError:  # k larger than what so few images hold.
        return False


def _within_class(cells: Cells) -> np.ndarray:
    class_share = np.bincount(cells.targets, weights=cells.shares)
    return cells.shares / np.maximum(class_share[cells.targets], 1e-300)


def _prevalence(curation: Curation, cells: Cells) -> float:
    if curation.prevalence is None:
        return float(cells.shares[cells.targets == 1].sum())
    return curation.prevalence


def _correlation(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    if cells.classes != 2 or set(cells.groups.tolist()) != {0, 1} or len(cells.names) != 4:
        raise InputError(
            f"curation 'correlation' needs a binary target and two groups; task "
            f"'{cells.task}' has cells {', '.join(cells.names)}"
        )
    k = curation.level
    p = _prevalence(curation, cells)
    negatives, positives = largest_remainder(n, [1 - p, p])
    # Cells come in the order (negative, first), (negative, second), (positive, first), ...
    return np.concatenate(
        [largest_remainder(negatives, [k, 10 - k]), largest_remainder(positives, [10 - k, k])]
    )


def _pair_mix(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    if len(cells.names) != 3:
        raise InputError(f"curation 'pair_mix' needs a pair 'A|B'; the task is '{cells.task}'")
    p = _prevalence(curation, cells)
    negatives, positives = largest_remainder(n, [1 - p, p])
    k = curation.level
    return np.concatenate([[negatives], largest_remainder(positives, [10 - k, k])])


def _minority(curation: Curation, cells: Cells, n: int) -> np.ndarray:
    """The minority is the cell with the smallest natural share."""
    counts = largest_remainder(n, cells.shares)
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
