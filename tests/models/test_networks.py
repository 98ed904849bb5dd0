"""Every architecture: packed = alone, what each mode trains, and BatchNorm by PyTorch's rule."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, traverse_util

from jaxbias.errors import InputError
from jaxbias.models import make_network, tail_of
from jaxbias.models.architectures import ARCHITECTURES
from jaxbias.models.layers import BatchNorm
from jaxbias.models.resnet import ResidualBlock
from jaxbias.parallel import map_variants
from jaxbias.plan.variants import expand
from jaxbias.study import ModelSpec
from jaxbias.training import Hyper, Schedule, TrainingSet, make_score, make_train
from tests.models.architectures import TINY, tiny_architectures  # noqa: F401
from tests.tiny import tiny_study

SIZE, COUNT = 8, 24
SPECS = {
    "convnet": ModelSpec(widths=(4, 8)),
    "lite_block": ModelSpec(name="lite_block"),
    "lite_tiny": ModelSpec(name="lite_tiny"),
    "resnet_block": ModelSpec(name="resnet_block", stem="small"),
    "resnet_tiny": ModelSpec(name="resnet_tiny"),
    "vit_block": ModelSpec(name="vit_block"),
    "vit_tiny": ModelSpec(name="vit_tiny"),
}


def quick(fn):
    """Compiles without LLVM's optimisation: half the time, the same numbers up to rounding."""
    return jax.jit(fn, compiler_options={"xla_backend_optimization_level": 0})


def pictures():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), np.uint8)


def member(network, seed, dtype):
    rng = np.random.default_rng(seed)
    params = quick(network.init)(jax.random.key(seed))
    # Heads that start at zero would hide what lies below them from the first step.
    params["head"] = jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape), params["head"])
    examples = TrainingSet(
        rng.permutation(COUNT)[:16].astype(np.int32),
        rng.integers(0, 2, (16, 1)).astype(np.float32),
        rng.random(16).astype(np.float32),
        np.repeat(np.arange(4), 4).astype(np.int32),
        np.arange(16, dtype=np.int32),
    )
    hyper = Hyper(*map(np.float32, (0.02 * (seed + 1), 1e-3, 0.75, 0.5)))
    params = jax.tree.map(lambda x: np.asarray(x, dtype), params)
    return params, examples, hyper, jax.random.key_data(jax.random.key(7 + seed))


def runner(network, mode, objective="erm"):
    schedule = Schedule(16, epochs=2, batch=8, momentum=0.9, mode=mode, objective=objective)

    def one(member, images):
        params, examples, hyper, key = member
        key = jax.random.wrap_key_data(key)
        trained = make_train(network, schedule)(params, examples, hyper, key, images)
        scores = make_score(network)(trained.params, jnp.arange(COUNT, dtype=jnp.int32), images)
        return trained, scores

    return one


@pytest.mark.parametrize("name", ["lite_block", "resnet_block", "vit_block"])
def test_packed_equals_alone_by_either_convolution(name):
    """Whole runs in float64, statistics per variant included: equal to 1e-9."""
    with jax.enable_x64(True):
        network, images = make_network(SPECS[name], SIZE, 1), pictures()
        conv = make_network(dataclasses.replace(SPECS[name], convolution="conv"), SIZE, 1)
        assert (network.spec.convolution, conv.spec.convolution) == ("patches", "conv")
        members = [member(network, seed, np.float64) for seed in range(2)]
        stacked = jax.tree.map(lambda *x: np.stack(x), *members)
        alone = quick(runner(network, "full"))
        expected = [jax.tree.map(np.asarray, alone(m, images)) for m in members]
        for mapped, packed in (("map", network), ("vmap", conv), ("unroll", network)):
            got = quick(map_variants(runner(packed, "full"), mapped))(stacked, images)
            for i, one in enumerate(expected):
                jax.tree.map(
                    lambda a, b, i=i: np.testing.assert_allclose(a[i], b, atol=1e-9), got, one
                )


LAST = {
    "convnet": {("stages", 1)},
    "lite_tiny": {("stages", 1), ("top",), ("top_norm",)},
    "resnet_tiny": {("stages", 1)},
    "vit_tiny": {("blocks", 1), ("norm",)},
}


