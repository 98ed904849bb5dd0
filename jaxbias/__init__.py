"""Is pretrained bias inherited, and what is the smallest change to the data that removes it?"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxbias.errors import InputError

if TYPE_CHECKING:
    from jaxbias.stages.train import run
    from jaxbias.study import Study, default_config, make_study

__all__ = ["InputError", "Study", "default_config", "make_study", "run"]
__version__ = "0.1.0"

_HOMES = {
    "Study": "jaxbias.study",
    "default_config": "jaxbias.study",
    "make_study": "jaxbias.study",
    "run": "jaxbias.stages.train",
}


def __getattr__(name: str) -> Any:
    """Imports a room when it is first asked for: a process that decodes images needs no JAX."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    try:
        return importlib.import_module(f"jaxbias.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"jaxbias.{name}":
            raise
        raise AttributeError(f"module 'jaxbias' has no attribute '{name}'") from None
