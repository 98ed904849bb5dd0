"""Identities: what ids of variants are made of that lies outside a study and its data."""

from jaxbias.curation import digests
from jaxbias.study import Study
from jaxbias.weights import identities as of_weights


def identities(study: Study) -> dict[str, str]:
    """Returns base -> identity of its imported weights, and table of example scores -> its hash.

    Raises:
      InputError: weights or a table are not there.
    """
    return of_weights(study) | {f"table {name}": hash for name, hash in digests(study).items()}
