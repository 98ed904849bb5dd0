"""Models: networks as pure functions of their parameters, behind one registry."""

from jaxbias.models.head import Head
from jaxbias.models.preprocessing import Preprocessing
from jaxbias.models.registry import Network, Parts, make_network

__all__ = ["Head", "Network", "Parts", "Preprocessing", "make_network"]
