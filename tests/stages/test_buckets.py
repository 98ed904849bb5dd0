"""A whole study in a bucket: killed and gone on with on another machine, and shared by two."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from jaxbias.stages import train
from jaxbias.workdir.results import ResultDirectory
from tests.processes import assert_same_bits, kill, wait_for
from tests.workdir.attacked import LONG, stand_in, study_of

pytestmark = pytest.mark.engines
ROOT = Path(__file__).parents[2]
CONFIG = f"--config={ROOT}/configs/quickstart.py:smoke"


def start(workdir, home):
    """Begins on a machine that knows nothing of the study; images are decoded there too."""
    env = {**os.environ, "JAXBIAS_HOME": str(home), "JAX_NUM_CPU_DEVICES": "1"}
    command = [sys.executable, "-m", "jaxbias", "run", CONFIG, f"--workdir={workdir}"]
    return subprocess.Popen(command, cwd=ROOT, env=env)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    root = tmp_path_factory.mktemp("expected")
    assert start(root / "run", root / "home").wait(timeout=600) == 0
    return root / "run"


@pytest.fixture
def seen(bucket, tmp_path, monkeypatch):
    """The directory, as a third machine sees it."""
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "third"))
    return ResultDirectory(f"{bucket}/{secrets.token_hex(8)}")


def assert_whole(seen, expected):
    assert_same_bits(str(seen.place), expected)
    claims = seen.place.objects("claims")
    names = [f"{pack.id}.json" for pack in (*seen.plan().bases, *seen.plan().finetunes)]
    assert not any(json.loads(claims.read(name).value)["held"] for name in names)
    for name in ("report/report.html", "report/metrics.parquet", "manifest.parquet"):
        assert seen.place.has(name)


def test_every_stage_by_two_machines_where_nothing_is_trained(bucket, tmp_path, monkeypatch):
    """A search, bases step by step, heads on features: what one has written the other goes by."""
    stand_in(monkeypatch)
    for name, study in (("long", study_of(**LONG)), ("head", study_of("head"))):
        monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "first"))
        train.train(study, tmp_path / name)
        url = f"{bucket}/{secrets.token_hex(8)}/{name}"
        train.train(study, url, "pretrain")
        monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "second"))
        train.train(study, url)
        assert_same_bits(url, tmp_path / name)
        monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "third"))
        assert train.train(study, url, "pretrain", "0") == {}
        assert_same_bits(url, tmp_path / name)


def test_killed_and_gone_on_with_on_another_machine(seen, expected, tmp_path):
    child = start(seen.place, tmp_path / "first")
    done = lambda: len(seen.finished()) > len(ResultDirectory(expected).plan().bases)  # noqa: E731
    wait_for(done, child)
    kill(child)
    before = seen.finished()
    assert before < ResultDirectory(expected).finished()
    assert start(seen.place, tmp_path / "second").wait(timeout=600) == 0
    assert before < seen.finished()
    assert_whole(seen, expected)


def test_two_machines_share_a_study(seen, expected, tmp_path):
    children = [start(seen.place, tmp_path / name) for name in ("first", "second")]
    assert [child.wait(timeout=600) for child in children] == [0, 0]
    assert_whole(seen, expected)
