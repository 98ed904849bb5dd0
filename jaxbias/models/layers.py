"""What all networks are; convolution without bias; norms whose statistics keep their precision."""

import abc
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from jaxbias.models.batch_statistics import folded_pool, normalise, normalise_pooled, pool
from jaxbias.models.convolution import convolve
from jaxbias.models.depthwise import depthwise
from jaxbias.models.folding import convolve_folded, is_folded, of_channels
from jaxbias.models.projection import normalise_projected
from jaxbias.models.row_statistics import normalise_rows
from jaxbias.parallel import moments_of_parts
from jaxbias.targets import target

_MOMENTUM = 0.1  # Share of the new batch in the running statistics.


class Backbone(nnx.Module, abc.ABC):
    """A trunk, the last block and what follows it, and a linear layer `head`.

    The split is where mode "last_block" begins to train.
    """

    head: nnx.Linear

    @abc.abstractmethod
    def trunk(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to what the last block sees, [B, ...]."""

    @abc.abstractmethod
    def tail(self, x: jax.Array) -> jax.Array:
        """Maps that to features [B, F], what the head sees."""

    def features(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to features [B, F]."""
        return self.tail(self.trunk(x))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to logits [B, classes]."""
        return self.head(self.features(x))


class Conv(nnx.Module):
    """A strided convolution without bias, computed in the dtype of its input.

    Args:
      features_in: channels of the input.
      features_out: channels of the output.
      size: side of the kernel, odd.
      stride: step between patches.
      same: whether padding is TensorFlow's.
      method: "patches" or "conv".
      rngs: random keys of the initialisation (He et al., 2015, by the fan out, as torchvision).
    """

    def __init__(
        self,
        features_in: int,
        features_out: int,
        size: int,
        stride: int,
        *,
        same: bool = False,
        method: str,
        rngs: nnx.Rngs,
    ) -> None:
        init = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")
        shape = (size, size, features_in, features_out)
        self.kernel = nnx.Param(init(rngs.params(), shape, jnp.float32))
        self.stride = stride
        self.same = same
        self.method = method

    def __call__(self, x: jax.Array, signs: jax.Array | None = None) -> jax.Array:
        """Maps [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), features_out].

        Args:
          x: what it maps; folded, it is mapped as by `convolve_folded`.
          signs: float[features_out], what outputs are multiplied by.
        """
        kernel = self.kernel[...] if signs is None else self.kernel[...] * signs[None, None, None]
        if is_folded(x, kernel.shape[2]):
            return convolve_folded(x, kernel.astype(x.dtype), self.stride)
        return convolve(x, kernel.astype(x.dtype), self.stride, self.method, self.same)


class DepthwiseConv(nnx.Module):
    """A strided convolution of each channel alone, without bias, in the dtype of its input.

    Args:
      features: channels.
      size: side of the kernel, odd.
      stride: step between patches.
      same: whether padding is TensorFlow's.
      method: "patches" or "conv".
      rngs: random keys of the initialisation, as of `Conv`.
    """

    def __init__(
        self, features: int, size: int, stride: int, *, same: bool, method: str, rngs: nnx.Rngs
    ) -> None:
        # A channel's fan out is its own kernel.
        init = nnx.initializers.normal(math.sqrt(2.0) / size)
        self.kernel = nnx.Param(init(rngs.params(), (size, size, 1, features), jnp.float32))
        self.stride = stride
        self.same = same
        self.method = method

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), C]."""
        return depthwise(x, self.kernel[...].astype(x.dtype), self.stride, self.method, self.same)