@pytest.mark.parametrize("name", LAST)
def test_what_each_mode_trains(name):
    network = make_network(SPECS[name], SIZE, 1)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    paths = traverse_util.flatten_dict(shapes)
    for mode, prefixes in (
        ("head", {("head",)}),
        ("last_block", LAST[name] | {("head",)}),
        ("full", {()}),
    ):
        parts = network.partition(shapes, mode)
        inside = {path for path in paths if any(path[: len(p)] == p for p in prefixes)}
        assert parts.trained.keys() | parts.statistics.keys() == inside
        assert parts.frozen.keys() == paths.keys() - inside
        assert {path[-1] for path in parts.statistics} <= {"mean", "var"}
        assert not {"mean", "var"} & {path[-1] for path in parts.trained}
        assert jax.tree.structure(parts.join()) == jax.tree.structure(shapes)


def test_the_last_block_alone_learns_and_its_norms_alone_see_batches():
    network, images = make_network(SPECS["resnet_tiny"], SIZE, 1), pictures()
    params, *rest = member(network, 0, np.float32)
    trained, _ = quick(runner(network, "last_block"))((params, *rest), images)
    before, after = (network.partition(p, "last_block") for p in (params, trained.params))
    jax.tree.map(np.testing.assert_array_equal, before.frozen, after.frozen)
    for part in ("trained", "statistics"):
        for path, value in getattr(before, part).items():
            assert not np.array_equal(value, getattr(after, part)[path]), path


@pytest.mark.parametrize("name", ["convnet", "lite_tiny", "resnet_tiny", "vit_tiny"])
def test_a_tail_is_the_network_on_what_its_trunk_makes(name):
    """Logits, features, mirrored batches, statistics and gradients, in float64 to 1e-9."""
    with jax.enable_x64(True):
        network, images = make_network(SPECS[name], SIZE, 2), jnp.asarray(pictures())
        tail = tail_of(network)
        params, *_ = member(network, 0, np.float64)
        key, places = jax.random.key(3), jnp.arange(COUNT)

        def done(model, params, images):
            turned = model.augment(images, key, places, COUNT)
            parts = model.partition(params, "last_block")

            def logits(trained):
                return model.train_logits(parts._replace(trained=trained), turned, "last_block")

            values, back = jax.vjp(logits, parts.trained)
            return (
                values,
                back(values),
                model.features(params, images),
                model.logits(params, images),
            )

        def split(params, images):
            mirrored = network.mirror(images, jnp.ones(COUNT, bool))
            pairs = [network.trunk(params, x) for x in (images, mirrored)]
            return done(tail, tail.part(params), jnp.stack(pairs, axis=1))

        want = quick(functools.partial(done, network))(params, images)
        got = quick(split)(params, images)
        jax.tree.map(np.testing.assert_array_equal, tail.whole(params, tail.part(params)), params)
    assert not np.allclose(want[0][0], want[3])  # Some were mirrored.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), got, want)


def test_weight_decay_and_divergence_leave_statistics_alone():
    network, images = make_network(SPECS["resnet_block"], SIZE, 1), pictures()
    params, examples, hyper, key = member(network, 0, np.float32)
    still = Hyper(*map(np.float32, (0.0, 1e3, 0.75, 0.5)))
    trained, _ = quick(runner(network, "full"))((params, examples, still, key), images)
    before, after = (network.partition(p, "full") for p in (params, trained.params))
    jax.tree.map(np.testing.assert_array_equal, before.trained, after.trained)
    assert all(np.all(np.isfinite(x)) for x in after.statistics.values())
    assert not any(np.array_equal(after.statistics[k], v) for k, v in before.statistics.items())
    sick = hyper._replace(learning_rate=np.float32(1e30))
    trained, _ = quick(runner(network, "full"))((params, examples, sick, key), images)
    assert trained.diverged_at >= 0
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(trained.params))


def test_head_mode_on_images_equals_heads_on_stored_features():
    """Frozen norms keep their running statistics, or the two would differ."""
    network, images = make_network(SPECS["resnet_tiny"], SIZE, 1), pictures()
    params, *rest = member(network, 0, np.float32)
    trained, scores = quick(runner(network, "head"))((params, *rest), images)
    features = network.features(params, images)
    head = trained.params["head"]
    np.testing.assert_allclose(
        scores, features @ head["kernel"] + head["bias"][None, :], rtol=1e-5, atol=1e-6
    )


