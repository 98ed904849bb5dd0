"""From the bytes of an image file to one uint8 square, the same way for every dataset.

The rule: EXIF orientation is applied; greyscale, palette and CMYK become RGB; transparent pixels
are shown on white; 16-bit samples keep their high byte; then the largest centred square is
resampled to the wanted size with an antialiased triangle filter, which is the shorter side
resized to it and the longer one cropped about the centre.
"""

import contextlib
import io

import numpy as np
from PIL import Image, ImageOps

# Part of every store's name: change it whenever the pixels that come out change.
VERSION = "2: orientation, RGB on white, centred square, antialiased triangle"

# Formats that photographs come in; every other decoder of Pillow stays out of reach of a file.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
Image.init()  # Registers them all: Pillow registers some only when it fails to open a file.
# More pixels than any camera's picture, and 300 MB once decoded: a decompression bomb.
_MAX_PIXELS = 100_000_000
# JPEGs are decoded at a reduced scale that still has this many times the wanted side.
_DRAFT_MARGIN = 2


class BadImageError(ValueError):
    """An image cannot be decoded; the message says why."""


def decode(encoded: bytes, size: int) -> np.ndarray:
    """Decodes one image into a square.

    Args:
      encoded: the bytes of an image file (JPEG, PNG, WebP, BMP, GIF or TIFF).
      size: side of the square in pixels.

    Returns:
      uint8[size, size, 3], RGB.

    Raises:
      BadImageError: the bytes are no image, or a truncated, damaged or absurdly large one.

    >>> png = io.BytesIO()
    >>> Image.new("L", (6, 4), 200).save(png, "PNG")
    >>> decode(png.getvalue(), 2)[0, 0].tolist()
    [200, 200, 200]
    """
    if not encoded:
        raise BadImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(encoded), formats=_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise BadImageError(
                    f"{image.width} × {image.height} pixels are more than {_MAX_PIXELS:,}"
                )
            image.draft(None, (size * _DRAFT_MARGIN, size * _DRAFT_MARGIN))
            image.load()
            with contextlib.suppress(Exception):  # Damaged metadata on a sound picture.
                ImageOps.exif_transpose(image, in_place=True)
            square = ImageOps.fit(_to_rgb(image), (size, size), Image.Resampling.BILINEAR)
            return np.asarray(square)
    except BadImageError:
        raise
    except Image.UnidentifiedImageError:
        raise BadImageError("not an image, or of an unknown format") from None
    except Exception as error:  # Hostile bytes make Pillow's decoders raise almost anything.
        raise BadImageError(str(error) or type(error).__name__) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _high_byte(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured).convert(
            "RGB"
        )
    return image if image.mode == "RGB" else image.convert("RGB")


def _high_byte(image: Image.Image) -> Image.Image:
    """Returns a greyscale image of 16-bit samples as 8-bit; Pillow's own conversion clips."""
    samples = np.asarray(image)
    if samples.dtype.kind == "f" or samples.min() < 0 or samples.max() > 0xFFFF:
        raise BadImageError(f"samples of mode {image.mode} have no known range")
    return Image.fromarray((samples.astype(np.uint16) >> 8).astype(np.uint8))
