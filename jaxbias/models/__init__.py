"""Models: networks as pure functions of their parameters, behind one registry."""

from jaxbias.lazy import offer

__getattr__, __all__ = offer(
    __name__,
    {"head": "Head", "preprocessing": "Preprocessing", "registry": "Network Parts make_network"},
)
