"""Rooms that import what they offer when it is asked for."""

import importlib
from pathlib import Path

import pytest

import jaxbias

PACKAGE = Path(jaxbias.__file__).parent
LAZY = [
    path.parent
    for path in sorted(PACKAGE.rglob("__init__.py"))
    if "import offer" in path.read_text()
]


@pytest.mark.parametrize("folder", LAZY, ids=lambda folder: folder.name)
def test_everything_offered_is_there_and_no_module_takes_its_name(folder):
    room = importlib.import_module(".".join(folder.relative_to(PACKAGE.parent).parts))
    modules = {path.stem for path in folder.iterdir()}
    assert modules.isdisjoint(room.__all__)
    for name in room.__all__:
        assert getattr(room, name) is not None


def test_rooms_and_modules_are_attributes_and_nothing_else_is():
    assert jaxbias.metrics.rules is importlib.import_module("jaxbias.metrics.rules")
    with pytest.raises(AttributeError, match="module 'jaxbias' has no attribute 'metric'"):
        jaxbias.metric  # noqa: B018
