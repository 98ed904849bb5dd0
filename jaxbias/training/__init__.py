"""Training: one whole run as a pure function, so that many runs fit one program."""

from jaxbias.training.run import Examples, Hyper, Schedule, Trained, make_score, make_train

__all__ = ["Examples", "Hyper", "Schedule", "Trained", "make_score", "make_train"]
