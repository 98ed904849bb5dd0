"""The benchmark of targets: a row by the roofline, and what is measured is not measured again."""

import json
import sys
from types import SimpleNamespace

import pytest

from benchmarks import targets
from jaxbias.targets import KINDS


def test_without_a_compiler_a_row_is_the_roofline():
    row = targets.apart("head", "map", "l4")
    assert (row["chip"], row["basis"]) == ("NVIDIA L4", "roofline")
    assert row.keys() == {"chip", "basis", "step_ms", "images_s", "of_peak"}
    # A step reads and writes at least the features and the head of 512.
    least = targets.BATCH * targets.FEATURES * 4 / KINDS["L4"].bandwidth
    assert row["step_ms"] >= round(1e3 * least, 4)
    assert row["images_s"] == pytest.approx(targets.BATCH / row["step_ms"] * 1e3, rel=0.5)


def test_rows_that_are_there_are_not_measured_again(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(targets, "apart", lambda *row: asked.append(row) or {"step_ms": 1.0})
    out = tmp_path / "t.json"
    known = {"step_ms": 2.0}
    out.write_text(json.dumps({"hardware": {}, "rows": {"head map v5e": known}}))
    words = ["t", "--only=head", "--modes=map,vmap", "--targets=v5e", f"--out={out}"]
    monkeypatch.setattr(sys, "argv", words)
    targets.main()
    assert asked == [("head", "vmap", "v5e:2x2")]
    rows = json.loads(out.read_text())["rows"]
    assert rows == {"head map v5e": known, "head vmap v5e": {"step_ms": 1.0}}


@pytest.mark.parametrize("compilers", [{"libtpu": "0.1"}, {}])
def test_it_says_which_compilers_there_were(compilers, monkeypatch, tmp_path):
    found = [SimpleNamespace(name=name, version=is_) for name, is_ in compilers.items()]
    monkeypatch.setattr(targets.metadata, "distributions", lambda: found)
    monkeypatch.setattr(targets, "hardware", lambda: {"cores": 2})
    monkeypatch.setattr(targets, "apart", lambda *row: {"step_ms": 1.0})
    out = tmp_path / "t.json"
    monkeypatch.setattr(sys, "argv", ["t", "--only=head", "--targets=h100", f"--out={out}"])
    targets.main()
    assert json.loads(out.read_text())["hardware"] == {"cores": 2, **compilers}


def test_programs_are_of_the_networks_that_are_named():
    assert targets.program_of("head", "map").model.inputs == targets.FEATURES
    program = targets.program_of("convnet", "vmap")
    assert (program.scored, program.n, program.batch) == (20000, 1024, 64)
    assert program.model.spec.widths == targets.WIDTHS
    assert (targets.width_of("head"), targets.width_of("vit_b_16")) == (256, 4)
