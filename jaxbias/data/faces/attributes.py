"""Who is in the built-in faces: attribute names, their frequencies given gender, label draws.

The group is synthetic: `Male` and the other names are aliases that follow CelebA's, so that a study
reads alike on both. Given `Male`, every attribute is drawn independently of every other, except the
four hair colours, which exclude one another.
"""

import dataclasses
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from jaxbias import study
from jaxbias.errors import InputError, nearest

GROUP = "Male"
HAIR = ("Black_Hair", "Brown_Hair", "Blond_Hair", "Gray_Hair")

# P(attribute | female), P(attribute | male) in CelebA's training split (Liu et al. 2015).
CELEBA = {
    "Young": (0.882, 0.636),
    "Wearing_Hat": (0.025, 0.083),
    "Bangs": (0.200, 0.085),
    "Chubby": (0.012, 0.121),
    "Mouth_Slightly_Open": (0.525, 0.424),
    "Smiling": (0.538, 0.399),
    "Eyeglasses": (0.023, 0.123),
    "Black_Hair": (0.199, 0.295),
    "Brown_Hair": (0.241, 0.152),
    "Blond_Hair": (0.242, 0.020),
    "Gray_Hair": (0.010, 0.087),
    "Narrow_Eyes": (0.112, 0.121),
    "High_Cheekbones": (0.557, 0.307),
    "Wearing_Earrings": (0.310, 0.016),
    "Bags_Under_Eyes": (0.101, 0.348),
}
# The order is part of what an image's id stands for: append, never insert.
ATTRIBUTES = (GROUP, *CELEBA)
_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class Pool:
    """Images drawn alike: from the declared population, or for one (attribute, gender) cell.

    Attributes:
      split: one of `study.SPLITS`.
      stratum: '' for the population, else the attribute the images are rendered for.
      forced: (attribute, value) pairs every image of the pool has.
    """

    split: str
    stratum: str = ""
    forced: tuple[tuple[str, bool], ...] = ()

    @property
    def name(self) -> str:
        """The stem of the pool's ids, e.g. "test/population" or "test/Bangs=1,Male=0"."""
        cell = ",".join(f"{attribute}={int(value)}" for attribute, value in self.forced)
        return f"{self.split}/{cell or 'population'}"

    def draws(self, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the randomness of the pool's first images: a function of seed, pool and index.

        Args:
          seed: seed of the whole dataset.
          count: how many images, N.

        Returns:
          Threefry keys uint32[N, 2], one per image, for what `render` draws; and uniform numbers
          float64[N, A + 1] in [0, 1) for `draw_labels`.
        """
        digest = hashlib.sha256(self.name.encode()).digest()
        key = jax.random.key(seed, impl="threefry2x32")
        key = jax.random.fold_in(key, int.from_bytes(digest[:4], "big"))
        blocks = [_draw_block(key, start) for start in range(0, max(count, 1), _BLOCK)]
        keys, uniforms = (np.concatenate(parts)[:count] for parts in zip(*blocks, strict=True))
        return keys, uniforms.astype(np.float64)


@jax.jit
def _draw_block(key: jax.Array, start: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draws for images start .. start + _BLOCK - 1 of a pool: one compiled program for any size."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, start + jnp.arange(_BLOCK))
    uniforms = jax.vmap(lambda k: jax.random.uniform(k, (len(ATTRIBUTES) + 1,)))(keys)
    return jax.random.key_data(keys), uniforms


def check_attribute(field: str, name: str) -> None:
    """Raises an InputError that names `field` unless `name` is an attribute of the faces."""
    if name not in ATTRIBUTES:
        raise InputError(
            f"{field}: the built-in faces have no attribute '{name}'; {nearest(name, ATTRIBUTES)}"
        )


def frequencies(spec: study.FacesSpec) -> pd.DataFrame:
    """Returns the declared population: CelebA's frequencies with the study's overrides.

    Args:
      spec: settings of the faces.

    Returns:
      Index = every attribute but the group, columns 0 and 1 = P(attribute | Male = column).

    Raises:
      InputError: an unknown attribute, or hair colours that add up to more than 1.

    >>> frequencies(study.FacesSpec()).loc["Wearing_Earrings"].tolist()
    [0.31, 0.016]
    """
    field = "config.data.faces.frequencies"
    table = dict(CELEBA)
    for name, pair in spec.frequencies.items():
        check_attribute(field, name)
        if name == GROUP:
            raise InputError(f"{field}: the share of {GROUP} is config.data.faces.male_share")
        table[name] = tuple(pair)
    for column, gender in enumerate(("female", "male")):
        total = sum(table[name][column] for name in HAIR)
        if total > 1 + 1e-9:
            raise InputError(
                f"{field}: the hair colours of {gender} faces add up to {total:.3f}, more than 1;"
                f" lower one of {', '.join(HAIR)}"
            )
    return pd.DataFrame.from_dict(table, orient="index", columns=[0, 1], dtype=float)


def salience(spec: study.FacesSpec) -> np.ndarray:
    """Returns the salience of every attribute's cue, float32[A] in the order of ATTRIBUTES.

    Args:
      spec: settings of the faces.

    Raises:
      InputError: an unknown attribute.
    """
    values = dict.fromkeys(ATTRIBUTES, 1.0)
    for name, value in spec.salience.items():
        check_attribute("config.data.faces.salience", name)
        values[name] = value
    return np.asarray(list(values.values()), np.float32)


def draw_labels(
    uniforms: np.ndarray,
    forced: tuple[tuple[str, bool], ...],
    frequencies: pd.DataFrame,
    male_share: float,
) -> np.ndarray:
    """Turns uniform numbers into labels.

    Args:
      uniforms: float64[N, A + 1], as `Pool.draws` returns; the last column is for hair colour.
      forced: (attribute, value) pairs every image has; everything else follows its frequency given
        the image's gender (hair colours also given the forced colour).
      frequencies: as `frequencies` returns.
      male_share: P(Male = 1).

    Returns:
      bool[N, A] in the order of ATTRIBUTES.
    """
    forced = dict(forced)
    columns = {GROUP: np.full(len(uniforms), forced[GROUP])} if GROUP in forced else {}
    columns.setdefault(GROUP, uniforms[:, 0] < male_share)
    male = columns[GROUP].astype(int)
    for position, name in enumerate(ATTRIBUTES):
        if name in HAIR or name == GROUP:
            continue
        chance = frequencies.loc[name].to_numpy()[male]
        columns[name] = uniforms[:, position] < chance
        if name in forced:
            columns[name][:] = forced[name]
    colour = _draw_hair(uniforms[:, -1], frequencies.loc[list(HAIR)].to_numpy()[:, male], forced)
    for index, name in enumerate(HAIR):
        columns[name] = colour == index
    return np.stack([columns[name] for name in ATTRIBUTES], axis=1)


def _draw_hair(uniforms: np.ndarray, chances: np.ndarray, forced: dict[str, bool]) -> np.ndarray:
    """Returns the index of each face's hair colour in HAIR, len(HAIR) for any other colour.

    Args:
      uniforms: float64[N] in [0, 1).
      chances: float64[len(HAIR), N], each face's chance of each colour.
      forced: values the faces must have.
    """
    chances = np.concatenate([chances, 1 - chances.sum(axis=0, keepdims=True)])
    chances = np.clip(chances, 0, None)
    for index, name in enumerate(HAIR):
        if forced.get(name) is False:
            chances[index] = 0
        elif forced.get(name) is True:
            return np.full(uniforms.shape, index)
    # When a forbidden colour was the only possible one, what is left is "other".
    chances[-1, chances.sum(axis=0) <= 0] = 1
    edges = np.cumsum(chances / chances.sum(axis=0), axis=0)[:-1]
    return (uniforms >= edges).sum(axis=0)
