"""Room: what cannot be allocated is refused with its GiB before it is."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jaxbias import InputError, capacity
from jaxbias.capacity import require_disk, require_ram
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.metrics import evaluate
from jaxbias.plan.packs import Pack, Plan
from jaxbias.plan.variants import expand
from jaxbias.study import Study
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_dataset, tiny_study


@pytest.fixture
def small(monkeypatch):
    """A machine with an eighth of a GiB free."""
    monkeypatch.setattr(capacity, "available_ram", lambda: 2**27)


def test_memory_and_disks_are_refused_in_gib(small, tmp_path, monkeypatch):
    require_ram(2**27, "this", "")
    with pytest.raises(InputError, match=r"^this: 2\.5 GiB of memory, and 0\.12 GiB are free; go$"):
        require_ram(2.5 * 2**30, "this", "go")
    require_disk(1, tmp_path / "a" / "b", "that", "")
    with pytest.raises(InputError, match=rf"that: .* GiB in {tmp_path}, and .* GiB are free; go"):
        require_disk(1e18, tmp_path / "a" / "b", "that", "go")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bootstrap": 10**12}, "bootstrap=1000000000000 must be in 0..100,000"),
        ({"bootstrap": -1}, "bootstrap=-1 must be in 0"),
        ({"bootstrap": 2.5}, "bootstrap must be int, got 2.5"),
        ({"bootstrap": True}, "bootstrap must be int, got True"),
        ({"confidence": float("nan")}, "confidence=nan must be in"),
        ({"confidence": 1}, "confidence=1 must be in"),
        ({"seed": 10**30}, "seed=1000000000000000000000000000000 must be in"),
        ({"common_positives": float("inf")}, "common_positives=inf must be a positive number"),
        ({"bootstrap": 100_000}, "100,000 bootstrap replicates of 2 models on 4,000 examples in"),
    ],
)
def test_numbers_of_an_evaluation_have_ranges_and_must_fit(small, settings, message):
    rng = np.random.default_rng(0)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as raised:
            evaluate(rng.random((2, 4000)), rng.integers(0, 2, 4000), **settings)
        assert message in str(raised.value)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_the_scores_of_a_directory_must_fit(small, tmp_path, monkeypatch):
    directory = ResultDirectory(tmp_path)
    member = SimpleNamespace(task="target")
    pack = Pack("0" * 16, 400, (member,) * 400)
    monkeypatch.setattr(directory, "stored_study", lambda: {"study": Study()})
    monkeypatch.setattr(directory, "plan", lambda: Plan("d", finetunes=(pack,)))
    monkeypatch.setattr(directory, "has", lambda pack: True)
    monkeypatch.setattr(directory, "read_pack", lambda pack: pytest.fail("read"))
    many = pd.DataFrame({"split": np.resize(["validation", "test", "finetune"], 90_000)})
    monkeypatch.setattr(directory, "examples", lambda: many)
    with pytest.raises(
        InputError,
        match=r"the scores of 400 models on 60,000 examples, .*: 0\.27 GiB of memory, and 0\.12",
    ):
        directory.scores()


def test_the_features_of_a_base_must_fit(monkeypatch):
    study = tiny_study(finetune={"n": (20,), "mode": "head", "batch": 16, "epochs": 1, "seeds": 1})
    runner = Runner(study, tiny_dataset(), Layout("map", 1), lambda base, _: {})
    (base,) = {v.base for v in expand(study, "d") if v.base.name == "Scratch"}
    monkeypatch.setattr(capacity, "_SMALL", 0)
    monkeypatch.setattr(capacity, "available_ram", lambda: 1000)
    with pytest.raises(
        InputError, match=r"the features that base 'Scratch' makes of 300 images: .* GiB of memory"
    ):
        runner.starts.features(base, "sgd")
