"""The report: figures, the self-contained page, tables as files, and the answer on a terminal."""

from jaxbias.lazy import offer

__getattr__, __all__ = offer(
    __name__,
    {
        "metrics_table": "show_comparison show_metrics",
        "page": "write",
        "terminal": "show_answer",
    },
)
