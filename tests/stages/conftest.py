"""The tiny studies that several files look at, each finished once per test run."""

import pandas as pd
import pytest

import jaxbias
from jaxbias import data
from tests.tiny import tiny_config, tiny_dataset


@pytest.fixture
def in_memory(monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, check=None: tiny_dataset(seed=spec.seed))


@pytest.fixture(scope="session")
def finished(once):
    """A whole study, with its report, and its metrics; nobody changes it."""

    def make(workdir):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(data, "load", lambda spec, check=None: tiny_dataset(seed=spec.seed))
            jaxbias.run(tiny_config(), workdir).to_pickle(workdir / "metrics.pickle")

    workdir = once("tiny", make)
    return workdir, pd.read_pickle(workdir / "metrics.pickle")
