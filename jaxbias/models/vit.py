"""Vision transformers in the layout of torchvision and timm.

Dosovitskiy et al., 2021: norms before attention and MLP, a class token, learned positions.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from jaxbias.models.attention import attention, attention_of_first
from jaxbias.models.gelu import gelu
from jaxbias.models.layers import Backbone, LayerNorm, narrow_on_tpu

_EPSILON = 1e-6
_XAVIER = nnx.initializers.xavier_uniform()
_TINY = nnx.initializers.normal(1e-6)


class _EncoderBlock(nnx.Module):
    """Self-attention and an MLP, each behind a norm and added to its input.

    Args:
      width: D, of the tokens.
      heads: of the attention.
      hidden: units of the MLP.
      dtype: of the computation; None: that of the parameters. Norms and softmax are computed in at
        least float32.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        dtype: jax.typing.DTypeLike | None,
        rngs: nnx.Rngs,
    ) -> None:
        self.heads = heads
        self.attention_norm = LayerNorm(width, epsilon=_EPSILON)
        self.qkv = nnx.Linear(width, 3 * width, kernel_init=_XAVIER, dtype=dtype, rngs=rngs)
        uniform = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        self.out = nnx.Linear(width, width, kernel_init=uniform, dtype=dtype, rngs=rngs)
        self.mlp_norm = LayerNorm(width, epsilon=_EPSILON)
        mlp = {"kernel_init": _XAVIER, "bias_init": _TINY, "dtype": dtype, "rngs": rngs}
        self.mlp_in = nnx.Linear(width, hidden, **mlp)
        self.mlp_out = nnx.Linear(hidden, width, **mlp)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps tokens [B, T, D] to tokens."""
        x = x + self._attention(self.attention_norm(x))
        return x + self._mlp(self.mlp_norm(x))

    def first(self, x: jax.Array) -> jax.Array:
        """Maps tokens [B, T, D] to the first of those that it maps them to, [B, D]."""
        if not narrow_on_tpu(x):
            return self(x)[:, 0]
        seen = attention_of_first(self.attention_norm(x), *self._projections(x.dtype), self.heads)
        x = x[:, 0] + seen
        return x + self._mlp(self.mlp_norm(x))

    def _mlp(self, x: jax.Array) -> jax.Array:
        hidden = self.mlp_in(x)
        hidden = gelu(hidden) if narrow_on_tpu(x) else nnx.gelu(hidden, approximate=False)
        return self.mlp_out(hidden)

    def _projections(self, dtype: jax.typing.DTypeLike) -> list[jax.Array]:
        params = (self.qkv.kernel, self.qkv.bias, self.out.kernel, self.out.bias)
        return [param[...].astype(dtype) for param in params]

    def _attention(self, x: jax.Array) -> jax.Array:
        batch, tokens, width = x.shape
        if narrow_on_tpu(x):
            return attention(x, *self._projections(x.dtype), self.heads)
        # Queries of all heads, then keys, then values, as PyTorch lays them out.
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        seen = _attend(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
        return self.out(seen.reshape(batch, tokens, width))


class VisionTransformer(Backbone):
    """Patches as tokens, encoder blocks, and a linear head on the class token.

    Args:
      image_size: side of the images in pixels, a multiple of `patch`.
      classes: outputs of the head.
      patch: side of a patch in pixels.
      width: of the tokens.
      depth: encoder blocks.
      heads: of each attention.
      dtype: of the computation; None: that of the parameters.
      rngs: random keys of the initialisation.
    """

    def __init__(
        self,
        image_size: int,
        classes: int,
        *,
        patch: int = 16,
        width: int,
        depth: int,
        heads: int,
        dtype: jax.typing.DTypeLike | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        pixels = patch * patch * 3
        self.patch = patch
        self.embed = nnx.Linear(
            pixels,
            width,
            kernel_init=nnx.initializers.truncated_normal(math.sqrt(1 / pixels)),
            dtype=dtype,
            rngs=rngs,
        )
        tokens = (image_size // patch) ** 2 + 1
        self.class_token = nnx.Param(jnp.zeros((width,), jnp.float32))
        positions = nnx.initializers.normal(0.02)(rngs.params(), (tokens, width), jnp.float32)
        self.positions = nnx.Param(positions)
        self.blocks = nnx.List(
            [_EncoderBlock(width, heads, 4 * width, dtype=dtype, rngs=rngs) for _ in range(depth)]
        )
        self.norm = LayerNorm(width, epsilon=_EPSILON)
        zeros = nnx.initializers.zeros_init()
        self.head = nnx.Linear(width, classes, kernel_init=zeros, dtype=dtype, rngs=rngs)

    def trunk(self, x: jax.Array) -> jax.Array:
        """Maps images [B, S, S, 3] to the tokens that the last block sees, [B, T, D]."""
        batch, side, _, channels = x.shape
        count, patch = side // self.patch, self.patch
        # Lines of a patch stay whole: pixel by pixel a step of a ViT-B takes 0.6 ms more on a v5e.
        cut = x.reshape(batch, count, patch, count, patch * channels).swapaxes(2, 3)
        tokens = self.embed(cut.reshape(batch, count * count, patch * patch * channels))
        first = jnp.broadcast_to(self.class_token[...], (batch, 1, tokens.shape[-1]))
        tokens = jnp.concatenate([first.astype(tokens.dtype), tokens], axis=1)
        tokens = tokens + self.positions[...][None].astype(tokens.dtype)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        return tokens

    def tail(self, x: jax.Array) -> jax.Array:
        """Maps that to features [B, D]: the class token after the last norm."""
        return self.norm(self.blocks[-1].first(x))


def _attend(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """Attention of every token to all; each [B, T, heads, D / heads].

    `jax.nn.dot_product_attention` takes its softmax in float32 whatever its inputs are, so float64
    would hold no longer to the 1e-9 by which layouts and frameworks are compared.
    """
    wide = value.dtype if value.dtype == jnp.float64 else jnp.float32
    affinity = jnp.einsum("bqhd,bkhd->bhqk", query, key, preferred_element_type=wide)
    shares = jax.nn.softmax(affinity / math.sqrt(query.shape[-1]), axis=-1)
    return jnp.einsum("bhqk,bkhd->bqhd", shares.astype(value.dtype), value)
