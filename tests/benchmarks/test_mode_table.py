"""The table of modes that comes with jaxbias is of the committed results, to the digit."""

import json

import pytest

from benchmarks import mode_table
from jaxbias.costs.mode_table import read_table
from jaxbias.targets import kind_of, target


def test_it_is_of_the_committed_results():
    assert read_table(mode_table.TABLE) == mode_table.entries()
    assert target().platform == "cpu"


def test_a_measured_entry_is_what_the_card_did():
    entry = next(each for each in read_table(mode_table.TABLE) if each.model == "convnet")
    # Copied from accelerator_second.json by hand.
    assert entry.images_per_second == {"map": 180400.0, "vmap": 936700.0}
    assert entry.compile_seconds == {"map": 3.43, "vmap": 8.91}
    assert (entry.image_size, entry.batch, entry.width, entry.dtype) == (64, 64, 16, "float32")
    assert (entry.device, entry.jax, entry.predicted) == ("NVIDIA H100 80GB HBM3", "0.11.2", False)
    assert entry.hardware.startswith("1 × NVIDIA H100 80GB HBM3 on 16 cores of Intel")


def test_an_entry_is_of_the_newest_run_that_took_several_modes():
    """The newest run has ViT-S by "map" alone, the one before by both."""
    measured = [each for each in read_table(mode_table.TABLE) if not each.predicted]
    by_model = {each.model: each.images_per_second for each in measured}
    assert by_model["resnet50"] == {"map": 4138.0, "vmap": 3752.0}
    assert by_model["vit_s_16"] == {"map": 2665.0, "vmap": 3304.0}
    assert len({each.subject for each in measured}) == len(measured)


def test_a_measurement_that_failed_is_no_entry():
    found = json.loads((mode_table.RESULTS / "accelerator_second.json").read_text())
    assert "error" in found["heads"]["10000 heads, sgd, vmap"]
    heads = [each.trains for each in mode_table.measured(found) if each.model == "head"]
    assert heads == ["head lbfgs"]


def test_of_large_images_the_rows_are_those_of_the_convolutions_that_a_run_would_take():
    """By hand from accelerator_224.json, which has EfficientNet by "map" both ways."""
    table = [each for each in read_table(mode_table.TABLE) if not each.predicted]
    measured = {each.model: each.images_per_second for each in table if each.image_size == 224}
    assert measured["tf_efficientnet_lite0"] == {"map": 3907.0, "vmap": 2403.0}
    assert measured["vit_s_16"] == {"map": 2665.0, "vmap": 3304.0}


def test_heads_are_counted_by_the_examples_that_they_pass():
    found = json.loads((mode_table.RESULTS / "accelerator.json").read_text())
    of_heads = [each for each in mode_table.measured(found) if each.model == "head"]
    by_sgd, fitted = (entry.images_per_second for entry in of_heads)
    # 6,178 and 18,942 heads a second, of 1,024 examples, eight times and once.
    assert by_sgd["vmap"] == pytest.approx(6178 * 1024 * 8, rel=1e-3)
    assert fitted["vmap"] == pytest.approx(18942 * 1024, rel=1e-3)


def test_what_was_predicted_is_marked_so_and_of_tpus_alone():
    entries = [each for each in read_table(mode_table.TABLE) if each.predicted]
    assert entries and {kind_of(each.device) for each in entries} <= {"v5e", "v5p"}
    assert all("as its compiler expects" in each.hardware for each in entries)
    assert not any(each.predicted for each in read_table(mode_table.TABLE) if "H100" in each.device)
