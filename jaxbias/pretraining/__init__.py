"""Pretraining step by step: input, the loop, its checkpoints, and the bases of a study by it."""

from jaxbias.pretraining.feeds import Curated, Source, feed
from jaxbias.pretraining.loop import Ended, Terminated, fit
from jaxbias.pretraining.saves import Saves
from jaxbias.pretraining.stage import check_batch, course_of, pretrain_base

__all__ = [
    "Curated",
    "Ended",
    "Saves",
    "Source",
    "Terminated",
    "check_batch",
    "course_of",
    "feed",
    "fit",
    "pretrain_base",
]
