"""The continuous traits of one face: what its labels leave open, drawn from the image's key.

The group has no cue of its own. Ten proportions (jaw, brow, nose, eyes, lips, neck) are normal with
unit variance and means `GROUP_SEPARATION` apart; each alone says little. Everything that is no
attribute's cue (pose, light, skin, clothes, hair length, background, noise) is drawn without
looking at the labels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxbias.data.faces.attributes import ATTRIBUTES

# Distance between the means of female and male faces in each proportion, in standard deviations.
GROUP_SEPARATION = 1.4
_PROPORTIONS = 10

Scalar = jax.Array  # float32[]
Colour = jax.Array  # float32[3], sRGB in 0..1


class Face(NamedTuple):
    """Everything `drawing.draw` needs; lengths in face units, in which a head is about 1 wide."""

    # Pose and picture.
    shift: jax.Array  # float32[2]
    tilt: Scalar  # radians
    zoom: Scalar
    yaw: Scalar  # how far the features are turned to one side
    pitch: Scalar
    light: Scalar  # brightness factor
    light_side: Scalar  # shading across the picture
    tint: Colour  # colour cast, around 1
    noise: Scalar
    backdrop: jax.Array  # float32[2, 3], colours of the upper and lower edge
    blobs: jax.Array  # float32[4, 3], x, y, radius of out-of-focus discs
    blob_colours: jax.Array  # float32[4, 3]
    clothes: Colour
    # Proportions, the group's cues among them.
    jaw_width: Scalar
    jaw_square: Scalar
    face_length: Scalar
    brow_thick: Scalar
    brow_drop: Scalar
    brow_flat: Scalar
    nose_width: Scalar
    eye_size: Scalar
    lip_full: Scalar
    neck_width: Scalar
    head_width: Scalar
    eye_gap: Scalar
    nose_length: Scalar
    mouth_width: Scalar
    mouth_height: Scalar
    ear_size: Scalar
    # Colours.
    skin: Colour
    skin_shade: Colour
    lips: Colour
    iris: Colour
    hair: Colour
    # Hair style: nuisance.
    hair_length: Scalar
    hair_volume: Scalar
    hair_wave: Scalar
    hair_part: Scalar
    # Cues of attributes: 0 absent, 1 standard.
    age: Scalar
    hat: Scalar
    hat_brim: Scalar
    hat_colour: Colour
    bangs: Scalar
    chubby: Scalar
    mouth_open: Scalar
    smile: Scalar
    glasses: Scalar
    glasses_round: Scalar
    glasses_colour: Colour
    narrow: Scalar
    cheekbones: Scalar
    earrings: Scalar
    earring_size: Scalar
    earring_drop: Scalar
    earring_colour: Colour
    bags: Scalar
    bags_drop: Scalar


_SKIN = ((0.97, 0.85, 0.76), (0.92, 0.74, 0.60), (0.80, 0.59, 0.44), (0.62, 0.42, 0.30))
_SKIN_DARK = (0.46, 0.30, 0.22)
_IRIS = ((0.32, 0.20, 0.12), (0.25, 0.42, 0.62), (0.30, 0.48, 0.30), (0.45, 0.33, 0.15))
# Black, brown, blond, gray in the order of attributes.HAIR.
_HAIR = ((0.11, 0.09, 0.10), (0.36, 0.23, 0.14), (0.85, 0.69, 0.41), (0.66, 0.66, 0.68))
# None of the four: auburn, ginger and dyed.
_OTHER_HAIR = (
    (0.52, 0.18, 0.10),
    (0.76, 0.38, 0.14),
    (0.60, 0.30, 0.16),
    (0.78, 0.36, 0.50),
    (0.20, 0.46, 0.52),
    (0.42, 0.27, 0.58),
)
_METALS = ((0.95, 0.78, 0.30), (0.86, 0.88, 0.92), (0.30, 0.62, 0.60), (0.80, 0.25, 0.32))


class _Draws:
    """Hands out independent random numbers one by one, all drawn at once from one key."""

    def __init__(self, key: jax.Array) -> None:
        normal_key, uniform_key = jax.random.split(key)
        self._normal = iter(jax.random.normal(normal_key, (64,)))
        self._uniform = iter(jax.random.uniform(uniform_key, (96,)))

    def normal(self, mean: float | jax.Array = 0.0, sd: float = 1.0) -> Scalar:
        return mean + sd * jnp.clip(next(self._normal), -2.8, 2.8)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Scalar:
        return low + (high - low) * next(self._uniform)

    def uniforms(self, count: int, low: float = 0.0, high: float = 1.0) -> jax.Array:
        return jnp.stack([self.uniform(low, high) for _ in range(count)])

    def pick(self, palette: tuple[tuple[float, ...], ...]) -> Colour:
        index = jnp.floor(self.uniform(0.0, float(len(palette)))).astype(jnp.int32)
        return jnp.asarray(palette, jnp.float32)[index]

    def blend(self, palette: tuple[tuple[float, ...], ...]) -> Colour:
        """A colour between two neighbours of the palette, uniform along it."""
        place = self.uniform(0.0, len(palette) - 1.0)
        stops = jnp.arange(len(palette), dtype=jnp.float32)
        colours = jnp.asarray(palette, jnp.float32)
        return jnp.stack([jnp.interp(place, stops, colours[:, c]) for c in range(3)])


def draw_face(key: jax.Array, labels: jax.Array, salience: jax.Array) -> Face:
    """Draws the traits of one face.

    Args:
      key: key[], the image's own.
      labels: bool[A] in the order of ATTRIBUTES.
      salience: float32[A], size/contrast of every attribute's cue, 1 = standard.

    Returns:
      The traits; they depend on nothing but the arguments.
    """
    draws = _Draws(key)
    has = dict(zip(ATTRIBUTES, labels.astype(jnp.float32), strict=True))
    weight = dict(zip(ATTRIBUTES, salience, strict=True))
    cue = {name: has[name] * weight[name] for name in ATTRIBUTES}

    mean = GROUP_SEPARATION * weight["Male"] * (has["Male"] - 0.5)
    male = [draws.normal(mean) for _ in range(_PROPORTIONS)]
    skin, shade, lips = _skin(draws)
    return Face(
        **_picture(draws),
        jaw_width=male[0],
        jaw_square=male[1],
        face_length=male[2],
        brow_thick=male[3],
        brow_drop=male[4],
        brow_flat=male[5],
        nose_width=male[6],
        eye_size=-male[7],
        lip_full=-male[8],
        neck_width=male[9],
        head_width=draws.normal(),
        eye_gap=draws.normal(),
        nose_length=draws.normal(),
        mouth_width=draws.normal(),
        mouth_height=draws.normal(),
        ear_size=draws.normal(),
        skin=skin,
        skin_shade=shade,
        lips=lips,
        iris=draws.pick(_IRIS),
        hair=_hair(draws, cue),
        hair_length=draws.uniform(),
        hair_volume=draws.normal(),
        hair_wave=draws.uniform(),
        hair_part=draws.normal(0.0, 0.15),
        age=(1.0 - has["Young"]) * weight["Young"] * draws.uniform(0.55, 1.15),
        hat=cue["Wearing_Hat"],
        hat_brim=draws.uniform(),
        hat_colour=draws.uniforms(3, 0.1, 0.9),
        bangs=cue["Bangs"] * draws.uniform(0.75, 1.15),
        chubby=cue["Chubby"] * draws.uniform(0.6, 1.2) + draws.normal(0.0, 0.12),
        mouth_open=cue["Mouth_Slightly_Open"] * draws.uniform(0.5, 1.2),
        smile=cue["Smiling"] * draws.uniform(0.6, 1.3) + draws.normal(0.0, 0.15),
        glasses=cue["Eyeglasses"],
        glasses_round=draws.uniform(),
        glasses_colour=draws.uniforms(3, 0.05, 0.55),
        narrow=cue["Narrow_Eyes"] * draws.uniform(0.6, 1.1) + draws.normal(0.0, 0.1),
        cheekbones=cue["High_Cheekbones"] * draws.uniform(0.6, 1.2),
        earrings=cue["Wearing_Earrings"] * draws.uniform(0.6, 1.2),
        earring_size=draws.normal(),
        earring_drop=draws.uniform(),
        earring_colour=draws.pick(_METALS) * draws.uniform(0.8, 1.05),
        bags=cue["Bags_Under_Eyes"] * draws.uniform(0.6, 1.2),
        bags_drop=draws.normal(),
    )


def _picture(draws: _Draws) -> dict[str, jax.Array]:
    """Pose, light and background: nothing here looks at the labels."""
    base = draws.uniform(0.55, 0.85) + draws.uniforms(3, -0.15, 0.15)
    return {
        "shift": jnp.stack([draws.normal(0.0, 0.04), draws.normal(0.0, 0.04)]),
        "tilt": draws.normal(0.0, 0.06),
        "zoom": 1.32 * jnp.exp(draws.normal(0.0, 0.045)),
        "yaw": draws.normal(0.0, 0.45),
        "pitch": draws.normal(0.0, 0.3),
        "light": jnp.exp(draws.normal(0.0, 0.07)),
        "light_side": draws.normal(0.0, 0.08),
        "tint": 1.0 + draws.normal(0.0, 0.05) * jnp.asarray([1.0, 0.1, -1.0], jnp.float32),
        "noise": draws.uniform(0.005, 0.025),
        "backdrop": jnp.clip(jnp.stack([base, base + draws.uniforms(3, -0.12, 0.12)]), 0.0, 1.0),
        "blobs": jnp.stack(
            [
                draws.uniforms(4, -1.0, 1.0),
                draws.uniforms(4, -1.0, 1.0),
                draws.uniforms(4, 0.05, 0.3),
            ],
            axis=1,
        ),
        "blob_colours": draws.uniforms(12, 0.5, 1.0).reshape(4, 3),
        "clothes": draws.uniforms(3, 0.1, 0.9),
    }


def _skin(draws: _Draws) -> tuple[Colour, Colour, Colour]:
    """Skin, its darker shade for lines and shadows, and lips."""
    skin = draws.blend((*_SKIN, _SKIN_DARK)) * (1.0 + draws.normal(0.0, 0.03))
    shade = skin * jnp.asarray([0.66, 0.55, 0.52], jnp.float32)
    rose = jnp.asarray([0.78, 0.30, 0.32], jnp.float32)
    return skin, shade, skin * 0.45 + rose * (0.55 * draws.uniform(0.75, 1.1))


def _hair(draws: _Draws, cue: dict[str, jax.Array]) -> Colour:
    """The hair's colour: the labelled one or, without a label, one of the others."""
    strength = jnp.stack(
        [cue[name] for name in ("Black_Hair", "Brown_Hair", "Blond_Hair", "Gray_Hair")]
    )
    other = draws.pick(_OTHER_HAIR)
    colours = jnp.asarray(_HAIR, jnp.float32)
    colour = other + strength @ (colours - other[None, :])
    colour = colour * jnp.exp(draws.normal(0.0, 0.16)) + draws.normal(0.0, 0.03)
    warmth = draws.normal(0.0, 0.04) * jnp.asarray([1.0, 0.0, -1.0], jnp.float32)
    return jnp.clip(colour + warmth, 0.02, 0.98)
