"""Models: networks as pure functions of their parameters, behind one registry."""

from jaxbias.models.head import Head
from jaxbias.models.registry import Network, make_network

__all__ = ["Head", "Network", "make_network"]
