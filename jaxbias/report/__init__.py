"""The report: figures, the self-contained page, tables as files, and the answer on a terminal."""

from jaxbias.report.page import write
from jaxbias.report.terminal import terminal

__all__ = ["terminal", "write"]
