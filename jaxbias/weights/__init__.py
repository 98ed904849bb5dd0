"""Weights: checkpoints of other frameworks, verified and brought into the networks of `models`.

`files` reads named arrays without running anything, `sources` and `layouts` say what each source
calls what, `convert` accounts for every tensor, `recipes` knows how images were prepared, and
`imported` keeps the result with a fingerprint.
"""

from jaxbias.weights.command import describe_text, import_text
from jaxbias.weights.convert import Converted, convert
from jaxbias.weights.imported import (
    Imported,
    content_hash,
    departures,
    describe_imported,
    identities,
    import_weights,
    load,
)
from jaxbias.weights.sources import SOURCES

__all__ = [
    "SOURCES",
    "Converted",
    "Imported",
    "content_hash",
    "convert",
    "departures",
    "describe_imported",
    "describe_text",
    "identities",
    "import_text",
    "import_weights",
    "load",
]
