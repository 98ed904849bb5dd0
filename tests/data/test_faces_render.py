import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import study
from jaxbias.data.faces import attributes, render
from jaxbias.data.faces.attributes import ATTRIBUTES, Pool
from jaxbias.data.faces.drawing import draw
from jaxbias.data.faces.traits import Face, draw_face

SIZE = 32
COLUMN = {name: position for position, name in enumerate(ATTRIBUTES)}
KEYS, _ = Pool("test").draws(0, 48)
PLAIN = attributes.salience(study.FacesSpec())
NUISANCE = {
    *("shift", "tilt", "zoom", "yaw", "pitch", "light", "light_side", "tint", "noise"),
    *("backdrop", "blobs", "blob_colours", "clothes", "skin", "skin_shade", "lips", "iris"),
    *("hair_length", "hair_volume", "hair_wave", "hair_part", "head_width"),
}


def wrapped(keys):
    return jax.random.wrap_key_data(keys, impl="threefry2x32")


def labels(count=48, **values):
    drawn = np.zeros((count, len(ATTRIBUTES)), bool)
    drawn[:, COLUMN["Brown_Hair"]] = drawn[:, COLUMN["Young"]] = True
    for name, value in values.items():
        drawn[:, COLUMN[name]] = value
    return drawn


def images(drawn, keys=KEYS, salience=PLAIN):
    return np.asarray(render.render(keys[: len(drawn)], drawn, salience, SIZE))[: len(drawn)]


def changed(first, second):
    """Mean absolute difference at each pixel over faces, [SIZE, SIZE]."""
    return np.abs(first.astype(int) - second.astype(int)).mean(axis=(0, 3))


@pytest.fixture(scope="module")
def plain():
    return images(labels())


@pytest.fixture(scope="module")
def traits():
    """Traits of many faces, by label matrix."""
    keys = wrapped(Pool("test").draws(1, 4000)[0])
    return lambda drawn: jax.jit(jax.vmap(draw_face, (0, 0, None)))(keys, drawn, PLAIN)


def test_an_image_does_not_depend_on_its_batch(plain):
    drawn = labels()
    np.testing.assert_array_equal(images(drawn), plain)
    for rows in (slice(0, 1), slice(5, 18), slice(47, 48)):
        alone = np.asarray(render.render(KEYS[rows], drawn[rows], PLAIN, SIZE))
        np.testing.assert_array_equal(alone[: len(drawn[rows])], plain[rows])


def test_faces_differ_and_use_the_range(plain):
    assert plain.dtype == np.uint8
    assert plain.shape == (48, SIZE, SIZE, 3)
    assert changed(plain[:-1], plain[1:]).mean() > 10
    assert plain.min() < 30
    assert plain.max() > 220


@pytest.mark.parametrize("name", [name for name in ATTRIBUTES if name != "Brown_Hair"])
def test_every_attribute_shows_and_its_salience_can_hide_it(name, plain):
    drawn = labels(**{name: not labels()[0, COLUMN[name]]})
    if name.endswith("_Hair"):
        drawn[:, COLUMN["Brown_Hair"]] = False
    assert changed(images(drawn), plain).max() > 3
    if not name.endswith("_Hair"):
        hidden = PLAIN.copy()
        hidden[COLUMN[name]] = 0
        np.testing.assert_array_equal(
            images(drawn, salience=hidden), images(labels(), salience=hidden)
        )


def test_salience_of_an_attribute_leaves_faces_without_it_alone(plain):
    strong = PLAIN.copy()
    strong[COLUMN["Wearing_Earrings"]] = 2
    np.testing.assert_array_equal(images(labels(), salience=strong), plain)
    with_, without = images(labels(Wearing_Earrings=True)), plain
    stronger = images(labels(Wearing_Earrings=True), salience=strong)
    assert changed(stronger, without).sum() > 1.2 * changed(with_, without).sum()


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("Wearing_Earrings", slice(13, 31), slice(0, 32)),
        ("Bags_Under_Eyes", slice(11, 25), slice(4, 28)),
        ("Wearing_Hat", slice(0, 14), slice(0, 32)),
        ("Smiling", slice(15, 30), slice(4, 28)),
    ],
)
def test_a_cue_changes_pixels_only_where_it_belongs(name, rows, columns, plain):
    difference = changed(images(labels(**{name: True})), plain)
    inside = difference[rows, columns].sum()
    assert inside > 0.93 * difference.sum()


def test_earrings_are_visible_at_the_smallest_size(plain):
    difference = images(labels(Wearing_Earrings=True)).astype(int) - plain
    touched = (np.abs(difference).max(axis=3) > 20).sum(axis=(1, 2))
    assert np.median(touched) >= 8  # Two ears, at least 2 by 2 pixels each.


def test_a_hat_leaves_hair_to_see():
    def coloured_pixels(**more):
        black = images(labels(Black_Hair=True, Brown_Hair=False, **more)).astype(int)
        blond = images(labels(Blond_Hair=True, Brown_Hair=False, **more)).astype(int)
        return (np.abs(black - blond).max(axis=3) > 60).sum(axis=(1, 2))

    assert np.quantile(coloured_pixels(Wearing_Hat=True), 0.05) >= 20
    assert (coloured_pixels() > coloured_pixels(Wearing_Hat=True)).mean() > 0.9


def test_nuisance_looks_at_no_label(traits):
    one, other = traits(labels(4000)), traits(~labels(4000))
    for name in NUISANCE:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_the_group_moves_overlapping_proportions_and_nothing_else(traits):
    female, male = traits(labels(4000)), traits(labels(4000, Male=True))
    moved = {name for name in Face._fields if (getattr(male, name) != getattr(female, name)).any()}
    assert moved == {
        *("jaw_width", "jaw_square", "face_length", "brow_thick", "brow_drop"),
        *("brow_flat", "nose_width", "eye_size", "lip_full", "neck_width"),
    }
    for name in moved:
        # Balanced accuracy of the best threshold on one proportion alone.
        scores = np.concatenate([getattr(female, name), getattr(male, name)])
        truth = np.repeat([False, True], 4000)
        accuracy = np.mean((scores > np.median(scores)) == truth)
        assert 0.6 < max(accuracy, 1 - accuracy) < 0.82


def test_the_same_face_is_drawn_at_any_size():
    face = draw_face(wrapped(KEYS)[0], jnp.asarray(labels(1)[0]), jnp.asarray(PLAIN))
    drawn = jax.jit(draw, static_argnums=1)
    small, large = drawn(face, 32), drawn(face, 64)
    averaged = large.reshape(3, 32, 2, 32, 2).mean(axis=(2, 4))
    assert np.abs(np.asarray(averaged - small)).mean() < 0.01
