"""A process aimed at two chips of a kind, which is aimed back at the end."""

import dataclasses

import pytest

from jaxbias.targets import KINDS, Target, Unattached, aim


@pytest.fixture
def aimed(monkeypatch, tmp_path):
    """Returns what aims this process at two chips of a kind."""
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path))

    def at(kind="H100", make=Unattached, **changes):
        found = make("there:2", dataclasses.replace(KINDS[kind], **changes), (2,))
        aim(found)
        return found

    yield at
    aim(Target())
