"""Models: networks as pure functions of their parameters, from one table of architectures."""

from jaxbias.lazy import offer

__getattr__, __all__ = offer(
    __name__,
    {
        "head": "Head",
        "network": "Network Parts Tail make_network tail_of",
        "preprocessing": "Preprocessing",
    },
)
