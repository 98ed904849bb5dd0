"""Weights: checkpoints of other frameworks, verified and brought into the networks of `models`.

`files` reads named arrays without running anything, `sources` and `tensor_names` say what each
source calls what, `conversion` accounts for every tensor, `preparations` knows how images were
prepared, and `imported` keeps the result with a fingerprint.
"""

from jaxbias.lazy import offer

__getattr__, __all__ = offer(
    __name__,
    {
        "command": "describe_text import_text",
        "conversion": "Converted convert",
        "imported": (
            "Imported content_hash departures describe_imported identities import_weights load"
        ),
        "sources": "SOURCES",
    },
)