class BatchNorm(nnx.Module):
    """Batch normalisation as PyTorch has it: the running variance is the unbiased one.

    It is computed in the dtype of its parameters, whatever that of its input.

    Attributes:
      training: whether it uses and records the statistics of the batch, or the running ones.
      devices: of the mesh axis "data"; with several, each sees an equal part of the batch.
    """

    def __init__(self, features: int, *, scale: float = 1.0, epsilon: float = 1e-5) -> None:
        self.scale = nnx.Param(jnp.full((features,), scale, jnp.float32))
        self.bias = nnx.Param(jnp.zeros((features,), jnp.float32))
        self.mean = nnx.BatchStat(jnp.zeros((features,), jnp.float32))
        self.var = nnx.BatchStat(jnp.ones((features,), jnp.float32))
        self.epsilon = epsilon
        self.training = False
        self.devices = 1

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C], or folded, to the same shape and dtype."""
        mean, var = self.mean[...], self.var[...]
        count = self.devices * x.size // len(mean)
        if self.training and x.dtype.itemsize < mean.dtype.itemsize:
            scale, bias = self.scale[...], self.bias[...]
            y, *found = normalise(x, scale, bias, mean, self.epsilon, self.devices)
            self._record(*found, count)
            return y
        wide = x.astype(mean.dtype)
        if self.training:
            batch_mean = wide.mean(axis=(0, 1, 2))
            batch_var = jnp.square(wide - of_channels(batch_mean, x)).mean(axis=(0, 1, 2))
            batch_mean, batch_var = moments_of_parts(batch_mean, batch_var, mean, self.devices)
            self._record(batch_mean, batch_var, count)
            mean, var = batch_mean, batch_var
        factor = self.scale[...] * jax.lax.rsqrt(var + self.epsilon)
        shift = self.bias[...] - mean * factor
        return (wide * of_channels(factor, x) + of_channels(shift, x)).astype(x.dtype)

    def pooled(self, convolved: Callable[[jax.Array], jax.Array], folds: bool = False) -> jax.Array:
        """Normalises a convolution's result and takes maxima over 3×3 places, by steps of two.

        Args:
          convolved: from signs float[C] of its outputs to those, [B, H, W, C] in a dtype narrower
            than the norm's: where a scale is negative the least would be the largest.
          folds: whether the maxima are folded.
        """
        scale, bias, mean, var = (p[...] for p in (self.scale, self.bias, self.mean, self.var))
        sign = jnp.where(scale < 0, -1, 1).astype(scale.dtype)
        x = convolved(sign)
        if self.training:
            about = sign * mean
            y, mean, var = normalise_pooled(
                x, sign * scale, bias, about, self.epsilon, self.devices, folds
            )
            self._record(sign * mean, var, self.devices * x.size // x.shape[-1])
            return y
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        most = folded_pool(x) if folds else pool(x)
        most = most.astype(mean.dtype) * of_channels(sign * factor, most)
        return (most + of_channels(bias - mean * factor, most)).astype(x.dtype)

    def after(self, conv: Conv | DepthwiseConv, x: jax.Array) -> jax.Array:
        """Normalises what a convolution maps images to, [B, H, W, C] or folded."""
        size, _, inputs, outputs = conv.kernel.shape
        widens = size == 1 and conv.stride == 1 and outputs > inputs
        if not (self.training and widens and narrow_on_tpu(x)):
            return self(conv(x))
        kernel, mean = conv.kernel[...][0, 0], self.mean[...]
        scale, bias = self.scale[...], self.bias[...]
        y, *found = normalise_projected(x, kernel, scale, bias, mean, self.epsilon, self.devices)
        self._record(*found, self.devices * x.size // inputs)
        return y

    def _record(self, batch_mean: jax.Array, batch_var: jax.Array, count: int) -> None:
        """Moves the running statistics towards those of a batch of so many values."""
        mean, var = self.mean[...], self.var[...]
        unbiased = batch_var * (count / max(count - 1, 1))
        self.mean.set_value(mean + _MOMENTUM * (batch_mean - mean))
        self.var.set_value(var + _MOMENTUM * (unbiased - var))


class LayerNorm(nnx.Module):
    """Normalises over the last axis, in the dtype of its parameters, whatever that of its input."""

    def __init__(self, features: int, *, epsilon: float) -> None:
        self.scale = nnx.Param(jnp.ones((features,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((features,), jnp.float32))
        self.epsilon = epsilon

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [..., D] to the same shape and dtype."""
        scale, bias = self.scale[...], self.bias[...]
        if target().platform == "tpu" and x.dtype.itemsize < scale.dtype.itemsize:
            return normalise_rows(self.epsilon, x, scale, bias)
        wide = x.astype(scale.dtype)
        wide = wide - wide.mean(axis=-1, keepdims=True)
        wide = wide * jax.lax.rsqrt(jnp.square(wide).mean(axis=-1, keepdims=True) + self.epsilon)
        leading = (1,) * (x.ndim - 1)
        return (wide * scale.reshape(*leading, -1) + bias.reshape(*leading, -1)).astype(x.dtype)


def narrow_on_tpu(x: jax.Array) -> bool:
    """Returns whether a TPU computes in bfloat16, which what is written for it is for."""
    return target().platform == "tpu" and x.dtype == jnp.bfloat16
