"""Estimates: counts as of the run itself, FLOPs as counted by hand, and what is done left out."""

import jax
import numpy as np
import pytest

from jaxbias.costs.estimate import estimate
from jaxbias.costs.texts import estimate_text
from jaxbias.costs.timing import (
    Timed,
    _flops,
    score_flops,
    score_traffic,
    step_flops,
    step_traffic,
)
from jaxbias.engine.layout import Layout
from jaxbias.engine.passes import Rated
from jaxbias.engine.programs import BLOCK, Networks
from jaxbias.engine.runner import Runner
from jaxbias.models import make_network
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.variants import expand, expand_by_experiment
from jaxbias.training import Schedule
from tests.tiny import tiny_dataset, tiny_study

WIDTHS, SIZE = (8, 16), 32
HEADS = {"n": (20, 30), "epochs": 2, "batch": 16, "seeds": 1, "mode": "head"}


def planned(**changes):
    study, dataset = tiny_study(**changes), tiny_dataset()
    params = {}
    runner = Runner(study, dataset, Layout("map", 2), lambda base, _: params[base.id])
    variants = expand(study, dataset.fingerprint)
    empty, signatures = Plan(dataset.fingerprint), runner.catalog.signatures(variants)
    plan = extend_plan(empty, variants, signatures, lambda member: 4)
    return study, runner, plan, params, expand_by_experiment(study, dataset.fingerprint)


def brief_of(study, schedule, size):
    network = make_network(study.model, size, 1)
    return Networks(network, 10, (30, size, size, 3), schedule).brief


def test_flops_are_those_of_the_matrix_products():
    study = tiny_study(model={"widths": WIDTHS}, data={"name": "tiny", "image_size": SIZE})
    brief, batch = brief_of(study, Schedule(20, 3, 16, 0.9), SIZE), 16
    stages, inputs, side = [], 3, SIZE
    for width in WIDTHS:
        side //= 2
        stages.append(2 * side * side * 9 * inputs * width)
        inputs = width
    forward = sum(stages) + 2 * side * side * inputs
    assert score_flops(brief) == pytest.approx(forward, rel=0.1)
    # Backwards once by weights and once by inputs, which the first stage does not need.
    step = batch * (3 * forward - stages[0])
    assert step_flops(brief) == pytest.approx(step, rel=0.15)


def test_traffic_is_parameters_twice_momenta_twice_and_a_batch():
    study = tiny_study(model={"widths": WIDTHS}, data={"name": "tiny", "image_size": SIZE})
    brief = brief_of(study, Schedule(20, 3, 16, 0.9), SIZE)
    kernels = 9 * 3 * 8 + 9 * 8 * 16 + 8 * 8 * 16  # The head sees 16 channels of 8 by 8.
    biases = 8 + 16 + 1
    image = SIZE * SIZE * 3
    # Parameters and momenta, read and written, float32 each; images are bytes.
    step = 2 * 2 * 4 * (kernels + biases) + 16 * image
    assert score_traffic(brief) == image
    assert step_traffic(brief) == step


def test_what_is_only_counted_is_counted_alike_and_runs_nothing(monkeypatch):
    _, runner, plan, _, experiments = planned(finetune=HEADS)
    timed = estimate(runner.catalog, plan, experiments)
    monkeypatch.setattr(Timed, "once", lambda self: pytest.fail("a program ran"))
    counted = estimate(runner.catalog, plan, experiments, run=False)
    assert (counted.seconds, counted.timed) == (0.0, 0)
    for found, expected in (
        (counted.bases, timed.bases),
        (counted.finetunes, timed.finetunes),
    ):
        assert (found.flops, found.traffic) == (expected.flops, expected.traffic)
        assert found.flops > 0 and found.traffic > 0
    assert counted.feature_flops == timed.feature_flops > 0
    assert counted.devices == timed.devices == 2


def no_count(monkeypatch, unless=lambda: False):
    """A backend that counts nothing before it has compiled, as those of accelerators."""
    counted = jax.stages.Lowered.cost_analysis
    monkeypatch.setattr(
        jax.stages.Lowered, "cost_analysis", lambda self: counted(self) if unless() else None
    )


def test_flops_are_counted_on_the_cpu_whatever_runs_the_programs(monkeypatch):
    _, runner, *_ = planned()
    brief = brief_of(runner.study, Schedule(20, 1, 16, 0.9), 8)
    expected = score_flops(brief), step_flops(brief)
    cpu = jax.local_devices(backend="cpu")[0]
    with jax.default_device(jax.devices()[1]):  # In the accelerator's place.
        no_count(monkeypatch, unless=lambda: jax.config.jax_default_device == cpu)
        assert (score_flops(brief), step_flops(brief)) == expected
    assert min(expected) > 0


