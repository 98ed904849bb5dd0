import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxbias.data import decode


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    x = np.linspace(0, 255, width).astype(np.uint8)
    y = np.linspace(0, 255, height).astype(np.uint8)
    pixels = np.stack([*np.meshgrid(x, y), np.zeros((height, width), np.uint8)], axis=-1)
    return Image.fromarray(pixels)


def test_an_image_of_the_wanted_size_is_kept_bit_for_bit():
    image = gradient(16, 16)
    np.testing.assert_array_equal(decode.decode(encoded(image), 16), np.asarray(image))


def test_downscaling_averages_and_does_not_alias():
    # A checkerboard of single pixels has no structure left at an eighth of its size.
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = decode.decode(encoded(Image.fromarray(board)), 8)
    np.testing.assert_allclose(small, 127.5, atol=2)


@pytest.mark.parametrize("size", [(90, 30), (30, 90)])
def test_a_square_is_the_shorter_side_resized_and_the_longer_cropped_about_its_centre(size):
    image = gradient(*size)
    scaled = image.resize((size[0] // 3, size[1] // 3), Image.Resampling.BILINEAR)
    left, top = (scaled.width - 10) // 2, (scaled.height - 10) // 2
    expected = np.asarray(scaled.crop((left, top, left + 10, top + 10)))
    np.testing.assert_array_equal(decode.decode(encoded(image), 10), expected)


@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([1, 7, 32]))
@settings(max_examples=40)
def test_any_shape_becomes_a_square_of_its_own_colour(width, height, size):
    square = decode.decode(encoded(Image.new("RGB", (width, height), (10, 20, 30))), size)
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    np.testing.assert_array_equal(square, np.broadcast_to([10, 20, 30], square.shape))


@pytest.mark.parametrize(
    ("orientation", "first_row"),
    # What the stored top row becomes, by the EXIF specification: 3 is upside down, 6 and 8 are
    # quarter turns, the even ones below 5 and the odd ones above it mirrored.
    [
        (1, "top"),
        (2, "top"),
        (3, "bottom"),
        (4, "bottom"),
        (5, "left"),
        (6, "right"),
        (7, "right"),
        (8, "left"),
    ],
)
def test_exif_orientation_is_applied(orientation, first_row):
    image = Image.new("RGB", (32, 32), "black")
    image.paste("white", (0, 0, 32, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    square = decode.decode(encoded(image, "JPEG", exif=exif, quality=95), 32)[..., 0].astype(int)
    edges = {
        "top": square[:6],
        "bottom": square[-6:],
        "left": square[:, :6],
        "right": square[:, -6:],
    }
    assert edges[first_row].mean() > 240
    assert square.mean() < 80


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])  # Pillow turns a TIFF itself, once it is loaded.
def test_every_orientation_is_the_turn_that_exif_defines(kind):
    stored = np.asarray(gradient(16, 16).convert("RGB"))
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(stored),
    }
    for orientation, expected in upright.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(Image.fromarray(stored), kind, exif=exif)
        np.testing.assert_array_equal(decode.decode(data, 16), expected)


def test_greyscale_becomes_three_equal_channels():
    square = decode.decode(encoded(Image.new("L", (9, 9), 77), "JPEG", quality=95), 4)
    assert np.ptp(square) == 0
    assert abs(int(square[0, 0, 0]) - 77) <= 1


def test_sixteen_bit_greyscale_keeps_its_high_byte():
    samples = np.full((8, 8), 0x8000, np.uint16)
    square = decode.decode(encoded(Image.fromarray(samples)), 4)
    np.testing.assert_array_equal(square, 128)


def test_samples_of_unknown_range_are_refused():
    data = encoded(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF")
    with pytest.raises(decode.BadImageError, match="no known range"):
        decode.decode(data, 4)


def test_cmyk_becomes_rgb():
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    red, green, blue = decode.decode(encoded(cyan, "JPEG", quality=95), 4)[0, 0].astype(int)
    assert red < 20
    assert min(green, blue) > 220


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_white(mode):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode)
    np.testing.assert_array_equal(decode.decode(encoded(image), 4), 255)


def test_a_transparent_palette_entry_is_white():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([200, 0, 0])
    np.testing.assert_array_equal(decode.decode(encoded(image, transparency=0), 4), 255)
    np.testing.assert_array_equal(decode.decode(encoded(image), 4)[0, 0], [200, 0, 0])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_formats_of_photographs_are_read(kind):
    assert decode.decode(encoded(gradient(20, 20), kind), 8).shape == (8, 8, 3)


def test_the_draft_of_a_large_jpeg_is_close_to_the_full_decoding():
    large = gradient(640, 480)
    jpeg = decode.decode(encoded(large, "JPEG", quality=95), 32).astype(int)
    full = decode.decode(encoded(large), 32).astype(int)
    assert np.abs(jpeg - full).max() <= 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_a_truncated_file_is_bad(kind, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(decode.BadImageError):
        decode.decode(data[: int(len(data) * kept)], 8)


@pytest.mark.parametrize(
    "data", [b"", b"not an image", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_image_is_bad(data):
    with pytest.raises(decode.BadImageError, match=r"empty|not an image"):
        decode.decode(data, 8)


def test_a_decompression_bomb_is_refused_without_decoding():
    bomb = encoded(Image.new("1", (12_000, 12_000)))
    assert len(bomb) < 100_000
    with pytest.raises(decode.BadImageError, match="pixels"):
        decode.decode(bomb, 8)


@given(st.data())
@settings(max_examples=60)
def test_flipped_bytes_never_raise_anything_else(data):
    sound = bytearray(encoded(gradient(24, 24), data.draw(st.sampled_from(["PNG", "JPEG", "GIF"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decode.decode(bytes(sound), 8).shape == (8, 8, 3)
    except decode.BadImageError as error:
        assert str(error)
