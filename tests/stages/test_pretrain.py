"""The loop: resumed, stopped, damaged, fed from the host: the same bits; and its refusals."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbias import data
from jaxbias.errors import InputError
from jaxbias.stages import train
from jaxbias.stages.bases import check_batch
from jaxbias.study import PretrainSpec, make_study
from jaxbias.weights import checkpoint
from jaxbias.workdir.results import ResultDirectory
from tests.stages.pretrained import BASES, LONG, study
from tests.tiny import tiny_config, tiny_dataset, tiny_study


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(data, "load", lambda spec, check=None: tiny_dataset())


def params(workdir):
    """Of every base of a directory, by id."""
    return {path.name: checkpoint.load_any(path) for path in (workdir / "bases").iterdir()}


def assert_same_bits(got, expected):
    assert got.keys() == expected.keys()
    for id, ours in got.items():
        jax.tree.map(np.testing.assert_array_equal, ours, expected[id])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bases, pretrained without interruption."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda spec, check=None: tiny_dataset())
        train.train(study(), workdir, "pretrain")
    return workdir


def steps_of(workdir):
    """The checkpoints of each base."""
    return {
        base.name: sorted(int(x.name) for x in base.iterdir() if x.is_dir())
        for base in (workdir / "pretraining").iterdir()
    }


def test_it_keeps_the_last_checkpoints_and_the_best(whole):
    for steps in steps_of(whole).values():
        assert steps[-2:] == [10, 15]
    events = [
        json.loads(line)
        for path in (whole / "events").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    told = [event for event in events if event["event"] == "pretraining"]
    assert [event["step"] for event in told] == [5, 10, 15] * 2
    assert all(np.isfinite(event["loss"]) for event in told)


def without_results(whole, tmp_path, steps):
    """A copy of the directory as it was when a step had been saved."""
    workdir = tmp_path / "run"
    shutil.copytree(whole, workdir)
    for kind in ("bases", "packs"):
        for path in (workdir / kind).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for base in (workdir / "pretraining").iterdir():
        for path in base.iterdir():
            if path.is_dir() and int(path.name) > steps:
                shutil.rmtree(path)
    return workdir


@pytest.mark.parametrize("steps", [15, 10, 0])
def test_resumed_is_uninterrupted(whole, tmp_path, steps):
    workdir = without_results(whole, tmp_path, steps)
    train.train(study(), workdir, "pretrain")
    assert_same_bits(params(workdir), params(whole))
    loss = [ResultDirectory(x).base_rows(ResultDirectory(x).plan()).loss for x in (workdir, whole)]
    np.testing.assert_array_equal(*loss)


# TensorStore's other reads go on after one has failed, and find nobody waiting for them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_damaged_checkpoint_is_passed_over(whole, tmp_path, capsys):
    workdir = without_results(whole, tmp_path, 15)
    for base in (workdir / "pretraining").iterdir():
        for path in filter(Path.is_file, (base / "15" / "state").rglob("d/*")):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    train.train(study(), workdir, "pretrain")
    time.sleep(0.2)
    assert capsys.readouterr().err.count("15 is damaged") == 2
    assert_same_bits(params(workdir), params(whole))


# TensorStore's other reads go on after one has failed, and find nobody waiting for them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_none_that_can_be_read_is_an_error(whole, tmp_path):
    workdir = without_results(whole, tmp_path, 15)
    for path in (workdir / "pretraining").rglob("*"):
        if path.is_file() and path.name != "run.json" and path.stat().st_size > 200:
            path.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of its checkpoints can be read\); delete"):
        train.train(study(), workdir, "pretrain")
    time.sleep(0.2)


def test_checkpoints_of_another_run_are_refused(whole, tmp_path):
    workdir = without_results(whole, tmp_path, 15)
    before = steps_of(workdir)
    with pytest.raises(InputError, match=r"another run: lift='shard_map', now 'jit'; set it back"):
        train.train(study(pretrain={"lift": "jit"}), workdir, "pretrain")
    assert steps_of(workdir) == before


def test_images_on_the_host_give_the_same_bits(whole, tmp_path):
    workdir = tmp_path / "host"
    train.train(study(grid={"devices": 2, "store": "host"}), workdir, "pretrain")
    assert_same_bits(params(workdir), params(whole))


def test_the_loop_and_the_pack_agree_up_to_rounding(tmp_path):
    """The engine is no part of a base's id: a few steps of either are the same."""
    bases = {name: BASES[name] for name in ("Grouped", "Scratch")}
    found = []
    for engine in ("loop", "packed"):
        pretrain = {"n": 40, "epochs": 1, "batch": 16, "engine": engine}
        config = tiny_config(bases=bases, pretrain=pretrain)
        train.train(make_study(config), tmp_path / engine, "pretrain")
        found.append(params(tmp_path / engine))
        rows = ResultDirectory(tmp_path / engine)
        assert len(rows.base_rows(rows.plan())) == 2
    assert found[0].keys() == found[1].keys()
    for id, ours in found[0].items():
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours, found[1][id])


