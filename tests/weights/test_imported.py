"""Imported weights on disk: recorded, fingerprinted, refused when they are not what they were."""

import json

import jax
import numpy as np
import pytest

from jaxbias import checkpoint, cli
from jaxbias.errors import InputError
from jaxbias.models import make_network
from jaxbias.study import ModelSpec
from jaxbias.weights import describe_imported, import_weights, load
from jaxbias.weights.convert import flat_names
from jaxbias.weights.imported import content_hash
from jaxbias.weights.recipes import HALF, IMAGENET, recipe_of
from tests.models.architectures import tiny_architectures  # noqa: F401
from tests.weights.seeded import seeded_arrays


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
    imported = describe_imported(out)
    params = load(imported)
    assert imported.content == content_hash(params)
    assert imported.network(1).image_size == 8

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
    (out / "weights.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        describe_imported(out)


def test_a_file_that_does_not_fit_leaves_nothing_behind(vit_file, tmp_path):
    with pytest.raises(InputError, match="no big_vision's vit_block"):
        import_weights("vit_block", "big_vision", vit_file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_describe_says_what_fits(vit_file, capsys):
    cli.main(["jaxbias", "weights", "describe", str(vit_file)])
    said = capsys.readouterr().out
    assert "fits --arch=vit_tiny --source=big_vision, 3 classes" in said
    assert said.count("fits --arch") == 1


def test_preprocessing_travels(tmp_path):
    """The released file is known by its hash; timm and transformers write theirs beside it."""
    file = tmp_path / "w.npz"
    assert recipe_of(IMAGENET, file, "11ad3fa6" + "0" * 56, "torchvision").resize == 232
    assert recipe_of(IMAGENET, file, "0" * 64, "torchvision") == IMAGENET
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
    got = recipe_of(IMAGENET, file, "", "timm")
    assert (got.resize, got.crop, got.mean) == (235, 224, (0.1, 0.2, 0.3))
    assert "instead of the central 95% of the side" in got.differences(224)
    assert "images of 64² pixels are resized to 224²" in got.differences(64)
    hub = {"size": {"height": 32, "width": 32}, "resample": 2, "image_mean": [0, 0, 0]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**hub, "image_std": [1, 1, 1]}))
    assert recipe_of(HALF, file, "", "huggingface").differences(32) == ""
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(hub))
    with pytest.raises(InputError, match="does not say how images are prepared"):
        recipe_of(HALF, file, "", "huggingface")


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
    study = {"settings": {"data": {"image_size": 8}}}
    (tmp_path / "run" / "study.json").write_text(json.dumps(study))
    imported, _ = import_weights(spec.name, "jaxbias", base, tmp_path / "out")
    assert imported.spec.content == spec.content
    assert imported.recipe.differences(8) == ""
    assert imported.network(3).preprocessing == network.preprocessing
    jax.tree.map(np.testing.assert_array_equal, load(imported), params)


def test_names_are_sorted_paths():
    named = flat_names({"b": {1: np.zeros(1), 0: np.ones(1)}, "a": np.zeros(2)})
    assert list(named) == ["a", "b/0", "b/1"]
