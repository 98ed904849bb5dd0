"""Training: one whole run as a pure function, so that many runs fit one program."""

from jaxbias.training.logistic import Penalty, make_fit
from jaxbias.training.run import (
    Examples,
    Hyper,
    Schedule,
    Trained,
    batches_of,
    make_score,
    make_train,
)

__all__ = [
    "Examples",
    "Hyper",
    "Penalty",
    "Schedule",
    "Trained",
    "batches_of",
    "make_fit",
    "make_score",
    "make_train",
]
