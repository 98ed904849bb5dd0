"""What makes a bias inherited: regression on salience and on distance from the base rate."""

import dataclasses
import warnings

import numpy as np
import pandas as pd
from scipy import special

from jaxbias.analysis.costs import curation_of
from jaxbias.analysis.design import Design
from jaxbias.analysis.evaluation import Evaluation
from jaxbias.analysis.frames import together
from jaxbias.analysis.inheritance import Direction
from jaxbias.analysis.overwriting import GAP
from jaxbias.curation import Cells, quotas
from jaxbias.study import AnswerSpec
from jaxbias.words import count

RATIO, KEPT, DIFFERENCE = "ratio", "ratio, opposite signs left out", "difference"
TERMS = ("intercept", "salience", "distance")
# What the authors set the ratio to where one gap alone has the direction of the bias.
_CONTROL_ALONE, _STUDIED_ALONE = 0.0, 5.0
FRAMES = ("regression", "regression_points")  # Of the answer.
FEWEST = 5  # Attributes: three coefficients and two degrees of freedom.


def points(test: Evaluation, design: Design, towards: Direction) -> pd.DataFrame:
    """Returns, per studied base, n and draw of natural prevalence, its gap beside the controls'.

    Gaps are means over checkpoints, the controls' the mean over all that can be used, both signed
    in the direction of the bias. `distance` is |correlation − base rate|: the first group's share
    of the positives that a model was finetuned on, and of everybody.

    Args:
      test: the task's evaluation.
      design: what was planned of it.
      towards: the direction of the labels' correlation.
    """
    rows = []
    planned = design.planned
    leveled = (planned["kind"] == "correlation") & planned["prevalence"].isna()
    arms = planned[(planned["kind"] == "natural") | leveled]
    for base, n in design.studied():
        mine = arms[(arms["base"] == base) & (arms["n"] == n)]
        for arm in mine.drop_duplicates("curation").itertuples():
            beside = arms[
                (arms["role"] == "control") & (arms["n"] == n) & (arms["curation"] == arm.curation)
            ]
            controls = [
                other
                for other in beside["base"].unique()
                if not design.arm(other, arm.curation, n).unusable
            ]
            if not controls or design.arm(base, arm.curation, n).unusable:
                continue
            gaps = [test.panel(GAP, one, arm.curation, n).mean for one in (base, *controls)]
            correlation, rate = _shares(arm, test.cells, n)
            rows.append(
                {
                    "task": test.task,
                    "base": base,
                    "n": n,
                    "curation": arm.curation,
                    "controls": len(controls),
                    "gap": towards.sign * gaps[0],
                    "gap_control": towards.sign * float(np.mean(gaps[1:])),
                    "correlation": correlation,
                    "base_rate": rate,
                    "distance": abs(correlation - rate),
                }
            )
    return pd.DataFrame(rows)


def ratio(gap: float, control: float) -> tuple[float, bool]:
    """Returns gap / control, and whether their signs are opposite and the ratio was set.

    Args:
      gap: the studied base's, positive in the direction of the bias.
      control: the controls'.

    >>> ratio(0.3, 0.2), ratio(-0.1, 0.2), ratio(0.1, -0.2)
    ((1.4999999999999998, False), (0.0, True), (5.0, True))
    """
    if gap * control > 0:
        return gap / control, False
    return (_STUDIED_ALONE if gap > control else _CONTROL_ALONE), True


