"""The report: figures, the self-contained page, tables as files, and the answer on a terminal."""

from jaxbias.report.metrics_table import show_comparison, show_metrics
from jaxbias.report.page import write
from jaxbias.report.terminal import terminal

__all__ = ["show_comparison", "show_metrics", "terminal", "write"]
