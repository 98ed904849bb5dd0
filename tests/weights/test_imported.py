"""Imported weights on disk: recorded, fingerprinted, refused when they are not what they were."""

import json
import math
import re
import shutil

import jax
import numpy as np
import pytest
import safetensors.numpy
import tensorstore

from jaxbias.cli import command as cli
from jaxbias.errors import InputError
from jaxbias.models import make_network
from jaxbias.study import ModelSpec
from jaxbias.weights import (
    checkpoint,
    describe_imported,
    describe_text,
    import_weights,
    imported,
    load,
)
from jaxbias.weights.conversion import flat_names
from jaxbias.weights.imported import content_hash
from jaxbias.weights.preparations import HALF, IMAGENET, preparation_of
from tests.models.architectures import tiny_architectures  # noqa: F401
from tests.weights.seeded import seeded_arrays


@pytest.fixture(scope="module")
def spec_and_base(tmp_path_factory):
    spec = ModelSpec(widths=(4, 8))
    params = jax.tree.map(np.asarray, make_network(spec, 8, 3).init(jax.random.key(0)))
    base = tmp_path_factory.mktemp("run") / "base"
    checkpoint.save(base, params)
    return spec, base


@pytest.fixture
def vit_file(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, **seeded_arrays("vit_tiny", "big_vision", 3, 8))
    return path


