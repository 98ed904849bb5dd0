"""Training: one step, and whole runs as pure functions, so that many fit one program."""

from jaxbias.training.logistic import Penalty, fit_head
from jaxbias.training.run import (
    Steps,
    Trained,
    TrainingSet,
    advance,
    batches_of,
    make_score,
    make_train,
    places_of,
)
from jaxbias.training.rungs import make_rung
from jaxbias.training.schedule import Hyper, Schedule
from jaxbias.training.step import Batch, State, Step, steps_of
from jaxbias.training.stores import Store, black, stored, stored_bytes

__all__ = [
    "Batch",
    "Hyper",
    "Penalty",
    "Schedule",
    "State",
    "Step",
    "Steps",
    "Store",
    "Trained",
    "TrainingSet",
    "advance",
    "batches_of",
    "black",
    "fit_head",
    "make_rung",
    "make_score",
    "make_train",
    "places_of",
    "steps_of",
    "stored",
    "stored_bytes",
]
