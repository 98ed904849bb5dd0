"""The launcher, called in this process, among stand-ins for the programs of engines."""

import pytest

from jaxbias.cli import command
from launch.__main__ import LAUNCH
from tests.launch.programs import Programs


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Stand-ins of all programs that an engine could start: no test reaches a cluster."""
    found = Programs(tmp_path / "programs", monkeypatch)
    for name in ("sbatch", "squeue", "scancel", "scontrol", "ray", "kubectl", "gcloud"):
        found.make(name)
    return found


@pytest.fixture
def launch(capsys, programs):
    """Calls the launcher in this process; returns its exit code, stdout and stderr."""

    def call(*words):
        try:
            command.main(["launch", *map(str, words)], LAUNCH)
            code = 0
        except SystemExit as stop:
            code = stop.code
        out = capsys.readouterr()
        return code, out.out, out.err

    return call
