"""The accelerator's benchmark on tiny sizes: what it writes, and that failures cost little."""

import dataclasses
import json
import sys

import pytest

from benchmarks import accelerator
from benchmarks.accelerator_packs import modes
from benchmarks.accelerator_sections import heads
from benchmarks.accelerator_sizes import FULL, SMOKE
from benchmarks.accelerator_timing import with_shares
from jaxbias.costs.mode_table import read_table
from jaxbias.targets import KINDS


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["accelerator", *words])
    accelerator.main()


def test_a_section_measures_in_a_process_of_its_own(monkeypatch, tmp_path):
    out = tmp_path / "found.json"
    run(monkeypatch, "--smoke", "--only=metrics", f"--out={out}")
    found = json.loads(out.read_text())
    assert found["hardware"]["device"] == "cpu"
    section = found["metrics"]
    for name in ("0 replicates", f"{SMOKE.replicates} replicates"):
        assert section[name]["seconds"] > 0
        assert 0.5 < section[name]["mean_auc"] < 1
    assert "error" not in section
    assert list(tmp_path.iterdir()) == [out]


def test_a_pack_is_timed_by_step_and_variant():
    name, work = next(modes(SMOKE))
    assert name == "convnet, map"
    found = accelerator.outcome(work)
    small = SMOKE.small
    milliseconds = 1e3 * found["all_s"][0] / (small.width * small.steps)
    assert found["ms_per_variant_step"] == pytest.approx(milliseconds)
    assert found["images_per_second"] == pytest.approx(1e3 * small.batch / milliseconds)
    # Products of the convolutions and the head, forward and backward, less that of the pixels.
    assert 2e-4 < found["GFLOP_per_image"] < 2e-3


def test_heads_are_trained_by_both_solvers_in_both_modes():
    found = {name: accelerator.outcome(work) for name, work in heads(SMOKE)}
    assert len(found) == 4
    for name, row in found.items():
        assert "error" not in row and row["failed"] == 0, name
        assert 0.5 < row["auc"] < 1 and row["heads_per_second"] > 0


def test_what_modes_did_is_added_to_a_table(monkeypatch, tmp_path):
    table = tmp_path / "modes.json"
    rows = {"modes": iter([("hardware", {**_MACHINE}), ("convnet, map", _row(50.0))])}
    monkeypatch.setattr(accelerator, "run_section", lambda name, *rest: rows[name])
    run(monkeypatch, "--smoke", "--only=modes", f"--table={table}")
    (entry,) = read_table(table)
    assert (entry.device, entry.model, entry.predicted) == ("cpu", "convnet", False)
    assert (entry.image_size, entry.batch, entry.width, entry.devices) == (16, 4, 2, 1)
    assert entry.images_per_second == {"map": 50.0} and entry.compile_seconds == {"map": 1.0}


_MACHINE = {"device": "cpu", "devices": 1, "cores": 2, "processor": "any", "jax": "0"}


def _row(rate):
    small = dataclasses.asdict(SMOKE.small)
    return {**small, "convolution": "patches", "images_per_second": rate, "compile_s": 1.0}


def test_a_measurement_that_fails_leaves_one_line():
    def work():
        raise MemoryError("more than\nthere is")

    found = accelerator.outcome(work)
    assert found["error"] == "MemoryError: more than" and found["took_s"] >= 0


def test_what_was_measured_before_a_section_is_stopped_is_kept(monkeypatch, tmp_path):
    program = "import json, time; print(json.dumps({'measured': 'a', 'values': {'b': 1}}), flush=1)"
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}; time.sleep(60)"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    found = dict(accelerator.run_section("metrics", True, 1.5, str(tmp_path)))
    assert found["a"] == {"b": 1} and found["error"] == "stopped after 2 s"


def test_no_section_begins_when_the_budget_is_spent(monkeypatch, tmp_path):
    out = tmp_path / "found.json"
    run(monkeypatch, "--budget=1", "--only=packs,heads", f"--out={out}")
    found = json.loads(out.read_text())
    assert "not begun" in found["packs"]["error"] and "not begun" in found["heads"]["error"]


def test_an_unknown_section_is_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--only=pakcs")
    assert "no such section: pakcs" in capsys.readouterr().err


def test_shares_are_of_the_dense_peak(monkeypatch):
    peaks = dataclasses.replace(KINDS["H100"], flops=1e12, named="^cpu$")
    monkeypatch.setitem(KINDS, "a processor", peaks)
    found = with_shares({"images_per_second": 50.0, "GFLOP_per_image": 10.0}, "bfloat16")
    assert found["share_of_peak"] == 0.5 and found["TFLOP_per_second"] == 0.5


def test_widths_share_the_finetunes_out_evenly():
    for sizes in (FULL, SMOKE):
        assert all(sizes.finetunes % width == 0 for _, width in sizes.packs)
        assert all(subject.dtype in ("float32", "bfloat16") for subject in sizes.large)
