"""Settings: what evaluation may be asked for, refused before anything is read."""

import dataclasses
import numbers
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np

from jaxbias.errors import InputError, echo, nearest
from jaxbias.metrics.definitions import sums_for
from jaxbias.metrics.rules import parse_rule
from jaxbias.values import MOST_REPLICATES, Range, build, fields_of

Interval = Literal["standard", "percentile", "bca"]
_POPULATION = ("level", "prevalence")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How variants are evaluated; the keywords of `evaluate`, checked.

    Attributes: see `evaluate`; `common_positives` may also be one number per channel.
    """

    threshold: Any
    metrics: tuple[str, ...]
    link: Literal["identity", "sigmoid"]
    population: Mapping[str, Any] | None
    intersections: Sequence[Sequence[str]]
    train_shares: Mapping[str, tuple[float, float]] | None
    common_positives: float | np.ndarray | None
    bootstrap: Annotated[int, Range(0, MOST_REPLICATES)]
    interval: Interval
    confidence: Annotated[float, Range(1e-6, 1 - 1e-6)]
    seed: Annotated[int, Range(0, 2**63 - 1)]
    description: str

    def __post_init__(self) -> None:
        if isinstance(self.metrics, str):
            raise InputError(
                f"metrics='{self.metrics}' must be a list of names: ['{self.metrics}']"
            )
        sums_for(self.metrics)
        if not self.metrics:
            raise InputError("metrics is empty; name at least one, such as 'auc'")
        for name in ("link", "bootstrap", "interval", "confidence", "seed"):
            build(fields_of(Settings)[name], getattr(self, name), name)
        common = np.asarray(1.0 if self.common_positives is None else self.common_positives)
        # Of two dimensions where `targets` sets it.
        if common.ndim not in (0, 2) or not ((common > 0) & np.isfinite(common)).all():
            raise InputError(
                f"common_positives={echo(self.common_positives)} must be a positive number"
            )
        if isinstance(self.threshold, (str, Mapping)):
            parse_rule(self.threshold, 1)
        _check_population(self.population or {})


def _check_population(population: Mapping[str, Any]) -> None:
    for name in population:
        if name not in _POPULATION:
            raise InputError(f"population has no field '{name}'; {nearest(name, _POPULATION)}")
    level, prevalence = (population.get(name) for name in _POPULATION)
    if level is not None and not (isinstance(level, numbers.Real) and 0 <= level <= 10):
        raise InputError(f"population level={level!r} must be a number in 0..10")
    if prevalence is not None and not (isinstance(prevalence, numbers.Real) and 0 < prevalence < 1):
        raise InputError(f"population prevalence={prevalence!r} must lie between 0 and 1")
