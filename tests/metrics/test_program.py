"""Metrics inside programs: under jit, split over devices without a collective, compiled once."""

import functools
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxbias.errors import InputError
from jaxbias.metrics import METRICS, Examples, chunks, evaluate
from jaxbias.metrics.channels import make_channels
from jaxbias.metrics.chunks import _program
from jaxbias.metrics.program import make_split
from jaxbias.metrics.ranking import order_on_device, order_on_host, score_keys
from jaxbias.metrics.traced import group_metrics
from tests.metrics.strategies import CASES, assert_same, examples

COLLECTIVES = r"all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter"
EVERYTHING = tuple(name for name in METRICS if name != "train_weighted_accuracy")
RATES = ("fpr", "tpr", "ppv", "accuracy", "threshold", "fpr_gap", "equalized_odds_ratio")
N = 180


def drawn(variants, seed=0):
    """Probabilities with ties, labels, three groups, weights."""
    rng = np.random.default_rng(seed)
    labels, groups = rng.integers(0, 2, N), rng.integers(0, 3, N)
    logits = rng.normal(size=(variants, N)) + labels
    scores = (1 / (1 + np.exp(-logits))).round(2).astype(np.float32)
    return scores, labels, groups, rng.integers(0, 3, N).astype(float)


def split(scores, axes=("variant",), shape=(8,)):
    """Scores with their variants over 8 virtual devices."""
    mesh = jax.make_mesh(shape, axes, axis_types=(AxisType.Auto,) * len(axes))
    return jax.device_put(scores, NamedSharding(mesh, PartitionSpec(axes)))


def assert_equals_evaluate(found, report):
    for metric, each in found.items():
        for place, values in each.items():
            np.testing.assert_allclose(
                values, report.value(metric, place), atol=1e-6, rtol=1e-6, err_msg=(metric, place)
            )


@pytest.mark.parametrize(
    ("rule", "metrics"),
    [
        ("base_rate", EVERYTHING),
        ("youden", RATES),
        ("group_base_rate", RATES),
        ({"fpr": 0.1}, RATES),
        ({"tpr": 0.8}, RATES),
        (0.5, RATES),
    ],
    ids=["all metrics", "youden", "group_base_rate", "fpr", "tpr", "fixed"],
)
def test_under_jit_equals_evaluate(rule, metrics):
    scores, labels, groups, weights = drawn(8)
    asked = {"metrics": metrics, "threshold": rule, "weights": weights}
    found = jax.jit(lambda s: group_metrics(s, labels, groups, **asked))(scores)
    assert set(found) == set(metrics)
    assert_equals_evaluate(found, evaluate(scores, labels, groups, **asked))


def test_link_and_intersections_under_jit():
    scores, labels, groups, _ = drawn(8)
    columns = {"g": groups, "h": np.arange(N) % 2}
    asked = {"metrics": ("brier", "log_loss"), "link": "sigmoid", "intersections": [("g", "h")]}
    found = jax.jit(lambda s: group_metrics(s, labels, columns, **asked))(scores)
    assert "g=0 & h=1" in found["brier"]
    assert_equals_evaluate(found, evaluate(scores, labels, columns, **asked))


def test_split_over_devices_without_collectives():
    scores, labels, groups, weights = drawn(8)
    there = split(scores)
    metrics = functools.partial(
        group_metrics, labels=labels, groups=groups, weights=weights, metrics=EVERYTHING
    )
    each = PartitionSpec("variant")
    program = jax.jit(
        jax.shard_map(
            metrics, mesh=there.sharding.mesh, in_specs=each, out_specs=each, check_vma=False
        )
    )
    compiled = program.lower(there).compile()
    assert not re.findall(COLLECTIVES, compiled.as_text())
    report = evaluate(scores, labels, groups, weights=weights, metrics=EVERYTHING)
    found = compiled(there)
    assert found["auc"]["all"].sharding.spec == each
    assert_equals_evaluate(found, report)


@pytest.mark.parametrize(
    ("variants", "axes", "shape"),
    [(8, ("variant",), (8,)), (88, ("variant",), (8,)), (16, ("a", "b"), (4, 2))],
    ids=["one each", "part of a chunk", "two axes"],
)
def test_evaluate_of_split_scores_equals_the_host(variants, axes, shape):
    scores, labels, groups, weights = drawn(variants)
    asked = {"weights": weights, "bootstrap": 600, "metrics": RATES}
    report = evaluate(split(scores, axes, shape), labels, groups, **asked)
    expected = evaluate(scores, labels, groups, **asked)
    for entry in expected.entries():
        values = report.resampled(*entry), expected.resampled(*entry)
        np.testing.assert_allclose(values[0].value, values[1].value, atol=1e-12)
        np.testing.assert_allclose(values[0].replicates, values[1].replicates, atol=1e-12)


def test_validation_split_over_devices():
    scores, labels, groups, _ = drawn(8)
    other, others, _, weights = drawn(8, seed=1)

    def run(scores, other):
        validation = Examples(other, others, None, weights)
        return evaluate(scores, labels, groups, validation=validation, metrics=RATES)

    expected = run(scores, other)
    for kept in (other, split(other)):
        assert_same(run(split(scores), kept), expected, 1e-12)


