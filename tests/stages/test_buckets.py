"""A whole study in a bucket: killed and gone on with on another machine, and shared by two.

Machines have images and programs from the first; of the directory they know what they read there.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jaxbias.engine.runner import Runner
from jaxbias.stages import train
from jaxbias.workdir import crew
from jaxbias.workdir.results import ResultDirectory
from tests.processes import assert_same_bits, kill, wait_for
from tests.workdir.attacked import LONG, stand_in, study_of

pytestmark = pytest.mark.engines
ROOT = Path(__file__).parents[2]
CONFIG = f"--config={ROOT}/configs/quickstart.py:smoke"


def start(home, *words, **popen):
    """Runs a module on a machine."""
    env = {**os.environ, "JAXBIAS_HOME": str(home), "JAX_NUM_CPU_DEVICES": "1"}
    return subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, env=env, **popen)


def run(home, workdir, *more):
    return start(home, "jaxbias", "run", CONFIG, f"--workdir={workdir}", *more)


def told(home, *words):
    """What a module prints there."""
    child = start(home, *words, stdout=subprocess.PIPE, text=True)
    text, _ = child.communicate(timeout=600)
    assert child.returncode == 0
    return text


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A machine that has done the study on its disk."""
    root = tmp_path_factory.mktemp("first")
    assert run(root / "home", root / "run").wait(timeout=600) == 0
    return root


@pytest.fixture
def expected(first):
    return first / "run"


@pytest.fixture
def machine(first, tmp_path):
    """Makes machines of a name."""
    made = lambda name: shutil.copytree(first / "home", tmp_path / name, symlinks=True)  # noqa: E731
    assert not (first / "home" / "workdirs").exists()
    return made


@pytest.fixture
def seen(bucket, tmp_path, monkeypatch):
    """The directory, as a third machine sees it."""
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "third"))
    return ResultDirectory(f"{bucket}/{secrets.token_hex(8)}")


def assert_whole(seen, expected, killed=frozenset()):
    """Whoever was killed may have saved what it did and not given back its claim."""
    assert_same_bits(str(seen.place), expected)
    claims = seen.place.objects("claims")
    packs = {pack.id for pack in (*seen.plan().bases, *seen.plan().finetunes)}
    names = [f"{id}.json" for id in packs - killed]
    assert names
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


def test_killed_and_gone_on_with_on_another_machine(seen, expected, machine):
    child = run(machine("first"), seen.place)
    done = lambda: len(seen.finished()) > len(ResultDirectory(expected).plan().bases)  # noqa: E731
    wait_for(done, child)
    kill(child)
    before = seen.finished()
    assert before < ResultDirectory(expected).finished()
    second = machine("second")
    assert run(second, seen.place).wait(timeout=600) == 0
    assert before < seen.finished()
    assert_whole(seen, expected, before)
    assert not any((second / "workdirs").iterdir())
    # A dry run reads it there: all is done.
    text = told(second, "jaxbias", "run", CONFIG, f"--workdir={seen.place}", "--dry_run")
    (row,) = [line.split() for line in text.splitlines() if line.startswith("quickstart_smoke")]
    assert row[1] == row[2] == f"{len(seen.plan().variants)}"


def test_two_machines_share_a_study(seen, expected, machine):
    children = [run(machine(name), seen.place) for name in ("first", "second")]
    assert [child.wait(timeout=600) for child in children] == [0, 0]
    assert_whole(seen, expected)


def test_a_pack_that_fails_is_quarantined_there_and_every_program_tells(
    seen, monkeypatch, tmp_path
):
    stand_in(monkeypatch)
    study, url = study_of(), str(seen.place)
    train.train(study, url, "plan")
    bad, *others = seen.plan().finetunes
    whole = Runner.finetune

    def fail(runner, pack):
        if pack.id == bad.id:
            raise MemoryError("it does not fit")
        return whole(runner, pack)

    monkeypatch.setattr(crew, "_RETRY_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "finetune", fail)
        train.train(study, url)
    assert seen.finished() >= {pack.id for pack in others} and not seen.has(bad)
    failures = seen.place.objects("failures")
    assert failures.listing() == [f"{bad.id}.{i}.json" for i in (1, 2, 3)]
    sentence = f"1 pack failed 3 times and is quarantined: {bad.id} (MemoryError: it does not fit)"
    assert seen.failures.sentence().startswith(sentence)
    assert sentence in told(tmp_path / "home", "launch", "status", f"--workdir={url}")
    train.write_report(url)
    page = seen.place.objects("report").read("report.html").value.decode()
    assert f"1 pack failed 3 times and is quarantined: {bad.id}" in page
    # It is tried again once its failures are deleted, and they are gone when it is done.
    assert train.train(study, url)["variants"] == 0
    failures.remove(f"{bad.id}.3")
    assert train.train(study, url)["variants"] == len(bad.members)
    assert failures.listing() == []
