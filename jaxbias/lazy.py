"""Lazy rooms: what a package offers is imported when it is first asked for."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def offer(room: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """Returns the `__getattr__` and the `__all__` of a room, whose modules are attributes too.

    So a refusal of a flag, which needs one light module of a room, waits for no other, and a
    process that decodes images needs no JAX.

    Args:
      room: the package's name.
      modules: module of the room -> the names it offers, separated by spaces. No name may be a
        module's too: importing that module would put it in the name's place.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(f"{room}.{homes[name]}"), name)
        try:
            return importlib.import_module(f"{room}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{room}.{name}":
                raise
            raise AttributeError(f"module '{room}' has no attribute '{name}'") from None

    return get, sorted(homes)
