"""Models: networks as pure functions of their parameters, from one table of architectures."""

from jaxbias.lazy import offer

__getattr__, __all__ = offer(
    __name__,
    {"head": "Head", "network": "Network Parts make_network", "preprocessing": "Preprocessing"},
)
