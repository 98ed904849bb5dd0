"""Channels: all examples, then each group, as lists of the examples that count in them."""

from typing import NamedTuple

import numpy as np

# Each list is padded to a multiple of this, so that sweeps and products work in whole blocks.
BLOCK = 64
# Sets of similar size share one compiled program.
_SMALLEST = 256


class Channels(NamedTuple):
    """Which examples count in which channel. An example of weight zero counts nowhere.

    A pytree of arrays, on the host or on a device; `length` and `padding` follow from the shapes.

    Attributes:
      membership: bool[C, N], padded examples false.
      positive: bool[N].
      weights: float64[N].
      members: int32[L], channel after channel its examples, each list padded with `padding`.
      starts: int32[C + 1], where each list starts, and where the last ends.
    """

    membership: np.ndarray
    positive: np.ndarray
    weights: np.ndarray
    members: np.ndarray
    starts: np.ndarray

    @property
    def length(self) -> int:
        """L, the length of all lists together."""
        return self.members.shape[0]

    @property
    def padding(self) -> int:
        """An example that is never real: what stands in the lists' padding."""
        return self.positive.shape[0] - 1


def make_channels(labels: np.ndarray, membership: np.ndarray, weights: np.ndarray) -> Channels:
    """Lists the examples of every channel.

    Args:
      labels: int[N], 0 or 1 wherever the weight is positive.
      membership: [G, N] of 0 and 1.
      weights: float64[N], at least 0; 0 where the label is missing.

    Returns:
      The channels on the host, padded to a size that many sets share.
    """
    count = len(labels)
    size = _bucket(count + 1)
    present = weights > 0
    inside = np.zeros((1 + len(membership), size), bool)
    inside[0, :count] = present
    inside[1:, :count] = (membership > 0) & present
    lengths = -(-inside.sum(axis=1) // BLOCK) * BLOCK
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    # Room for any groups of as many examples that overlap no more: their sizes are no new shape.
    overlap = int(inside[1:].sum(axis=0).max(initial=0))
    members = np.full((1 + overlap) * size + len(inside) * BLOCK, size - 1, np.int32)
    for start, row in zip(starts, inside, strict=False):
        listed = np.flatnonzero(row)
        members[start : start + len(listed)] = listed
    positive = np.zeros(size, bool)
    positive[:count] = (labels == 1) & present
    padded = np.zeros(size)
    padded[:count] = weights
    return Channels(inside, positive, padded, members, starts)


def _bucket(count: int) -> int:
    """The next size: two per power of two, so that little is wasted."""
    power = 1 << max(count - 1, _SMALLEST - 1).bit_length()
    return power * 3 // 4 if count <= power * 3 // 4 and power > _SMALLEST else power
