"""The table of modes: what it says is done, the user's before the shipped, "map" where in doubt."""

import dataclasses
import json

import jax
import pytest

from benchmarks import grid
from jaxbias.costs import mode_table, modes
from jaxbias.costs.mode_table import PackTiming, read_table, user_table, write_table
from jaxbias.costs.modes import chosen_mode
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.models import Head
from tests.tiny import tiny_dataset, tiny_study

SHIPPED = mode_table._SHIPPED
H100 = "NVIDIA H100 80GB HBM3"
ON_64 = {"grid": {"mode": "auto"}, "data": {"name": "tiny", "image_size": 64}}
ENTRY = PackTiming(
    device="cpu",
    hardware="made up",
    load=1.0,
    predicted=False,
    jax="0.0",
    model="convnet",
    parameters=177,
    image_size=8,
    batch=16,
    trains="full",
    dtype="float32",
    width=8,
    devices=1,
    images_per_second={"map": 100.0, "vmap": 50.0, "unroll": 120.0},
    compile_seconds={"map": 1.0, "vmap": 1.0, "unroll": 1.0},
)


@pytest.fixture(autouse=True)
def tables(tmp_path, monkeypatch):
    """A home of its own, and a shipped table that is empty."""
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path))
    monkeypatch.setattr(mode_table, "_SHIPPED", tmp_path / "shipped.json")
    return tmp_path


def mode(device="cpu", **finetune):
    finetune = {"n": (20,), "epochs": 1, "batch": 16, **finetune}
    return chosen_mode(tiny_study(grid={"mode": "auto"}, finetune=finetune), device)[0]


def with_rates(entry=ENTRY, **rates):
    return dataclasses.replace(entry, images_per_second=rates)


def test_another_mode_than_map_must_be_clearly_faster():
    assert ENTRY.mode == "unroll"
    assert with_rates(map=100.0, vmap=50.0, unroll=104.0).mode == "map"


def test_auto_asks_the_tables_and_a_mode_that_is_given_does_not():
    assert mode() == "map"
    write_table(mode_table._SHIPPED, [ENTRY])
    assert mode() == "unroll"
    assert mode(device="another") == mode(mode="last_block") == "map"
    assert chosen_mode(tiny_study(grid={"mode": "map"}), "cpu") == ("map", None)
    write_table(user_table(), [with_rates(map=1.0, vmap=2.0, unroll=1.0)])
    assert mode() == "vmap"


def test_the_nearest_image_size_counts_before_whose_table_it_is():
    write_table(user_table(), [dataclasses.replace(ENTRY, image_size=64)])
    write_table(mode_table._SHIPPED, [with_rates(map=1.0, vmap=9.0, unroll=1.0)])
    assert mode() == "vmap"


def test_the_widest_pack_decides_and_timing_again_replaces():
    narrow = dataclasses.replace(with_rates(map=1.0, vmap=9.0, unroll=1.0), width=1)
    write_table(user_table(), [narrow, ENTRY])
    assert mode() == "unroll"
    write_table(user_table(), [with_rates(map=9.0, vmap=1.0, unroll=1.0)])
    assert mode() == "map"
    assert len(read_table(user_table())) == 2


def test_a_damaged_table_is_named():
    user_table().write_text("[{}]")
    with pytest.raises(InputError, match=r"modes\.json is no table of modes .* delete it"):
        mode()


@pytest.fixture
def shipped(monkeypatch):
    """The table that comes with jaxbias, and none of the user's."""
    monkeypatch.setattr(mode_table, "_SHIPPED", SHIPPED)


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("model", "mode"), [("vit_s_16", "vmap"), ("tf_efficientnet_lite0", "map"), ("resnet50", "map")]
)
def test_on_an_h100_networks_of_large_images_are_mapped_as_was_faster(model, mode):
    data = {"name": "tiny", "image_size": 224}
    study = tiny_study(grid={"mode": "auto"}, data=data, model={"name": model})
    found, entry = chosen_mode(study, H100)
    assert (found, entry.model, entry.device, entry.predicted) == (mode, model, H100, False)


@pytest.mark.usefixtures("shipped")
def test_on_an_h100_convnets_are_mapped_by_vmap():
    for model in ({}, {"widths": grid.WIDTHS}):
        study = tiny_study(**ON_64, model=model)
        assert chosen_mode(study, H100) == ("vmap", read_table(SHIPPED)[0])
    assert chosen_mode(tiny_study(**ON_64, model={"name": "resnet18"}), H100) == ("map", None)


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_on_an_h100_heads_are_mapped_by_vmap_whatever_the_base(solver):
    finetune = {"n": (20,), "batch": 16, "mode": "head", "solver": solver}
    for name in ("convnet", "resnet18"):
        study = tiny_study(**ON_64, model={"name": name}, finetune=finetune)
        mode, entry = chosen_mode(study, H100)
        assert (mode, entry.trains) == ("vmap", f"head {solver}")


def test_the_table_is_plain_json(tables):
    write_table(user_table(), [ENTRY])
    assert json.loads((tables / "modes.json").read_text())[0]["model"] == "convnet"


class Timed:
    """A program in a mode that only says that it was asked for."""

    compile_seconds = 1.0

    def __init__(self, executor, program, width):
        asked.setdefault(executor.mode, []).append(program.model)

    def once(self):
        return 1.0


asked = {}


def measured(monkeypatch, platform, **finetune):
    """The models timed in each mode where JAX's default backend has that name."""
    asked.clear()
    monkeypatch.setattr(modes, "Timed", Timed)
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    study = tiny_study(finetune={"n": (20,), "epochs": 1, "batch": 16, **finetune})
    entries = modes.measure_modes(study, 2)
    assert [entry.width for entry in entries] == [2, 8]
    return study, dict(asked)


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_each_mode_is_timed_with_the_network_of_a_run_in_it(monkeypatch, platform):
    study, timed = measured(monkeypatch, platform)
    assert set(timed) == set(modes.MODES)
    for each, models in timed.items():
        runner = Runner(study, tiny_dataset(), Layout(each, 1), lambda base, _: {})
        assert models == [runner.starts.network(1)] * 2
    methods = {mode: models[0].spec.convolution for mode, models in timed.items()}
    expected = {
        "cpu": dict.fromkeys(modes.MODES, "patches"),
        "gpu": {"map": "conv", "vmap": "patches", "unroll": "conv"},
        "tpu": dict.fromkeys(modes.MODES, "conv"),
    }
    assert methods == expected[platform]


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_heads_are_timed_alike_in_every_mode(monkeypatch, solver):
    _, timed = measured(monkeypatch, "cpu", mode="head", solver=solver)
    assert timed == dict.fromkeys(modes.MODES, [Head(64)] * 2)
