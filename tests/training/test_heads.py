"""Heads on features: equal to those of a frozen network; fits equal to scikit-learn's."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jaxbias.engine.features import principal_axes
from jaxbias.engine.programs import FittedHeads, Heads
from jaxbias.models import Head, Network
from jaxbias.parallel import make_mesh, replicate, shard_variants, split_variants
from jaxbias.training import Penalty, TrainingSet, fit_head, make_train
from tests.training.tiny_run import NETWORK, SCHEDULE, members, pictures


class Unflipped(Network):
    """The network as it is scored: heads on stored features see no flips."""

    def augment(self, images, key, places, count):
        return images


UNFLIPPED = Unflipped(NETWORK.spec, NETWORK.preprocessing, NETWORK.outputs)


@pytest.mark.parametrize("objective", ["erm", "group_dro", "dfr"])
def test_a_head_on_features_equals_the_networks_own(objective):
    """Float64, whole runs: training the head of the network or the head alone is one thing."""
    schedule = dataclasses.replace(SCHEDULE, mode="head", objective=objective, cells=4)
    with jax.enable_x64(True):
        params, examples, hyper, key = jax.tree.map(lambda x: x[0], members(1, np.float64))
        weights = np.linspace(0.5, 2, 20).astype(np.float32)
        places = np.resize(np.array([3, 8, 13, 18]), 20).astype(np.int32)
        examples = examples._replace(weights=weights, balanced=places)
        key = jax.random.wrap_key_data(key)
        whole = jax.jit(make_train(UNFLIPPED, schedule))(params, examples, hyper, key, pictures())
        features = NETWORK.features(params, pictures())
        start = {"head": params["head"]}
        train = jax.jit(make_train(Head(features.shape[1]), schedule))
        alone = train(start, examples, hyper, key, features)
        for name in ("kernel", "bias"):
            assert not np.array_equal(alone.params["head"][name], start["head"][name])
            np.testing.assert_allclose(
                alone.params["head"][name], whole.params["head"][name], atol=1e-9
            )
        np.testing.assert_allclose(alone.loss, whole.loss, atol=1e-9)


def pool(count=300, width=12, seed=0, dtype=np.float64):
    """Correlated features and labels that depend on them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + rng.normal(
        size=width
    )
    values /= values.std()
    labels = rng.random(count) < 1 / (1 + np.exp(-values @ rng.normal(size=width)))
    return values.astype(dtype), labels.astype(np.float32)


