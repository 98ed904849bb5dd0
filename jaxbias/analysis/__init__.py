"""Analysis: from metrics of all variants to answers, by rules fixed before the run."""

from jaxbias.analysis.answer import Answer
from jaxbias.analysis.make import make_answer

__all__ = ["Answer", "make_answer"]