def test_import_describe_and_load(vit_file, tmp_path, capsys):
    out = tmp_path / "out"
    flags = ["--arch=vit_tiny", "--source=big_vision", f"--file={vit_file}", f"--out={out}"]
    cli.main(["jaxbias", "weights", "import", *flags])
    said = capsys.readouterr().out
    assert "vit_tiny of big_vision, 3 classes" in said
    cli.main(["jaxbias", "weights", "describe", str(out)])
    assert "8² bilinear, mean 0.5, 0.5, 0.5" in capsys.readouterr().out
    found = describe_imported(out)
    params = load(found)
    assert found.content == content_hash(params)
    assert found.network(1).image_size == 8

    with pytest.raises(SystemExit) as exit:
        cli.main(["jaxbias", "weights", "import", *flags])
    assert exit.value.code == 2
    assert "there is something at" in capsys.readouterr().err

    record = json.loads((out / "weights.json").read_text())
    record["fingerprint"]["features"][0][0] += 1
    (out / "weights.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="features on fixed images differ"):
        load(describe_imported(out))
    record["content"] = "0" * 64
    (out / "weights.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="the weights are damaged"):
        load(describe_imported(out))

    damages = [
        ("{", "weights.json is damaged (Expecting property name"),
        (DEEP, "weights.json is damaged (nested too deeply); import the weights again"),
        ("[]", "weights.json is damaged, or of another version"),
        ({"format": 2}, "another version (format=2, not 1); import the weights again"),
        ({"arch": "resnet1"}, "--arch=resnet1 is unknown; did you mean 'resnet"),
        ({"source": []}, "another version ("),
        ({"classes": "3"}, "classes='3' is no int"),
        ({"content": None}, "content=None is no str"),
        ({"widths": [10**9]}, "widths=(1000000000,), stem='imagenet'"),
        ({"stem": "large"}, "stem='large'"),
        ({"recipe": {}}, "another version ("),
        (
            {"recipe": {**record["recipe"], "crop": 10**9}},
            "crop=1000000000 is no side of 1 to 2,048",
        ),
        ({"fingerprint": []}, "fingerprint=[] is no dict"),
    ]
    for change, said in damages:
        text = change if isinstance(change, str) else json.dumps({**record, **change})
        (out / "weights.json").write_text(text)
        with pytest.raises(InputError, match=re.escape(said)) as error:
            describe_imported(out)
        assert "\n" not in str(error.value)
    for prints in ({}, {"features": [[1.0]]}, {"features": [[1.0], "x"]}, {"features": None}):
        text = json.dumps({**record, "content": found.content, "fingerprint": prints})
        (out / "weights.json").write_text(text)
        with pytest.raises(InputError, match=r"weights.json is damaged \(fingerprint: .*; import"):
            load(describe_imported(out))


def test_names_too_long_for_any_file(vit_file, tmp_path):
    long = tmp_path / ("w" * 300)
    with pytest.raises(InputError, match=r"there is no file .*www"):
        describe_text(long.with_suffix(".npz"))
    with pytest.raises(InputError, match=r"www.* holds no imported weights"):
        describe_imported(long)
    with pytest.raises(InputError, match=r"cannot make the directory .*File name too long"):
        import_weights("vit_tiny", "big_vision", vit_file, long)


def test_a_file_that_does_not_fit_leaves_nothing_behind(vit_file, tmp_path):
    with pytest.raises(InputError, match="no big_vision's vit_block"):
        import_weights("vit_block", "big_vision", vit_file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_import_that_is_stopped_leaves_nothing_behind(vit_file, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(imported, "write_text", stopped)
    with pytest.raises(KeyboardInterrupt):
        import_weights("vit_tiny", "big_vision", vit_file, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [vit_file.name]


def test_describe_says_what_fits(vit_file, capsys):
    cli.main(["jaxbias", "weights", "describe", str(vit_file)])
    said = capsys.readouterr().out
    assert "fits --arch=vit_tiny --source=big_vision, 3 classes" in said
    assert said.count("fits --arch") == 1


def test_a_head_of_seven_classes_is_imported_and_its_dropping_noted(tmp_path, capsys):
    arrays = {f"module.{n}": v for n, v in seeded_arrays("resnet_tiny", "timm", 7, 32).items()}
    safe = tmp_path / "w.safetensors"
    safetensors.numpy.save_file(arrays, safe)
    note = "7 classes (studies drop this head: every finetune has its own)"
    cli.main(["jaxbias", "weights", "describe", str(safe)])
    said = capsys.readouterr().out
    alike = "--source=torchvision (or places365, timm: the same tensors)"
    assert f"fits --arch=resnet_tiny {alike}, {note}" in said
    out = tmp_path / "out"
    flags = ["--arch=resnet_tiny", "--source=torchvision", f"--file={safe}", f"--out={out}"]
    cli.main(["jaxbias", "weights", "import", *flags])
    assert f"{out}: resnet_tiny of torchvision, {note}" in capsys.readouterr().out
    assert describe_imported(out).classes == 7


def test_preprocessing_travels(tmp_path):
    """The released file is known by its hash; timm and transformers write theirs beside it."""
    file = tmp_path / "w.npz"
    assert (
        preparation_of(IMAGENET, file, "11ad3fa6" + "0" * 56, "torchvision", "resnet50").resize
        == 232
    )
    assert preparation_of(IMAGENET, file, "0" * 64, "torchvision", "resnet50") == IMAGENET
    config = {
        "pretrained_cfg": {
            "input_size": [3, 224, 224],
            "crop_pct": 0.95,
            "interpolation": "bicubic",
            "mean": [0.1, 0.2, 0.3],
            "std": [1, 1, 1],
        }
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    got = preparation_of(IMAGENET, file, "", "timm", "resnet50")
    assert (got.resize, got.crop, got.mean) == (235, 224, (0.1, 0.2, 0.3))
    assert "instead of the central 95% of the side" in got.differences(224)
    assert "images of 64² pixels are resized to 224²" in got.differences(64)
    hub = {"size": {"height": 32, "width": 32}, "resample": 2, "image_mean": [0, 0, 0]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**hub, "image_std": [1, 1, 1]}))
    assert preparation_of(HALF, file, "", "huggingface", "vit_b_16").differences(32) == ""
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(hub))
    with pytest.raises(
        InputError, match=r"are prepared .it lacks 'image_std'.; fetch it again, or"
    ):
        preparation_of(HALF, file, "", "huggingface", "vit_b_16")
    plain = {**hub, "do_normalize": False, "image_std": None}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(plain))
    assert preparation_of(HALF, file, "", "huggingface", "vit_b_16").std == (1.0, 1.0, 1.0)


def test_the_file_beside_tells_networks_of_the_same_tensors_apart(tmp_path):
    content = {"architecture": "tf_efficientnet_lite0", "pretrained_cfg": TIMM}
    (tmp_path / "config.json").write_text(json.dumps(content))
    file = tmp_path / "w.safetensors"
    assert preparation_of(HALF, file, "", "timm", "tf_efficientnet_lite0").crop == 8
    with pytest.raises(InputError, match="of tf_efficientnet_lite0: give --arch=tf_efficientnet_l"):
        preparation_of(HALF, file, "", "timm", "efficientnet_lite0")


TIMM = {"input_size": [3, 8, 8], "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3}
HUB = {"size": 8, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("source", "content", "said"),
    [
        (
            "timm",
            DEEP,
            "config.json is damaged (nested too deeply); fetch it again, or move it away",
        ),
        ("timm", '{"pretrained_cfg": ' + DEEP, "config.json is damaged (nested too deeply)"),
        (
            "timm",
            "<html>",
            "config.json is damaged (Expecting value: line 1 column 1 (char 0)); fet",
        ),
        ("timm", "[]", "config.json does not say how images are prepared"),
        ("timm", {}, "it lacks 'pretrained_cfg'"),
        ("timm", {"pretrained_cfg": None}, "does not say how images are prepared"),
        ("timm", {"crop_pct": 0}, "(division by zero)"),
        ("timm", {"crop_pct": 1e-300}, "resize="),
        ("timm", {"input_size": []}, "(list index out of range)"),
        (
            "timm",
            {"input_size": [3, 8, 10**9]},
            "resize=1000000000 is no side of 0 to 2,048 pixels",
        ),
        ("timm", {"input_size": [3, 8, "8"]}, "does not say how images are prepared"),
        ("timm", {"interpolation": "magic"}, "interpolation='magic' is none of Pillow's"),
        ("timm", {"mean": [0.5, 0.5]}, "mean=(0.5, 0.5) is not three numbers of 0 to 1"),
        ("timm", {"mean": [124, 116, 104]}, "mean=(124, 116, 104) is not three numbers of 0 to 1"),
        ("timm", {"mean": "abc"}, "mean=('a', 'b', 'c') is not three numbers"),
        ("timm", {"std": [0.5, 0, 0.5]}, "std=(0.5, 0, 0.5) is not three numbers of 0.001 to 1"),
        ("timm", {"std": [0.5, math.nan, 0.5]}, "std=(0.5, nan, 0.5) is not three numbers"),
        ("timm", {"std": ["x" * 10**6] * 3}, "std=('xxx"),
        ("huggingface", {"size": {"longest_edge": 8}}, "crop=None is no side of 1 to 2,048 pixels"),
        ("huggingface", {"size": True}, "crop=True is no side"),
        ("huggingface", {"resample": 99}, "interpolation=99 is none of Pillow's"),
        ("huggingface", {"resample": []}, "does not say how images are prepared"),
        ("huggingface", {"rescale_factor": 1 / 127.5}, "is not 1/255: other inputs than here"),
        ("huggingface", {"do_rescale": False}, "rescale_factor=1 is not 1/255"),
    ],
)
def test_preprocessing_that_cannot_be_is_one_line(tmp_path, source, content, said):
    name, whole = {
        "timm": ("config.json", lambda c: {"pretrained_cfg": {**TIMM, **c}}),
        "huggingface": ("preprocessor_config.json", lambda c: {**HUB, **c}),
    }[source]
    if content and isinstance(content, dict) and "pretrained_cfg" not in content:
        content = whole(content)
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=re.escape(said)) as error:
        preparation_of(HALF, tmp_path / "w.safetensors", "", source, "vit_b_16")
    assert str(error.value).startswith(str(tmp_path / name))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    "spec", [ModelSpec(widths=(4, 8)), ModelSpec(name="resnet_tiny", stem="small")]
)
def test_a_base_of_a_study_becomes_weights(spec, tmp_path):
    network = make_network(spec, 8, 3)
    params = jax.tree.map(np.asarray, jax.jit(network.init)(jax.random.key(0)))
    base = tmp_path / "run" / "bases" / "abc"
    checkpoint.save(base, params)
    with pytest.raises(InputError, match="give a base of a result directory"):
        import_weights(spec.name, "jaxbias", base, tmp_path / "out")
    for record, said in (
        (
            DEEP,
            "study.json is damaged (nested too deeply); give a base of a whole result directory",
        ),
        ("{}", "study.json does not say the side of its images ('settings'); give a base of"),
        ('{"settings": {"data": {"image_size": 1e9}}}', "side of its images (crop=1000000000.0"),
    ):
        (tmp_path / "run" / "study.json").write_text(record)
        with pytest.raises(InputError, match=re.escape(said)):
            import_weights(spec.name, "jaxbias", base, tmp_path / "out")
    study = {"settings": {"data": {"image_size": 8}}}
    (tmp_path / "run" / "study.json").write_text(json.dumps(study))
    imported, _ = import_weights(spec.name, "jaxbias", base, tmp_path / "out")
    assert imported.spec.content == spec.content
    assert imported.preparation.differences(8) == ""
    assert imported.network(3).preprocessing == network.preprocessing
    jax.tree.map(np.testing.assert_array_equal, load(imported), params)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("_CHECKPOINT_METADATA", DEEP),
        ("state/_METADATA", DEEP),
        ("state/_METADATA", ""),
        ("state/_METADATA", '{"a": 1}'),
    ],
)
def test_a_damaged_checkpoint_is_one_line(spec_and_base, tmp_path, name, content, capsys):
    spec, base = spec_and_base
    damaged = tmp_path / "run" / "bases" / "damaged"
    shutil.copytree(base, damaged)
    (tmp_path / "run" / "study.json").write_text('{"settings": {"data": {"image_size": 8}}}')
    (damaged / name).write_text(content)
    with pytest.raises(InputError, match="give a base of a whole result directory") as error:
        import_weights(spec.name, "jaxbias", damaged, tmp_path / "out")
    assert len(str(error.value)) < 700
    assert not (tmp_path / "out").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_parameters_of_a_declared_size_that_is_not_read(spec_and_base, tmp_path):
    """64 GiB of zeros, of which nothing is stored."""
    spec, base = spec_and_base
    huge = tmp_path / "run" / "bases" / "huge"
    shutil.copytree(base, huge)
    (tmp_path / "run" / "study.json").write_text('{"settings": {"data": {"image_size": 8}}}')
    grid = {"name": "regular", "configuration": {"chunk_shape": [2**20]}}
    metadata = {"shape": [2**34], "data_type": "float32", "chunk_grid": grid}
    store = {"driver": "ocdbt", "base": f"file://{huge}/state/", "path": "head.bias/"}
    array = {"driver": "zarr3", "kvstore": store, "metadata": metadata}
    tensorstore.open(array, create=True, delete_existing=True).result()
    with pytest.raises(InputError, match=r"its parameters would take 64.0 GiB, and at most 4 GiB"):
        import_weights(spec.name, "jaxbias", huge, tmp_path / "out")


def test_names_are_sorted_paths():
    named = flat_names({"b": {1: np.zeros(1), 0: np.ones(1)}, "a": np.zeros(2)})
    assert list(named) == ["a", "b/0", "b/1"]
