"""The worked examples of launch/README.md run as they stand; the local one in test_local.py."""

from pathlib import Path

import pytest

from launch.__main__ import LAUNCH
from tests.launch.worked import PAGE, examples

ROOT = Path(__file__).parents[2]
STANDING_IN = ("Slurm", "Ray", "Kubernetes", "TPU VMs")


def test_every_engine_and_every_verb_has_its_example():
    assert [*examples("")] == ["On this machine", *STANDING_IN]
    for verb in LAUNCH.commands:
        assert f"\n| `{verb}` | " in PAGE
    said = {words[0] for calls in examples("").values() for words in calls}
    assert said == set(LAUNCH.commands)


@pytest.mark.parametrize("heading", STANDING_IN)
def test_examples_run(launch, programs, tmp_path, monkeypatch, heading):
    monkeypatch.chdir(ROOT)
    for words in examples(tmp_path)[heading]:
        code, out, err = launch(*words)
        assert (code, err) == (0, "")
        if words[0] == "render":
            for path in out.splitlines():
                assert path.startswith(str(tmp_path)) and Path(path).is_file()
    started = {"Slurm": "sbatch", "Ray": "ray", "Kubernetes": "kubectl", "TPU VMs": None}[heading]
    called = {call[0] for call in programs.calls()}
    assert started in called if started else not called


def test_the_job_that_is_shown_is_the_one_that_is_rendered(launch, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    render = next(words for words in examples(tmp_path)["Kubernetes"] if words[0] == "render")
    manifest = Path(launch(*render)[1].splitlines()[0]).read_text()
    shown = PAGE.partition("```yaml\n")[2].partition("```")[0]
    assert shown.startswith("spec:\n") and manifest.endswith(shown)