def test_every_kind_is_timed_where_flops_cannot_be_counted(monkeypatch):
    _, runner, plan, _, experiments = planned(
        curations={"group_dro": True}, finetune={"n": (20,), "epochs": 1, "seeds": 1}
    )
    no_count(monkeypatch)
    found = estimate(runner.catalog, plan, experiments, budget=0.0)
    assert found.timed == found.kinds > 1
    assert found.finetunes.flops == 0 < found.finetunes.seconds
    assert "FLOPs could not be counted" in estimate_text(found)


@pytest.mark.parametrize("finetune", [{"n": (20, 30), "epochs": 2, "batch": 16, "seeds": 1}, HEADS])
def test_programs_are_those_that_the_run_compiles(finetune):
    _, runner, plan, params, experiments = planned(finetune=finetune)
    found = estimate(runner.catalog, plan, experiments)
    for pack in plan.bases:
        rows, trained = runner.pretrain(pack)
        params |= {row["id"]: p for row, p in zip(rows, trained, strict=True)}
    for pack in plan.finetunes:
        runner.finetune(pack)
    extraction = "mode" in finetune
    assert found.bases.programs + found.finetunes.programs + extraction == len(
        runner.executor.programs
    )
    assert found.finetunes.trainings == len(plan.variants)
    assert found.finetunes.score_bytes == 4 * 200 * len(plan.variants)
    assert found.bases.packs == len(plan.bases)
    assert found.parameter_bytes == sum(
        leaf.nbytes for base in params.values() for leaf in _leaves(base)
    )
    assert (found.feature_seconds > 0) == extraction


def _leaves(tree):
    if isinstance(tree, np.ndarray):
        return [tree]
    return [leaf for part in tree.values() for leaf in _leaves(part)]


def test_done_packs_cost_nothing_and_shared_variants_count_in_both():
    points = [{"seed": 0, "curation": "natural"}]
    _, runner, plan, _, experiments = planned(
        experiments={"A": points, "B": [*points, {"seed": 1, "n": 30}]}
    )
    whole = estimate(runner.catalog, plan, experiments)
    assert whole.experiments["A"].trainings == 3
    assert whole.experiments["B"].trainings == 3 + 9 == whole.finetunes.trainings
    assert 0 < whole.experiments["A"].flops < whole.finetunes.flops == whole.experiments["B"].flops
    assert whole.experiments["B"].seconds > 0

    finished = {pack.id for pack in plan.finetunes if pack.members[0].n == 20}
    rest = estimate(runner.catalog, plan, experiments, lambda pack: pack.id in finished)
    assert (rest.experiments["A"].done, rest.experiments["A"].seconds) == (3, 0)
    assert rest.experiments["B"].done == 3
    assert rest.finetunes.flops < whole.finetunes.flops
    everything = estimate(runner.catalog, plan, experiments, lambda pack: True)
    assert everything.seconds == everything.kinds == 0


def test_beyond_the_budget_kinds_go_by_flops_and_the_text_says_so():
    _, runner, plan, _, experiments = planned(
        curations={"dfr": True, "group_dro": True}, finetune={"n": (20,), "epochs": 1, "seeds": 1}
    )
    found = estimate(runner.catalog, plan, experiments, budget=0.0)
    assert found.timed == 1 < found.kinds
    text = estimate_text(found)
    assert "1 of" in text and "not timed are taken at the FLOP/s" in text


def test_fits_to_convergence_say_what_they_leave_out():
    _, runner, plan, _, experiments = planned(finetune=HEADS | {"solver": "lbfgs"})
    found = estimate(runner.catalog, plan, experiments)
    assert found.fits and found.finetunes.seconds > 0
    assert "timed on noise" in estimate_text(found)


def test_what_fills_the_lanes_of_a_tpu_is_not_counted_as_done(aimed):
    """A TPU's ResNet folds columns, with twice the products of its first stage."""
    spec = {"name": "resnet18", "compute_dtype": "bfloat16", "convolution": "conv"}
    study = tiny_study(model=spec, data={"name": "tiny", "image_size": SIZE})
    schedule = Schedule(20, 3, 16, 0.9)

    def counted():
        brief = brief_of(study, schedule, SIZE)
        return step_flops(brief), score_flops(brief)

    plain = counted()
    aimed("v5e")
    written = _flops(Rated(brief_of(study, schedule, SIZE).model, (BLOCK, SIZE, SIZE, 3))) / BLOCK
    assert counted() == pytest.approx(plain, rel=0.01)
    assert written > 1.1 * plain[1]
