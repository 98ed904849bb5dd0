"""A norm after the pool: the numbers of a norm before it, whatever the signs of its scales."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxbias import targets
from jaxbias.models import layers as model_layers
from jaxbias.models import resnet
from jaxbias.models.convolution import max_pool
from jaxbias.models.layers import BatchNorm, Conv

SCALES = [0.7, -1.3, 0.2, -0.1, 0.0]


def layers(training, scales=SCALES):
    """A convolution and a norm of float64."""
    rng, count = np.random.default_rng(0), len(scales)
    conv, norm = Conv(3, count, 3, 1, method="conv", rngs=nnx.Rngs(0)), BatchNorm(count)
    conv.kernel.set_value(jnp.asarray(rng.normal(size=(3, 3, 3, count))))
    norm.scale.set_value(jnp.asarray(scales, float))
    norm.bias.set_value(jnp.asarray(rng.normal(size=count)))
    norm.mean.set_value(jnp.asarray(rng.normal(size=count)))
    norm.var.set_value(jnp.asarray(rng.uniform(0.5, 2, count)))
    norm.training = training
    return conv, norm


def before(conv, norm, x):
    return max_pool(norm(conv(x)), 3, 2)


def after(conv, norm, x):
    return norm.pooled(lambda signs: conv(x, signs))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("side", [8, 7])
def test_it_has_the_values_gradients_and_statistics_of_a_norm_before_the_pool(training, side):
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        x = jnp.asarray(rng.normal(1, 2, (4, side, side, 3)))
        slopes = jnp.asarray(rng.normal(size=(4, 4, 4, 5)))

        def told(function):
            # Where a scale is 0 all places are equal, and any may learn.
            def loss(conv, norm):
                return (function(conv, norm, x) * slopes)[..., :].sum()

            conv, norm = layers(training)
            got = nnx.grad(loss, argnums=(0, 1))(conv, norm)
            conv, norm = layers(training)
            y = function(conv, norm, x)
            of_scale = got[1]["scale"][...][:4]
            return (
                y,
                got[0]["kernel"][...],
                of_scale,
                got[1]["bias"][...],
                norm.mean[...],
                norm.var[...],
            )

        for one, other in zip(told(after), told(before), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


def test_a_tpu_computes_the_same_stem(monkeypatch):
    made = resnet.ResNet((1,), 1, bottleneck=False, method="conv", width=8, rngs=nnx.Rngs(0))
    made.stem_norm.scale.set_value(jnp.linspace(-1, 1, 8))
    made.stages = nnx.List([nnx.List([])])
    made.stem_norm.training = True
    x = jax.random.normal(jax.random.key(0), (4, 32, 32, 3), jnp.bfloat16)
    graph, state = nnx.split(made)
    plain = nnx.merge(graph, state).trunk(x)
    tpu = targets.Unattached("v5e:2x2", targets.KINDS["v5e"], (2, 2))
    monkeypatch.setattr(model_layers, "target", lambda: tpu)
    norm = nnx.merge(graph, state)
    got = norm.trunk(x)
    np.testing.assert_allclose(got.astype(float), plain.astype(float), rtol=0.02, atol=0.02)