def fits(count, labels, n=60):
    """Stacked members of a pack of fits: other examples, weights and C each."""
    rng = np.random.default_rng(1)
    each = []
    for i in range(count):
        ids = rng.permutation(200)[:n].astype(np.int32)
        examples = TrainingSet(
            ids,
            labels[ids][:, None],
            rng.uniform(0.2, 3, n).astype(np.float32),
            np.zeros(n, np.int32),
            np.resize(np.arange(n // 2), n).astype(np.int32),
        )
        penalty = Penalty(np.float32([0.01, 0.5, 20.0][i % 3]), np.float32(1e-9))
        each.append((examples, penalty))
    return jax.tree.map(lambda *x: np.stack(x), *each)


def sklearn_of(values, examples, C, tolerance=1e-10):
    model = LogisticRegression(C=float(C), tol=tolerance, max_iter=10_000)
    ids = examples.ids
    labels = examples.labels[:, 0]
    return model.fit(values[ids], labels, sample_weight=examples.weights.astype(float))


@pytest.mark.parametrize("objective", ["erm", "dfr"])
def test_a_fit_equals_scikit_learn(objective):
    values, labels = pool()
    stacked = fits(6, labels)
    with jax.enable_x64(True):
        # Any diagonal may precondition; without rotation the coefficients are comparable.
        variances = values.var(axis=0)
        fit = jax.jit(functools.partial(fit_head, objective=objective))
        for i in range(6):
            examples, penalty = jax.tree.map(lambda x, i=i: x[i], stacked)
            got = fit(examples, penalty, variances, values)
            seen = examples
            if objective == "dfr":
                seen = jax.tree.map(lambda leaf, e=examples: leaf[e.balanced], examples)
            model = sklearn_of(values, seen, penalty.C)
            assert got.diverged_at == -1
            head = got.params["head"]
            np.testing.assert_allclose(head["kernel"][:, 0], model.coef_[0], atol=1e-5)
            np.testing.assert_allclose(head["bias"], model.intercept_, atol=1e-5)


def test_principal_axes_change_no_fit():
    """Rotated and centred: the scores of scikit-learn on the scaled features, to 1e-4."""
    values, labels = pool(dtype=np.float32)
    inside = np.arange(len(values)) < 200
    features = principal_axes(values, inside)
    np.testing.assert_allclose(
        np.cov(features.values[inside].T, bias=True), np.diag(features.variances), atol=1e-4
    )
    assert (np.diff(features.variances) <= 0).all()
    assert features.variances.mean() == pytest.approx(1, abs=1e-5)
    examples, penalty = jax.tree.map(lambda x: x[1], fits(2, labels))
    got = fit_head(
        examples, penalty._replace(tolerance=np.float32(1e-6)), features.variances, features.values
    )
    expected = sklearn_of(values / features.scale, examples, penalty.C)
    scores = Head(values.shape[1]).logits(got.params, jnp.asarray(features.values))[:, 0]
    np.testing.assert_allclose(
        scores, expected.decision_function(values / features.scale), atol=1e-3
    )


def test_constant_features_are_zeros():
    features = principal_axes(np.ones((5, 3), np.float32), np.ones(5, bool))
    assert not features.values.any()
    assert not features.variances.any()


@pytest.mark.parametrize(("mode", "devices"), [("map", 1), ("map", 8), ("vmap", 2)])
def test_layouts_of_packs_agree_in_float64(mode, devices):
    """Packed, with shared batch orders, sharded: equal to a run that is a program of its own."""
    values, labels = pool()
    scored = np.arange(200, 300, dtype=np.int32)
    key = jax.random.key_data(jax.random.key(3))
    schedule = dataclasses.replace(SCHEDULE, n=60, mode="head")
    head = Head(values.shape[1])
    with jax.enable_x64(True):
        mesh = make_mesh(devices)
        examples, penalties = fits(8, labels)
        start = {"head": {"kernel": np.ones((8, 12, 1)), "bias": np.zeros((8, 1))}}
        _, _, hyper, _ = members(8, np.float64)
        variances = values.var(axis=0)

        def packed(program, members, *shared):
            lifted = jax.jit(shard_variants(program.function(mode), mesh))
            return lifted(split_variants(members, mesh), replicate((scored, values, *shared), mesh))

        stepwise = Heads(head, len(scored), values.shape, schedule)
        converging = FittedHeads(head, len(scored), values.shape, 60, "erm")
        trained = packed(stepwise, (start, examples, hyper), key)
        fitted = packed(converging, (examples, penalties), variances)
        train, fit = jax.jit(make_train(head, schedule)), jax.jit(fit_head)
        for i in range(8):
            mine = jax.tree.map(lambda x, i=i: x[i], (start, examples, hyper))
            alone = train(*mine, jax.random.wrap_key_data(key), values)
            expected = head.logits(alone.params, values[scored])
            np.testing.assert_allclose(trained["scores"][i], expected, atol=1e-9)
            mine = jax.tree.map(lambda x, i=i: x[i], (examples, penalties))
            alone = fit(*mine, variances, values)
            expected = head.logits(alone.params, values[scored])
            np.testing.assert_allclose(fitted["scores"][i], expected, atol=1e-6)


def test_a_fit_that_fails_is_marked_and_leaves_its_neighbours_alone():
    values, labels = pool(dtype=np.float32)
    examples, penalties = fits(3, labels)
    penalties = penalties._replace(tolerance=np.full(3, 1e-4, np.float32))
    program = jax.jit(FittedHeads(Head(12), 300, values.shape, 60, "erm").function("map"))
    shared = (np.arange(300, dtype=np.int32), values, values.var(axis=0))
    healthy = program((examples, penalties), shared)
    assert np.asarray(healthy["diverged_at"]).tolist() == [-1, -1, -1]
    weights = examples.weights.copy()
    weights[1, 0] = np.nan
    sick = program((examples._replace(weights=weights), penalties), shared)
    assert (np.asarray(sick["diverged_at"]) >= 0).tolist() == [False, True, False]
    np.testing.assert_array_equal(sick["scores"][0], healthy["scores"][0])
    np.testing.assert_array_equal(sick["scores"][2], healthy["scores"][2])