@pytest.fixture
def ran_on(monkeypatch):
    """The devices that programs ran on, each with the number of variants it was given."""
    found = []

    def program(*arguments):
        out = _program(*arguments)
        found.append((out["pairs"].devices(), len(out["pairs"])))
        return out

    monkeypatch.setattr(chunks, "_program", program)
    return found


@pytest.mark.parametrize("held", [np.asarray, jnp.asarray], ids=["NumPy", "JAX"])
@pytest.mark.parametrize("platforms", ["cpu and another", "another"])
def test_beside_an_accelerator_the_host_measures_where_it_can(ran_on, monkeypatch, held, platforms):
    scores, labels, groups, _ = drawn(300)
    other, others, _, weights = drawn(300, seed=1)
    asked = {"validation": Examples(other, others, None, weights), "metrics": RATES, "bootstrap": 9}
    asked["metrics"] += ("auc",)
    expected = evaluate(scores, labels, groups, **asked)
    cpu, accelerator = jax.devices()[0], jax.devices()[3]
    assert {device for devices, _ in ran_on for device in devices} == {cpu}
    ran_on.clear()
    if platforms == "another":
        monkeypatch.setattr(chunks, "host_device", lambda: accelerator)
    with jax.default_device(accelerator):
        report = evaluate(held(scores), labels, groups, **asked)
    there = cpu if platforms == "cpu and another" else accelerator
    assert {device for devices, _ in ran_on for device in devices} == {there}
    assert_same(report, expected, 0)


def test_chunks_are_as_wide_as_suits_their_device():
    """Those of a CPU stay in a core's cache, and a device is filled."""

    class Device:
        platform = "gpu"

    scores = np.zeros((10_000, N), np.float32)
    split = make_split(make_channels(np.zeros(N), np.zeros((0, N)), np.ones(N)), np.ones((N, 1)))
    work = chunks._Work(None, scores, split, None, None, None)
    widths = [chunks._width(work, len(scores), each) for each in (jax.devices()[0], Device)]
    assert widths == [4096, 8192]


def test_equal_sizes_compile_one_program():
    asked = {"metrics": ("brier", "ap"), "link": "sigmoid", "bootstrap": 30}
    before = _program._cache_size()
    for seed in (0, 1):
        scores, labels, groups, weights = drawn(20, seed)
        evaluate(scores, labels, groups, weights=weights, **asked)
    assert _program._cache_size() == before + 1


@CASES
@given(examples(variants=8, both_classes=False))
def test_host_and_device_order_alike(example):
    scores, labels, groups, weights = example
    membership = np.stack([groups == "first", groups == "second"])
    channels = make_channels(labels, membership, weights)
    padded = np.pad(scores, ((0, 0), (0, len(channels.weights) - scores.shape[1])))
    with jax.enable_x64(True):
        there = _order(padded, channels)
        np.testing.assert_array_equal(order_on_host(scores, channels), there)


@jax.jit
def _order(scores, channels):
    return order_on_device(score_keys(scores), channels)


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"scores has shape \(2, 3\) and labels 2 entries"):
        group_metrics(jnp.zeros((2, 3)), [0, 1])


def constants(jaxpr):
    """Every number that is written in a program, and in those that it calls."""
    for equation in jaxpr.eqns:
        yield from (var.val for var in equation.invars if hasattr(var, "val"))
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=is_program):
            if is_program(value):
                yield from getattr(value, "consts", ())
                yield from constants(getattr(value, "jaxpr", value))


def is_program(value):
    return hasattr(value, "eqns")


@pytest.mark.parametrize("link", ["identity", "sigmoid"])
@pytest.mark.parametrize("rule", ["base_rate", "youden", {"tpr": 0.8}])
def test_no_number_is_beyond_the_range_of_float32(rule, link):
    """A TPU has float64 as two numbers of float32: more digits, and no larger range."""
    scores, labels, groups, weights = drawn(2)
    program = jax.make_jaxpr(
        lambda s: group_metrics(
            s, labels, groups, weights=weights, metrics=EVERYTHING, threshold=rule, link=link
        )
    )(scores)
    every = [np.asarray(value) for value in (*program.consts, *constants(program.jaxpr))]
    found = np.concatenate([v.ravel() for v in every if v.dtype == np.float64])
    limits = np.finfo(np.float32)
    sizes = np.abs(found[np.isfinite(found) & (found != 0)])
    assert len(sizes) > 10
    assert limits.tiny <= sizes.min() and sizes.max() <= limits.max


def test_a_chunk_of_a_tpu_has_more_variants_and_the_hosts_has_not():
    count = 20_000
    channels = make_channels(np.arange(count) % 2, np.ones((1, count)), np.ones(count))
    split = make_split(channels, np.ones((count, 8), np.uint8))
    scores = np.broadcast_to(np.float32(0), (4096, count))
    work = chunks._Work(None, scores, split, None, None, None)
    widths = {
        platform: chunks._width(work, len(scores), types.SimpleNamespace(platform=platform))
        for platform in ("cpu", "gpu", "tpu")
    }
    assert widths == {"cpu": 64, "gpu": 64, "tpu": 512}
