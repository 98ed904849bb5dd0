"""One target: its examples checked, its sums swept, its report made."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxbias.errors import InputError
from jaxbias.metrics.chunks import sweep
from jaxbias.metrics.definitions import Sums, sums_for
from jaxbias.metrics.examples import Checked, Examples, check, variant_names
from jaxbias.metrics.groups import Groups
from jaxbias.metrics.populations import reweighted
from jaxbias.metrics.program import Measurement
from jaxbias.metrics.report import GroupReport
from jaxbias.metrics.rules import parse_rule
from jaxbias.metrics.settings import Settings
from jaxbias.metrics.thresholds import check_rule, cut_keys, two_value_cuts

# Parts left out in turn, for BCa's acceleration.
_FOLDS = 40


def evaluate_target(
    examples: Examples, validation: Examples | None, names: Any, settings: Settings
) -> GroupReport:
    """Evaluates the variants of one target; see `evaluate`."""
    names = variant_names(examples.scores, names)
    test = check(examples, names, intersections=settings.intersections)
    rule, given = parse_rule(settings.threshold, len(names))
    asked = sums_for(settings.metrics)
    check_rule(rule, test.groups)
    if asked & {"brier", "log_loss", "calibration", "mass_calibration"}:
        _check_probabilities(test, names, settings)
    source, threshold_from = test, "test"
    if rule.name == "fixed":
        source, threshold_from = None, "fixed"
    elif validation is not None:
        threshold_from = "validation"
        source = check(validation, names, "validation.", settings.intersections)
        if rule.per_group and source.groups.names != test.groups.names:
            raise InputError("validation.groups must be the same groups for 'group_base_rate'")
    if settings.population is not None:
        test = reweighted(test, settings.population, "the set evaluated")
        if threshold_from == "validation":
            source = reweighted(source, settings.population, "validation")
        elif source is not None:
            source = test
    two_values = np.zeros(len(names), bool)
    if rule.cuts_two_values and "selected" in asked:
        sets = [test] if source is test else [test, source]
        given = cut_keys(two_value_cuts([(each.scores, each.weights > 0) for each in sets]))
        two_values = ~np.isnan(given)

    sums = sweep(
        Measurement(asked, rule, settings.link, tuple(test.groups.families.values())),
        test,
        source,
        given,
        bootstrap=settings.bootstrap,
        folds=_FOLDS if settings.bootstrap and settings.interval == "bca" else 0,
        seed=settings.seed,
        shares=_train_shares(settings, test.groups),
        common_positives=settings.common_positives,
        description=settings.description,
    )
    present = test.weights > 0
    members = test.groups.membership > 0
    counts = np.concatenate([[present.sum()], (members & present).sum(axis=1)])
    families = {
        name: int((members[list(places)].any(axis=0) & present).sum() if places else present.sum())
        for name, places in test.groups.families.items()
    }
    shortfall = left_to_chance = np.full(len(names), np.nan)
    if rule.name == "base_rate" and sums.thresholds is not None:
        shortfall = np.where(two_values, np.nan, _shortfall(source, test, sums))
        left_to_chance = _left_to_chance(source, sums.thresholds[0, :, 0], shortfall)
    return GroupReport(
        names=tuple(names),
        metrics=settings.metrics,
        groups=sums.groups,
        counts=counts,
        family_counts=families,
        sizes=_effective_sizes(test),
        threshold_from=threshold_from,
        shortfall=shortfall,
        left_to_chance=left_to_chance,
        two_values=two_values,
        confidence=settings.confidence,
        interval=settings.interval,
        bootstrap=settings.bootstrap,
        sums=sums,
    )


def _effective_sizes(test: Checked) -> np.ndarray:
    """float64[2, C], (Σw)²/Σw² of each class in each channel."""
    inside = np.concatenate([np.ones((1, len(test.weights))), test.groups.membership])
    by_class = [
        inside @ (test.weights**power * (test.labels == label))
        for label in (0, 1)
        for power in (1, 2)
    ]
    sums, squares = np.stack(by_class[::2]), np.stack(by_class[1::2])
    return np.where(squares > 0, sums**2 / np.where(squares > 0, squares, 1), 0.0)


def _check_probabilities(test: Checked, names: Sequence[str], settings: Settings) -> None:
    if settings.link == "sigmoid":
        return
    for name, row in zip(names, test.scores, strict=True):
        outside = ~((row >= 0) & (row <= 1))
        if outside.any():
            place = int(np.argmax(np.asarray(outside)))
            raise InputError(
                f"scores of variant '{name}' at row {place} is {float(row[place]):g}, but "
                f"{', '.join(calibrated(settings.metrics))} needs probabilities; pass "
                "link='sigmoid' if scores are logits"
            )


def calibrated(metrics: Sequence[str]) -> list[str]:
    """Returns those of some metrics that need probabilities."""
    stems = ("ece", "brier", "log_loss")
    return [name for name in metrics if name.startswith(stems)]


def _train_shares(settings: Settings, groups: Groups) -> np.ndarray | None:
    """float64[2, C] of the channels; the first, all examples, is never asked."""
    if settings.train_shares is None:
        return None
    missing = [name for name in groups.names if name not in settings.train_shares]
    if missing:
        raise InputError(f"train_shares lacks group '{missing[0]}'")
    wrong = "train_shares must map every group to its two shares, of negatives and of positives"
    try:
        rows = [(0.0, 0.0), *(tuple(settings.train_shares[name]) for name in groups.names)]
        shares = np.array(rows, np.float64).T
    except (TypeError, ValueError) as error:
        raise InputError(f"{wrong} ({error})") from error
    if shares.shape != (2, len(rows)) or (shares < 0).any() or shares.sum() == 0:
        raise InputError(wrong)
    return shares


def _shortfall(source: Checked, test: Checked, sums: Sums) -> np.ndarray:
    """Share of the positives' weight that is not selected where it was to be, float64[V]."""
    thresholds = sums.thresholds[0, :, 0]
    positives = source.weights @ source.labels
    if positives == 0:
        return np.where(np.isnan(thresholds), np.nan, 0.0)
    if source is test:
        selected = (sums.arrays["true_positives"] + sums.arrays["false_positives"])[0, :, 0]
    else:
        above = zip(source.scores, thresholds, strict=True)
        selected = np.array([source.weights @ np.asarray(row > t) for row, t in above])
    short = np.maximum(1 - selected / positives, 0.0)
    return np.where(np.isnan(thresholds), np.nan, short)


def _left_to_chance(source: Checked, thresholds: np.ndarray, shortfall: np.ndarray) -> np.ndarray:
    """How many of the examples that tie at the threshold would be drawn by lot, float64[V].

    A single example that is too heavy to be selected ties with none.
    """
    positives = source.weights @ source.labels
    drawn = np.where(np.isnan(shortfall), np.nan, 0.0)
    for v in np.flatnonzero(shortfall > 0):
        tied = (np.asarray(source.scores[v]) == thresholds[v]) & (source.weights > 0)
        if tied.sum() > 1:
            share = shortfall[v] * positives / source.weights[tied].sum()
            drawn[v] = tied.sum() * share
    return drawn