def test_a_base_that_diverges_is_marked_and_the_others_go_on(tmp_path):
    changes = {"learning_rate": 1e3, "weight_decay": 1e3, "save_every": 1}
    wild = study(pretrain=changes)
    train.train(wild, tmp_path / "run", "pretrain")
    directory = ResultDirectory(tmp_path / "run")
    rows = directory.base_rows(directory.plan())
    assert rows["status"].str.fullmatch(r"diverged at step \d+").all()
    for stored in params(tmp_path / "run").values():
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(stored))
    # Scratch needs no base: the study goes on, and says on what it does not rest.
    train.train(wild, tmp_path / "run")
    answer, _ = train.write_report(tmp_path / "run")
    assert {text.partition(") ")[2].rstrip("0123456789") for text in answer.failures} == {
        "its base diverged at step "
    }
    assert set(answer.metrics["base"]) == {"Scratch"}


def test_a_base_that_everything_starts_from_ends_the_command(tmp_path):
    bases = {"Grouped": BASES["Grouped"]}
    pretrain = {**LONG, "learning_rate": 1e3, "weight_decay": 1e3}
    finetune = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 1}
    wild = tiny_study(bases=bases, pretrain=pretrain, finetune=finetune)
    with pytest.raises(InputError, match=r"'Grouped' seed 0: diverged at step \d+\); lower config"):
        train.train(wild, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "other", "also": ("nope",)}, "base 'Grouped': tiny has no label column 'nope'"),
        ({"also": ("target",)}, "base 'Grouped': column 'group' of tiny has the values 'a', 'b'"),
        ({"without": ("group=a",)}, "curation 'class_balanced' leaves one class of 'group'"),
        ({"without": ("group=c",)}, "base 'Grouped': column 'group' of tiny has no value 'c'"),
        ({"without": ("grup=a",)}, "no label column 'grup'; did you mean 'group'"),
        ({"without": ("other=0", "other=1")}, "no pretraining example has a known 'group' and is"),
        (
            {"target": "other", "soft": True},
            "base 'Grouped': tiny has no probabilities of 'other', which config.data.scores gives",
        ),
    ],
)
def test_what_a_base_cannot_learn_is_refused_before_any_is_trained(tmp_path, change, message):
    bases = {**BASES, "Grouped": {**BASES["Grouped"], **change}}
    with pytest.raises(InputError, match=message):
        train.train(tiny_study(bases=bases, pretrain=LONG), tmp_path / "run")
    assert not (tmp_path / "run" / "plan.json").exists()


def test_a_batch_that_is_refused_leaves_no_study_behind(tmp_path, monkeypatch):
    def load(spec, check=None):
        dataset = tiny_dataset()
        check(dataset)  # As the readers do, before anything is decoded.
        return dataset

    monkeypatch.setattr(data, "load", load)
    with pytest.raises(InputError, match="batch=15 cannot be shared out evenly over 2 devices; 14"):
        train.train(study(pretrain={"batch": 15}), tmp_path / "run")
    assert not (tmp_path / "run" / "study.json").exists()


def test_bases_of_different_objectives_are_in_packs_of_their_own(whole):
    plan = ResultDirectory(whole).plan()
    assert [[base.name for base in pack.members] for pack in plan.bases] == [["Grouped"], ["Self"]]


@pytest.mark.parametrize("steps, pieces, message", [
    (60, 1, "batch=60 cannot be shared out evenly over 8 devices; 56 or 64 can"),
    (64, 3, "over 8 devices in 3 pieces; 48 or 72 can"),
    (4, 1, "; 8 can"),
])  # fmt: skip
def test_a_batch_that_cannot_be_shared_out_is_refused(steps, pieces, message):
    with pytest.raises(InputError, match=message):
        check_batch(PretrainSpec(batch=steps, accumulate=pieces), 8)


_CHILD = """
import sys; sys.path.insert(0, sys.argv[2])
import jax; jax.config.update("jax_num_cpu_devices", 2)
from jaxbias import data
from jaxbias.stages import train
from tests.tiny import tiny_dataset
from tests.stages.pretrained import study
data.load = lambda spec, check=None: tiny_dataset()
train.train(study(), sys.argv[1], "pretrain")
"""


def test_sigterm_saves_and_exits_with_143(whole, tmp_path):
    root = Path(__file__).parents[2]
    workdir = tmp_path / "run"
    slow = _CHILD.replace(
        "train.train(",
        "from jaxbias.training import loop\n"
        "import time\n"
        "feed = loop.feed\n"
        "loop.feed = lambda *a: (time.sleep(0.3) or x for x in feed(*a))\n"
        "train.train(",
    )
    child = subprocess.Popen([sys.executable, "-c", slow, str(workdir), str(root)])
    end = time.monotonic() + 120
    while not list(workdir.glob("pretraining/*/5")):
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=60) == 143
    (saved,) = steps_of(workdir).values()
    assert saved[-1] not in (5, 10, 15)
    train.train(study(), workdir, "pretrain")
    assert_same_bits(params(workdir), params(whole))