@dataclasses.dataclass(frozen=True)
class Mixed:
    """A linear model with a random intercept per group.

    Attributes:
      values: float64[P], the coefficients.
      covariance: float64[P, P], of them.
      between: standard deviation of the random intercepts.
      within: that of the residuals.
      fitted: float64[N], with the groups' predicted intercepts.
      df: of the coefficients' t, groups − P: predictors that differ between groups alone have no
        more, and the normal law that statsmodels takes holds too seldom with few groups.
    """

    values: np.ndarray
    covariance: np.ndarray
    between: float
    within: float
    fitted: np.ndarray
    df: int

    def bounds(self, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns lower and upper bounds, float64[P] each."""
        errors = np.sqrt(np.diag(self.covariance))
        half = special.stdtrit(self.df, (1 + confidence) / 2) * errors
        return self.values - half, self.values + half

    @property
    def p_values(self) -> np.ndarray:
        """Two-sided, of a coefficient of zero, float64[P]."""
        errors = np.sqrt(np.diag(self.covariance))
        return 2 * special.stdtr(self.df, -np.abs(self.values) / errors)


def mixed(y: np.ndarray, x: np.ndarray, groups: np.ndarray) -> Mixed:
    """Fits y = x·β + a random intercept per group + rest, by REML.

    Args:
      y: float64[N].
      x: float64[N, P], of full rank.
      groups: int64[N].
    """
    # Takes two seconds to import.
    from statsmodels.regression.mixed_linear_model import MixedLM

    with warnings.catch_warnings():
        # A variance of zero is a result, not a failure.
        warnings.simplefilter("ignore")
        # By gradients, its default, it stopped short of the optimum in 37 of 60 simulated fits.
        fit = MixedLM(y, x, groups=groups).fit(reml=True, method="powell")
    variance, rest = float(fit.cov_re[0, 0]), float(fit.scale)
    same = (groups[:, None] == groups).astype(np.float64)
    total = rest * np.eye(len(y)) + variance * same
    # Its own standard errors come from a Hessian that is singular where a variance is zero.
    covariance = np.linalg.inv(x.T @ np.linalg.solve(total, x))
    fixed = x @ fit.fe_params
    predicted = variance * same @ np.linalg.solve(total, y - fixed)
    return Mixed(
        values=np.asarray(fit.fe_params),
        covariance=covariance,
        between=variance**0.5,
        within=rest**0.5,
        fitted=fixed + predicted,
        df=len(np.unique(groups)) - x.shape[1],
    )


def regress(
    found: pd.DataFrame, salience: pd.DataFrame, rule: AnswerSpec
) -> dict[str, pd.DataFrame]:
    """Regresses ratio and difference of gaps on salience and distance, attribute at random.

    Once with the authors' ratio of 0 or 5 where signs are opposite, once without these points, and
    once the difference, which needs no such rule. Of fewer than five attributes, or where none was
    finetuned on two draws, nothing is regressed.

    Args:
      found: of `points`, of all tasks.
      salience: of `salience.salience`; a point takes its task's at its n.
      rule: the confidence.

    Returns:
      `regression`, one row per base, n, model and coefficient, and `regression_points`, one per
      base, n, model and point, with what is explained as `value`.
    """
    if found.empty or salience.empty:
        return dict.fromkeys(FRAMES, pd.DataFrame())
    known = salience.groupby(["task", "n"], as_index=False)["salience"].mean()
    coefficients, fits = [], []
    for (base, n), rows in found.merge(known, on=["task", "n"]).groupby(["base", "n"], sort=False):
        for model, used in _models(rows):
            x = np.column_stack([np.ones(len(used)), used["salience"], used["distance"]])
            groups, attributes = pd.factorize(used["task"])
            few = len(attributes) < FEWEST or len(used) == len(attributes)
            if few or np.linalg.matrix_rank(x) < len(TERMS):
                continue
            fit = mixed(used["value"].to_numpy(), x, groups)
            common = {"base": base, "n": n, "model": model}
            coefficients += _coefficients(common, fit, used, rule)
            fits.append(
                used.assign(model=model, fitted=fit.fitted, residual=used["value"] - fit.fitted)
            )
    return dict(zip(FRAMES, (pd.DataFrame(coefficients), together(fits)), strict=True))


def _models(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The points of each model, with what it explains."""
    set_to, opposite = zip(*map(ratio, rows["gap"], rows["gap_control"]), strict=True)
    with_ratio = rows.assign(value=set_to, opposite=opposite)
    difference = with_ratio.assign(value=rows["gap"] - rows["gap_control"])
    return [
        (DIFFERENCE, difference),
        (RATIO, with_ratio),
        (KEPT, with_ratio[~with_ratio["opposite"]]),
    ]


def sentences(table: pd.DataFrame, rule: AnswerSpec) -> list[str]:
    """Says what each regression found, and what the rule for opposite signs did to it."""
    said = []
    for (base, n), rows in table.groupby(["base", "n"], sort=False) if len(table) else ():
        models = {name: part.set_index("term") for name, part in rows.groupby("model", sort=False)}
        below, above = (int(rows[f"set_to_{value}"].max()) for value in (0, 5))
        parts = [
            f"{words} of {count(int(one['points'].iloc[0]), 'draw')} of "
            f"{count(int(one['attributes'].iloc[0]), 'attribute')} changes by "
            f"{_estimate(one.loc['salience'])} per unit of salience and by "
            f"{_estimate(one.loc['distance'])} per unit of |correlation − base rate|"
            for name, words in (
                (DIFFERENCE, "the difference of gaps"),
                (RATIO, "their ratio"),
                (KEPT, "the ratio without opposite signs"),
            )
            if (one := models.get(name)) is not None and (name != KEPT or below + above)
        ]
        ruled = (
            f"{count(below, 'ratio')} set to 0 and {above} to 5, for the gaps have opposite signs"
            if below + above
            else "no two gaps have opposite signs"
        )
        said.append(
            f"Regression ({base}, n = {n:,}, {rule.confidence:.0%} intervals): "
            f"{'; '.join([*parts, ruled])}."
        )
    return said


def _estimate(row: pd.Series) -> str:
    return f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _coefficients(common: dict, fit: Mixed, used: pd.DataFrame, rule: AnswerSpec) -> list[dict]:
    low, high = fit.bounds(rule.confidence)
    below = used["opposite"] & (used["gap"] <= used["gap_control"])
    return [
        common
        | {"term": term, "value": fit.values[i], "low": low[i], "high": high[i]}
        | {"p_value": fit.p_values[i], "df": fit.df}
        | {"sd_attributes": fit.between, "sd_rest": fit.within}
        | {"points": len(used), "attributes": used["task"].nunique()}
        | {"set_to_0": int(below.sum()), "set_to_5": int((used["opposite"] & ~below).sum())}
        for i, term in enumerate(TERMS)
    ]


def _shares(arm: tuple, cells: Cells, n: int) -> tuple[float, float]:
    """The first group's share of the positives of a finetuning set, and of everybody."""
    taken = quotas(curation_of(arm), cells, n)
    first, positive = cells.groups == 0, cells.targets == 1
    share = taken[first & positive].sum() / max(taken[positive].sum(), 1)
    return float(share), float(cells.shares[first].sum())
