"""Features and logits of whole imported networks against PyTorch's own, in float32."""

import dataclasses
import importlib.util

import jax
import numpy as np
import pytest
from flax import traverse_util

_ABSENT = [
    name
    for name in ("torch", "torchvision", "timm", "transformers")
    if importlib.util.find_spec(name) is None
]
if _ABSENT:
    reason = (
        f"compares with PyTorch's own models and needs {', '.join(_ABSENT)}; see test_golden.py"
    )
    pytest.skip(reason, allow_module_level=True)

from jaxbias.weights import SOURCES, convert  # noqa: E402
from jaxbias.weights.conversion import entries_of  # noqa: E402
from jaxbias.weights.files import read_tensors  # noqa: E402
from jaxbias.weights.imported import fixed_images  # noqa: E402
from tests.weights.pytorch import build, inputs, logits_of, torch  # noqa: E402
from tests.weights.seeded import CLASSES, noise  # noqa: E402

pytestmark = pytest.mark.parity
CASES = [
    ("resnet18", "torchvision", 64),
    ("resnet34", "torchvision", 64),
    ("resnet50", "torchvision", 64),
    ("resnet101", "torchvision", 64),
    ("vit_b_16", "torchvision", 48),
    ("resnet50", "timm", 64),
    ("vit_ti_16", "timm", 48),
    ("vit_s_16", "timm", 48),
    ("resnet18", "huggingface", 64),
    ("resnet50", "huggingface", 64),
    ("vit_s_16", "huggingface", 48),
    # Of 66² images some layers have odd sides, which TensorFlow pads otherwise than even ones.
    ("efficientnet_lite0", "timm", 64),
    ("efficientnet_lite2", "timm", 66),
    ("tf_efficientnet_lite0", "timm", 64),
    ("tf_efficientnet_lite1", "timm", 64),
    ("tf_efficientnet_lite2", "timm", 66),
    ("tf_efficientnet_lite3", "timm", 64),
    ("tf_efficientnet_lite4", "timm", 64),
]
# A ViT has no BatchNorm: it computes in training what it does in evaluation. Of the lites two have
# every kind of layer.
TRAINED = [case for case in CASES if case[0].startswith("resnet") or case[0].endswith("lite0")]


def close(got, want, tolerance=1e-4, least=0.0):
    """Within a share of the largest value; of values all below `least`, within a share of that."""
    want = want.detach().numpy()
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(np.abs(want).max(), least))


def _distance(got, want):
    return (got.double() - want).abs().max() / want.abs().max()


def quick(fn, *args):
    return jax.jit(fn, compiler_options={"xla_backend_optimization_level": 0})(*args)


def converted_of(model, arch, source, size, dtype=np.float32):
    """The network of a PyTorch model's state; its parameters read in a dtype."""
    arrays = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    converted = convert(arrays, arch, source)
    sized = dataclasses.replace(converted.network.preprocessing, size=size)
    network = dataclasses.replace(converted.network, preprocessing=sized)
    entries = entries_of(network, source)
    tensors, _ = SOURCES[source].clean(arrays)
    flat = {path: entry.take(tensors, dtype) for path, entry in entries.items()}
    return converted, network, traverse_util.unflatten_dict(flat)


@pytest.mark.parametrize(("arch", "source", "size"), CASES)
def test_evaluation_agrees_with_pytorch(arch, source, size):
    classes = CLASSES.get(source, 7)
    model, features = build(arch, source, classes, size)
    converted, network, params = converted_of(model, arch, source, size)
    jax.tree.map(np.testing.assert_array_equal, params, converted.params)
    assert converted.classes == classes
    images = fixed_images(size)
    x = inputs(images, converted.preparation)
    with torch.no_grad():
        close(quick(network.features, params, images), features(x))
        close(quick(network.logits, params, images), logits_of(model, x))


@pytest.mark.parametrize(("arch", "source", "size"), TRAINED)
def test_training_agrees_with_pytorch(arch, source, size):
    """In float64 logits, gradients and statistics to 1e-8.

    In float32 logits are within 1e-4 of PyTorch's in float64, or no further than PyTorch's own:
    rounding grows through a hundred norms over few positions (to 4e-4 in its ResNet-101).
    """
    classes = CLASSES.get(source, 7)
    images = noise(size)
    model, _ = build(arch, source, classes, size)
    converted, network, params = converted_of(model, arch, source, size)
    x = inputs(images, converted.preparation)

    def forward(params):
        return network.train_logits(network.partition(params, "full"), images, "full")[0]

    with torch.no_grad():
        narrow = logits_of(model.train(), x)

    model, _ = build(arch, source, classes, size)
    model = model.double().train()
    with jax.enable_x64(True):
        parts = network.partition(converted_of(model, arch, source, size, np.float64)[2], "full")

        def loss(trained):
            now = parts._replace(trained=trained)
            logits, statistics = network.train_logits(now, images, "full")
            return (logits**2).mean(), (logits, statistics)

        gradients, (logits, statistics) = quick(jax.grad(loss, has_aux=True), parts.trained)
        expected = logits_of(model, inputs(images, converted.preparation, torch.float64))
        (expected**2).mean().backward()
        close(logits, expected, 1e-8)
        truth = expected.detach()
        close(quick(forward, params), truth, max(1e-4, float(_distance(narrow, truth))))
        after = network.partition(converted_of(model, arch, source, size, np.float64)[2], "full")
        for path, want in after.statistics.items():
            close(statistics[path], torch.from_numpy(want), 1e-8)
        slopes = {name: p.grad for name, p in model.named_parameters()}
        model.load_state_dict({**model.state_dict(), **slopes})
        wanted = converted_of(model, arch, source, size, np.float64)[2]
        slopes = network.partition(wanted, "full").trained
        # What EfficientNets add before a norm has no gradient: both find the rounding of 0.
        most = max(np.abs(want).max() for want in slopes.values())
        least = 1e-6 * most if arch.endswith("lite0") else 0.0
        for path, want in slopes.items():
            close(gradients[path], torch.from_numpy(want), 1e-8, least)


@pytest.mark.parametrize("arch", ["resnet18", "vit_ti_16"])
def test_files_that_transformers_writes(arch, tmp_path):
    """Its files have other names than its models have in memory."""
    model, _ = build(arch, "huggingface", 7, 48)
    model.save_pretrained(tmp_path)
    tensors = read_tensors(tmp_path / "model.safetensors")
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    expected = convert(arrays, arch, "huggingface")
    got = convert(tensors.arrays, arch, "huggingface")
    jax.tree.map(np.testing.assert_array_equal, got.params, expected.params)
