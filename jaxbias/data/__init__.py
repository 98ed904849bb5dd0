"""Images and labels: sources, splits, and the store of decoded images."""

from jaxbias.data.dataset import Dataset
from jaxbias.data.describe import contact_sheet, describe
from jaxbias.data.directories import home
from jaxbias.data.loading import load
from jaxbias.data.source import Source

__all__ = ["Dataset", "Source", "contact_sheet", "describe", "home", "load"]
