"""Objectives and modes against plain loops: group DRO, the refitted head, what is left alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.training import batches_of, make_train
from jaxbias.training.objectives import cell_sums, example_losses
from tests.training.tiny_run import NETWORK, SCHEDULE, members, pictures


def run(schedule, flips=True):
    """Trains one run in float64; returns its start, its end and what it was made from."""
    member = jax.tree.map(lambda x: x[0], members(1, np.float64))
    params, examples, hyper, key = member
    train = jax.jit(make_train(NETWORK, schedule))
    trained = train(params, examples, hyper, jax.random.wrap_key_data(key), pictures())
    return member, jax.tree.map(np.asarray, trained)


def seen_of(data):
    """The order of the batches and, per step, the images as they are seen."""
    key = jax.random.wrap_key_data(data)
    _, flip_key = jax.random.split(key)

    def seen(ids, step):
        flips = jax.random.bernoulli(jax.random.fold_in(flip_key, step), shape=(8, 1, 1, 1))
        x = pictures()[ids]
        return np.where(np.asarray(flips), x[:, :, ::-1], x)

    return np.asarray(batches_of(key, SCHEDULE)), seen


def rate_at(hyper, step):
    return float(hyper.learning_rate) * (0.1 if step >= 7.5 else 1.0)


def test_group_dro_equals_a_plain_loop():
    with jax.enable_x64(True):
        schedule = dataclasses.replace(SCHEDULE, objective="group_dro", cells=4)
        (params, examples, hyper, key), trained = run(schedule)

        def losses_of(p, x, y):
            z = NETWORK.logits(p, x)[:, 0]
            return jnp.log1p(jnp.exp(-z)) * y + jnp.log1p(jnp.exp(z)) * (1 - y)

        order, seen = seen_of(key)
        velocity, q = jax.tree.map(np.zeros_like, params), np.full(4, 0.25)
        for step, batch in enumerate(order):
            x, y = seen(examples.ids[batch], step), examples.labels[batch, 0].astype(np.float64)
            cell = examples.cells[batch]
            losses = np.asarray(losses_of(params, x, y))
            means = np.array(
                [losses[cell == c].mean() if (cell == c).any() else 0 for c in range(4)]
            )
            q = q * np.exp(0.5 * means)
            q /= q.sum()
            counts = np.bincount(cell, minlength=4)
            weight = (q / np.maximum(counts, 1))[cell]
            gradient = jax.grad(lambda p, x=x, y=y, w=weight: (losses_of(p, x, y) * w).sum())(
                params
            )
            velocity = jax.tree.map(
                lambda v, g, p: 0.9 * v + g + 1e-3 * p, velocity, gradient, params
            )
            rate = rate_at(hyper, step)
            params = jax.tree.map(lambda p, v, rate=rate: p - rate * v, params, velocity)
        # Hyperparameters are float32 numbers in both.
        for got, want in zip(jax.tree.leaves(trained.params), jax.tree.leaves(params), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-6)


def test_the_refitted_head_has_seen_the_balanced_part_alone():
    with jax.enable_x64(True):
        schedule = dataclasses.replace(SCHEDULE, objective="dfr", cells=4)
        (params, examples, hyper, key), plain = run(SCHEDULE)
        train = jax.jit(make_train(NETWORK, schedule))
        places = np.resize(np.array([3, 8, 13, 18]), 20).astype(np.int32)
        balanced = examples._replace(balanced=places)
        wrapped = jax.random.wrap_key_data(key)
        refitted = train(params, balanced, hyper, wrapped, pictures())
        jax.tree.map(
            np.testing.assert_array_equal, refitted.params["stages"], plain.params["stages"]
        )
        headless = {**plain.params, "head": jax.tree.map(jnp.zeros_like, plain.params["head"])}
        head = jax.jit(make_train(NETWORK, dataclasses.replace(SCHEDULE, mode="head")))
        part = examples._replace(
            **{name: getattr(examples, name)[places] for name in ("ids", "labels", "weights")}
        )
        expected = head(headless, part, hyper, wrapped, pictures())
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(
            refitted.params["head"][name], expected.params["head"][name], atol=1e-12
        )


@pytest.mark.parametrize(
    ("mode", "trained"), [("head", ()), ("last_block", (1,)), ("full", (0, 1))]
)
def test_a_mode_leaves_the_rest_alone(mode, trained):
    with jax.enable_x64(True):
        (params, *_), end = run(dataclasses.replace(SCHEDULE, mode=mode))
    for stage in (0, 1):
        kernels = [p["stages"][stage]["linear"]["kernel"] for p in (params, end.params)]
        assert np.array_equal(*kernels) == (stage not in trained)
    assert not np.array_equal(params["head"]["kernel"], end.params["head"]["kernel"])


def test_cell_sums_by_hand():
    losses = jnp.asarray([1.0, 3.0, 5.0], jnp.float32)
    assert cell_sums(losses, jnp.asarray([0, 0, 2], jnp.int32), 3).tolist() == [4, 0, 5]


def drawn(shape, seed=0):
    return np.random.default_rng(seed).normal(0, 3, shape)


def test_soft_targets_some_unknown_by_a_formula_of_numpy():
    logits = drawn((6, 3))
    soft = np.random.default_rng(1).random((6, 3))
    soft[0], soft[1, :2], soft[2, 2] = -1, -1, 1  # Nothing, one thing, and a certain one known.
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 1 / (1 + np.exp(-logits))
        each = np.where(soft < 0, 0, -(soft * np.log(p) + (1 - soft) * np.log(1 - p)))
        expected = np.nan_to_num(each.sum(axis=1) / (soft >= 0).sum(axis=1))
    with jax.enable_x64(True):
        np.testing.assert_allclose(example_losses(logits, soft), expected, rtol=1e-12)
        slopes = jax.grad(lambda z: example_losses(z, soft).sum())(logits)
    known = np.maximum((soft >= 0).sum(axis=1), 1)[:, None]
    np.testing.assert_allclose(slopes, np.where(soft < 0, 0, p - soft) / known, atol=1e-12)


def test_losses_are_those_of_pytorch():
    """Soft targets, and a thousand classes of which some are unknown, with their slopes."""
    torch = pytest.importorskip("torch")
    soft, classes = np.random.default_rng(1).random((8, 4)), np.array([0, 999, 5, 5, 42, 7, 1, -1])
    cases = [
        (drawn((8, 4)), soft, lambda z: torch.nn.functional.binary_cross_entropy_with_logits(
            z, torch.from_numpy(soft), reduction="none").mean(dim=1)),
        (drawn((8, 1000)), classes[:, None], lambda z: torch.nn.functional.cross_entropy(
            z, torch.from_numpy(classes), reduction="none", ignore_index=-1)),
    ]  # fmt: skip
    for logits, labels, theirs in cases:
        z = torch.from_numpy(logits).requires_grad_()
        expected = theirs(z)
        expected.sum().backward()
        with jax.enable_x64(True):
            got, slopes = jax.vjp(lambda z, y=labels: example_losses(z, y), logits)
            np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-12)
            np.testing.assert_allclose(slopes(np.ones(8))[0], z.grad.numpy(), atol=1e-12)
