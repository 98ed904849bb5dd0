"""Training: one whole run as a pure function, so that many runs fit one program."""

from jaxbias.training.logistic import Penalty, make_fit
from jaxbias.training.run import (
    Examples,
    Hyper,
    Phase,
    Schedule,
    State,
    Steps,
    Trained,
    batches_of,
    headless,
    make_score,
    make_train,
)
from jaxbias.training.rungs import make_rung

__all__ = [
    "Examples",
    "Hyper",
    "Penalty",
    "Phase",
    "Schedule",
    "State",
    "Steps",
    "Trained",
    "batches_of",
    "headless",
    "make_fit",
    "make_rung",
    "make_score",
    "make_train",
]
