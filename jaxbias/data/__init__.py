"""Images and labels: sources, splits, and the store of decoded images."""

from jaxbias.lazy import offer

__getattr__, __all__ = offer(
    __name__,
    {"dataset": "Dataset", "directories": "home", "loading": "load", "source": "Source"},
)
