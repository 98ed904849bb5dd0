"""How images were prepared for imported weights: what is known, and what a study does instead."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbias.errors import InputError
from jaxbias.files.json_files import read_json
from jaxbias.models.architectures import ARCHITECTURES
from jaxbias.weights.limits import shown

if TYPE_CHECKING:
    from jaxbias.models import Preprocessing

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)
# Pillow's numbers of its filters, as transformers writes them.
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
MOST_SIDE = 2048  # Pixels: images of a side that no network here was ever trained with.
_WAY_OUT = "fetch it again, or move it away for the source's usual preparation"


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images were prepared for evaluation.

    Attributes:
      resize: side in pixels to which the shorter one was resized; 0: both were, to `crop`.
      crop: side of the central crop, the network's input.
      interpolation: of resizing.
      mean: of each channel, of values in [0, 1].
      std: of each channel.
      origin: where this is known from.

    Raises:
      ValueError: one of them is none that an image can be prepared with.
    """

    resize: int
    crop: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    origin: str

    def __post_init__(self) -> None:
        for name, least in (("resize", 0), ("crop", 1)):
            side = getattr(self, name)
            if type(side) is not int or not least <= side <= MOST_SIDE:
                raise ValueError(
                    f"{name}={shown(side)} is no side of {least} to {MOST_SIDE:,} pixels"
                )
        if self.interpolation not in _FILTERS.values():
            raise ValueError(f"interpolation={shown(self.interpolation)} is none of Pillow's")
        for name, least in (("mean", 0.0), ("std", 1e-3)):
            values = getattr(self, name)
            numbers = isinstance(values, tuple) and all(type(v) in (int, float) for v in values)
            if not numbers or len(values) != 3 or not all(least <= v <= 1 for v in values):
                raise ValueError(f"{name}={shown(values)} is not three numbers of {least:g} to 1")

    @property
    def preprocessing(self) -> "Preprocessing":
        """What a network of these weights does with a study's images."""
        from jaxbias.models import Preprocessing  # Needs JAX, which a list of sources does not.

        method = self.interpolation if self.interpolation in ("bilinear", "bicubic") else "bilinear"
        return Preprocessing(self.crop, tuple(self.mean), tuple(self.std), method)

    def differences(self, image_size: int) -> str:
        """Says how a study of images of a side departs from it; "" where it does not."""
        parts = []
        if image_size != self.crop:
            parts.append(f"images of {image_size}² pixels are resized to {self.crop}²")
        if self.resize > self.crop:
            parts.append(f"whole images are shown instead of the central {self._share} of the side")
        if self.interpolation != self.preprocessing.interpolation:
            parts.append(f"by bilinear instead of {self.interpolation} interpolation")
        elif self.interpolation != "bilinear":
            # The store's own images were made by bilinear interpolation.
            parts.append(f"stored images are bilinear, the weights saw {self.interpolation} ones")
        return "; ".join(parts)

    @property
    def _share(self) -> str:
        return f"{self.crop / self.resize:.0%}"


IMAGENET = Preparation(256, 224, "bilinear", _MEAN, _STD, "the source's evaluation script")
PLAIN = Preparation(0, 224, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "the source's scripts")
BICUBIC = dataclasses.replace(IMAGENET, interpolation="bicubic")
# TensorFlow's (byte - 127) / 128, which these weights were trained with. Their package speaks of
# ImageNet's mean and deviation, copied from one for other networks; but after those the stem's
# outputs on photographs vary by 4.5 to 6 times its running variances, after these by 1.0 to 1.3.
BYTES = Preparation(
    256,
    224,
    "bicubic",
    (127 / 255,) * 3,
    (128 / 255,) * 3,
    "TensorFlow's; the statistics of the weights' first norm agree",
)
HALF = Preparation(0, 224, "bilinear", _HALF, _HALF, "the source's evaluation script")

# The first digits of a released file's SHA-256, which torchvision writes into its name.
_RELEASED = {
    **dict.fromkeys(
        ("f37072fd", "b627a593", "0676ba61", "63fe2227", "c867db91"),
        dataclasses.replace(IMAGENET, origin="torchvision's IMAGENET1K_V1"),
    ),
    **dict.fromkeys(
        ("11ad3fa6", "cd907fc2"),
        dataclasses.replace(IMAGENET, resize=232, origin="torchvision's IMAGENET1K_V2"),
    ),
    "9ac1b537": Preparation(
        384, 384, "bicubic", _MEAN, _STD, "torchvision's IMAGENET1K_SWAG_E2E_V1"
    ),
    "4e70ced5": Preparation(
        224, 224, "bicubic", _MEAN, _STD, "torchvision's IMAGENET1K_SWAG_LINEAR_V1"
    ),
}


def preparation_of(
    default: Preparation, file: Path, sha256: str, source: str, arch: str
) -> Preparation:
    """Returns how images were prepared: by the released file, by what lies beside it, or usually.

    timm keeps it in config.json, transformers in preprocessor_config.json.

    Raises:
      InputError: what lies beside it is damaged, or says that the architecture is another.
    """
    if source == "torchvision" and sha256[:8] in _RELEASED:
        return _RELEASED[sha256[:8]]
    beside = {"timm": ("config.json", _timm), "huggingface": ("preprocessor_config.json", _hub)}
    name, read = beside.get(source, ("", None))
    path = file.with_name(name) if name else file
    if read is None or not path.is_file():
        return default
    content = read_json(path, _WAY_OUT)
    try:
        named = content.get("architecture")
        if source == "timm" and named in ARCHITECTURES and named != arch:
            raise InputError(f"{path} says that these are weights of {named}: give --arch={named}")
        return dataclasses.replace(read(content, default), origin=name)
    except InputError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)[:160]
        raise InputError(
            f"{path} does not say how images are prepared ({reason}); {_WAY_OUT}"
        ) from error


def _timm(content: dict[str, Any], default: Preparation) -> Preparation:
    config = content["pretrained_cfg"]
    crop = config["input_size"][-1]
    return dataclasses.replace(
        default,
        resize=int(crop / config.get("crop_pct", 1.0)),
        crop=crop,
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _hub(content: dict[str, Any], default: Preparation) -> Preparation:
    size = content["size"]
    side = size if isinstance(size, int) else size.get("height", size.get("shortest_edge"))
    share = content.get("crop_pct")
    scale = content.get("rescale_factor", 1 / 255) if content.get("do_rescale", True) else 1
    if not abs(scale * 255 - 1) < 1e-3:
        raise ValueError(f"rescale_factor={shown(scale)} is not 1/255: other inputs than here")
    normal = content.get("do_normalize", True)
    number = content.get("resample", 2)
    return dataclasses.replace(
        default,
        resize=int(side / share) if share else 0,
        crop=side,
        interpolation=_FILTERS.get(number, number),
        mean=tuple(content["image_mean"]) if normal else PLAIN.mean,
        std=tuple(content["image_std"]) if normal else PLAIN.std,
    )
