"""Corrections: what was timed takes its time by prediction; what says nothing corrects nothing."""

import dataclasses

import pytest

from jaxbias.costs import mode_table
from jaxbias.costs.corrections import correction
from jaxbias.costs.mode_table import user_table, write_table
from jaxbias.engine.members import schedule_of
from jaxbias.engine.programs import training_of
from jaxbias.models import make_network
from jaxbias.plan.variants import Recipe
from jaxbias.study import FinetuneSpec, ModelSpec
from jaxbias.targets import Target, aim, described
from tests.timed import DEVICE, timing


@pytest.fixture(autouse=True)
def tables(tmp_path, monkeypatch):
    """A home of its own, and a shipped table that is empty."""
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path))
    monkeypatch.setattr(mode_table, "_SHIPPED", tmp_path / "shipped.json")


def brief(size=8, batch=16, widths=(4, 8), dtype="float32", **finetune):
    recipe = Recipe.of(FinetuneSpec(batch=batch, **finetune))
    spec = ModelSpec(name="convnet", widths=widths, compute_dtype=dtype)
    network = make_network(spec, size, 1)
    schedule = schedule_of(recipe, "erm", 32, cells=1)
    return training_of(network, recipe, schedule, 20, (40, size, size, 3), rows=40).brief


def corrected(program, mode="map", seconds=lambda program: 1e-3):
    return correction(program, mode, DEVICE, seconds)


@pytest.mark.parametrize("mode", ["full", "last_block", "head"])
def test_the_prediction_of_what_was_timed_is_its_time(mode):
    program = brief(mode=mode)
    # 16 images of 2 devices at 6,400 a second: 5 ms a step of one, 1 ms of which was predicted.
    write_table(user_table(), [timing(program, 6400.0)])
    assert corrected(program).factor == pytest.approx(5.0)


def test_other_sizes_are_corrected_as_what_was_timed_was():
    write_table(user_table(), [timing(brief(size=8, batch=16), 6400.0)])
    asked = []

    def seconds(program):
        asked.append((program.model.image_size, program.batch, program.store[1:]))
        return 2e-3

    assert corrected(brief(size=16, batch=8), seconds=seconds).factor == pytest.approx(2.5)
    assert asked == [(8, 16, (8, 8, 3))]


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "TPU v8"},
        {"model": "resnet18"},
        {"trains": "last_block"},
        {"dtype": "bfloat16"},
        {"predicted": True},
        {"parameters": 100},
        {"images_per_second": {"vmap": 1.0}},
    ],
)
def test_what_says_nothing_of_it_corrects_nothing(changes):
    write_table(user_table(), [timing(brief(), 6400.0, **changes)])
    assert corrected(brief()) is None


def test_what_was_timed_comes_before_what_was_predicted():
    program = brief()
    near = timing(program, 1.0, predicted=True)
    far = timing(brief(size=16), 6400.0)
    write_table(user_table(), [near, far])
    assert corrected(program).of == dataclasses.replace(far)


def test_of_fits_to_convergence_nothing_is_said():
    assert corrected(brief(mode="head", solver="lbfgs")) is None


def test_what_a_network_computes_in_is_what_it_does_on_the_target():
    """By "auto" bfloat16 on an accelerator, as what was timed there."""
    aim(described("h100"))
    try:
        program = brief(dtype="auto")
        write_table(user_table(), [timing(program, 6400.0, dtype="bfloat16")])
        assert corrected(program).factor == pytest.approx(5.0)
    finally:
        aim(Target())
    assert corrected(program) is None
