"""Rules: how thresholds may be chosen, as they are asked for."""

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxbias.errors import InputError, nearest


@dataclasses.dataclass(frozen=True)
class Rule:
    """How thresholds are chosen. Predict positive where score > threshold.

    Attributes:
      name: "base_rate": as much weight is predicted positive as is positive, and never more;
        "group_base_rate": likewise in each group by itself; "youden": the largest TPR − FPR
        (Youden, 1950), the highest such threshold; "fpr": the largest FPR that does not exceed a
        given rate; "tpr": the smallest TPR that is at least a given rate; "fixed": given numbers.
    """

    name: str

    @property
    def per_group(self) -> bool:
        """Whether every group has a threshold of its own."""
        return self.name == "group_base_rate"

    @property
    def cuts_two_values(self) -> bool:
        """Whether scores of two values are cut between them, as they are decisions already."""
        return self.name in ("base_rate", "group_base_rate")


def parse_rule(threshold: Any, variants: int) -> tuple[Rule, np.ndarray]:
    """Reads the argument `threshold`.

    Args:
      threshold: a rule's name, {"fpr": rate} or {"tpr": rate}, or one number or V numbers.
      variants: V.

    Returns:
      The rule, and float32[V]: the numbers of a fixed one, the rate of "fpr" and "tpr", else 0.

    Raises:
      InputError: none of these.

    >>> parse_rule({"fpr": 0.1}, 1)
    (Rule(name='fpr'), array([0.1]))
    """
    named = ("base_rate", "group_base_rate", "youden")
    if isinstance(threshold, str):
        if threshold not in named:
            raise InputError(
                f"threshold='{threshold}' is unknown; {nearest(threshold, named)} "
                "(or a number, {'fpr': rate} or {'tpr': rate})"
            )
        return Rule(threshold), np.zeros(variants)
    if isinstance(threshold, Mapping):
        if len(threshold) != 1 or next(iter(threshold)) not in ("fpr", "tpr"):
            raise InputError(f"threshold={dict(threshold)} must be {{'fpr': r}} or {{'tpr': r}}")
        ((name, rate),) = threshold.items()
        if not (isinstance(rate, numbers.Real) and 0 <= rate <= 1):
            raise InputError(f"threshold={{'{name}': {rate!r}}} must have a rate in 0..1")
        return Rule(name), np.full(variants, float(rate))
    values = np.asarray(threshold, np.float32)
    if values.shape not in ((), (variants,)) or np.isnan(values).any():
        raise InputError(
            f"threshold must be one of {', '.join(named)}, {{'fpr': rate}}, {{'tpr': rate}}, a "
            f"number or one of {variants} numbers"
        )
    return Rule("fixed"), np.broadcast_to(values, (variants,)).astype(np.float64)
