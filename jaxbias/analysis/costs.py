"""What a curation costs: images changed, images to look through, and what each change takes."""

import numpy as np
import pandas as pd

from jaxbias.curation import Cells, quotas
from jaxbias.study import Curation, parse_curation

_CERTAINTY = 0.95


def cost(curation: Curation, cells: Cells, n: int) -> dict[str, float]:
    """Returns what a curation of n images costs, against a natural draw of n.

    Args:
      curation: the rule; along its column, where it has one.
      cells: the task's cells with their natural shares.
      n: finetuning images.

    Returns:
      images_changed: images that a natural draw would not have held, Σ max(q − n·p, 0), which is
        ½Σ|q − n·p| where the size stays n, as a whole number: removed images cost nothing;
        images_screened: natural images to look through until every cell is full with 95 % certainty
        (each cell's negative binomial quantile, the error shared out over the cells that ask for
        more than a natural draw has);
        oversampling: largest q/(n·p); images_for_prevalence, images_for_correlation: what a set of
        the same prevalence and the natural correlation changes, and what lies between it and this
        one.
    """
    cells = cells.along(curation.column)
    q = quotas(curation, cells, n).astype(np.float64)
    expected = n * cells.shares
    natural = quotas(Curation("natural"), cells, n).astype(np.float64)
    changed = _moved(q, expected)
    if np.array_equal(q, natural):  # A mitigation is trained on a natural draw.
        changed = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        over = float(np.where(q > 0, q / expected, 0.0).max())
    parts = _parts(q, expected, cells) if changed else (0.0, 0.0)
    return {
        "images_changed": float(round(changed)),
        "images_screened": _screened(q, natural, cells.shares, n),
        "oversampling": over,
        "images_for_prevalence": float(round(parts[0])),
        "images_for_correlation": float(round(parts[1])),
    }


def by_cost(arms: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    """Returns arms with what their curations cost, the cheapest first.

    Cheapest is: fewest images changed, then fewest images screened.
    """
    costs = [cost(curation_of(arm), cells, int(arm.n)) for arm in arms.itertuples()]
    table = arms.assign(**pd.DataFrame(costs, index=arms.index))
    return table.sort_values(["images_changed", "images_screened"], kind="stable")


def curation_of(arm: tuple) -> Curation:
    """Returns the curation of a row of arms."""
    return parse_curation(arm.curation, "variants")


def _moved(q: np.ndarray, expected: np.ndarray) -> float:
    return float(np.maximum(q - expected, 0).sum())


def _parts(q: np.ndarray, expected: np.ndarray, cells: Cells) -> tuple[float, float]:
    """What the change of prevalence takes by itself, and what the rest does from there."""
    share = np.bincount(cells.targets, weights=cells.shares)
    wanted = np.bincount(cells.targets, weights=q)
    with np.errstate(divide="ignore", invalid="ignore"):
        within = np.where(share[cells.targets] > 0, cells.shares / share[cells.targets], 0.0)
    same_correlation = wanted[cells.targets] * within
    size = q.sum() / expected.sum()
    if size < 1:  # What a natural draw of n has too is not collected for it.
        return _moved(same_correlation, expected), _moved(q, np.maximum(same_correlation, expected))
    return _moved(same_correlation, expected * size), _moved(q, same_correlation)


def _screened(q: np.ndarray, natural: np.ndarray, shares: np.ndarray, n: int) -> float:
    more = q > natural
    if not more.any():
        return float(n)
    if (shares[more] <= 0).any():
        return float("inf")
    certainty = 1 - (1 - _CERTAINTY) / more.sum()
    from scipy import stats  # Takes a second or more: only where something is looked for.

    looked = q[more] + stats.nbinom.ppf(certainty, q[more], shares[more])
    return float(max(looked.max(), n))