def test_batchnorm_by_hand():
    """PyTorch's rule: batches are divided by their biased deviation, var records the unbiased."""
    x = np.random.default_rng(0).normal(3, 2, (4, 3, 2, 5)).astype(np.float32)
    norm = BatchNorm(5)
    norm.training = True
    got = norm(jnp.asarray(x))
    flat = x.reshape(-1, 5).astype(np.float64)
    expected = (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(norm.mean[...], 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * flat.var(0, ddof=1), rtol=1e-5)
    assert len(nnx.state(norm, nnx.BatchStat)) == 2


@pytest.mark.parametrize("name", ["convnet", "lite_block", "resnet_block", "vit_block"])
def test_bfloat16_computes_near_float32_with_float32_state(name):
    spec, images = SPECS[name], pictures()
    wide = make_network(spec, SIZE, 1)
    narrow = make_network(dataclasses.replace(spec, compute_dtype="bfloat16"), SIZE, 1)
    inputs = member(wide, 0, np.float32)
    compiled = {net: jax.jit(net.logits).lower(inputs[0], images) for net in (wide, narrow)}
    assert ["bf16" in compiled[net].as_text() for net in (wide, narrow)] == [False, True]
    expected, got = (compiled[net].compile()(inputs[0], images) for net in (wide, narrow))
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, atol=0.05 * np.abs(expected).max())
    trained, _ = jax.eval_shape(runner(narrow, "full"), inputs, images)
    assert {leaf.dtype for leaf in jax.tree.leaves(trained.params)} == {jnp.dtype("float32")}


# Parameters of models of 1,000 classes: torchvision's as its documentation lists them, timm's by
# its table of results, in millions.
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("vit_b_16", 86_567_656),
        ("efficientnet_lite0", 4.65e6),
        ("tf_efficientnet_lite1", 5.42e6),
        ("tf_efficientnet_lite2", 6.09e6),
        ("tf_efficientnet_lite3", 8.20e6),
        ("tf_efficientnet_lite4", 13.01e6),
    ],
)
def test_sizes_are_those_of_the_source(name, count):
    network = make_network(ModelSpec(name=name), 224, 1000)
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    parts = network.partition(shapes, "full")
    slack = 5e3 if isinstance(count, float) else 0
    assert abs(sum(leaf.size for leaf in parts.trained.values()) - count) <= slack
    assert len(parts.trained) + len(parts.statistics) == len(jax.tree.leaves(shapes))


def test_zero_init_starts_blocks_as_the_identity():
    def last_scale(zero):
        def make():
            kind = {"bottleneck": True, "method": "patches", "rngs": nnx.Rngs(0)}
            return ResidualBlock(8, 2, 1, zero_init=zero, **kind).norms[2].scale[...]

        return quick(make)()

    assert not last_scale(True).any()
    assert last_scale(False).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="did you mean 'resnet50'"):
        make_network(ModelSpec(name="resnet5"), 8, 1)
    with pytest.raises(InputError, match="image_size=100 is no multiple of that; 96 is"):
        make_network(ModelSpec(name="vit_b_16"), 100, 1)
    assert set(TINY) <= set(ARCHITECTURES)


def test_ids_are_of_the_settings_that_apply():
    """The convnet's content is what it was before there were other models."""
    assert ModelSpec().content == {"name": "convnet", "widths": [16, 32, 64]}
    assert ModelSpec(stem="small", convolution="conv").content == ModelSpec().content
    assert ModelSpec(name="resnet18", widths=(1,)).content == ModelSpec(name="resnet18").content
    assert ModelSpec(name="resnet18", stem="small").content != ModelSpec(name="resnet18").content
    assert "compute_dtype" in ModelSpec(compute_dtype="bfloat16").content
    # Of a study of convnets that ran before there were others.
    variants = expand(tiny_study(), "data")
    assert (variants[0].id, variants[0].base.id) == ("0b8fc7c0898838a7", "75a86837982109ad")
    assert (variants[-1].id, variants[-1].base.id) == ("a5db27a8dcb0a245", "81ee1b4b9e731404")
