"""The convolution against XLA's own, and the network's contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxbias.errors import InputError
from jaxbias.models import make_network
from jaxbias.models.convnet import PatchConv
from jaxbias.study import ModelSpec


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (5, 4)])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (3, 1), (5, 2)])
def test_patches_equal_xla_convolution(shape, size, stride):
    conv = PatchConv(3, 4, size=size, stride=stride, rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    kernel = conv.linear.kernel[...].reshape(size, size, 3, 4)
    pad = size // 2
    expected = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    last = conv(jnp.asarray(x.transpose(3, 1, 2, 0)))
    np.testing.assert_allclose(last.transpose(3, 1, 2, 0), expected, atol=1e-5)


def test_head_is_the_only_part_that_depends_on_the_outputs():
    spec = ModelSpec(widths=(4, 8))
    key = jax.random.key(0)
    one, seven = (make_network(spec, 8, k).init(key) for k in (1, 7))
    assert one["head"]["kernel"].shape == (4 * 8, 1)
    assert seven["head"]["kernel"].shape == (4 * 8, 7)
    jax.tree.map(np.testing.assert_array_equal, one["stages"], seven["stages"])


def test_unknown_architecture_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'convnet'"):
        make_network(ModelSpec(name="convnt"), 8, 1)
