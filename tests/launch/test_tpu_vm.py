"""TPU VMs: scripts that a shell can read; nothing of them was ever run on one."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from launch.settings import LaunchSpec, TpuVmSpec
from launch.tpu_vm import settled

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py:smoke"
LAUNCH = f"--launch={ROOT}/launch/configs/tpu_vm.py"


def test_scripts_call_gcloud_as_they_are_meant_to(launch, programs, tmp_path):
    folder = tmp_path / "files"
    code, _, err = launch(
        *("render", "--engine=tpu_vm", QUICK, "--workdir=/study/run", LAUNCH, f"--out={folder}"),
        *("--launch.tpu_vm.project=p", "--launch.environment={'A': 'b c'}"),
    )
    assert (code, err) == (0, "")
    programs.make("gcloud", describe=(0, "ACTIVE"))
    for name in ("submit", "logs", "cancel"):
        subprocess.run(["sh", str(folder / f"{name}.sh")], check=True, timeout=60)
    create, state, copy, start, tail, delete = (call[3:] for call in programs.calls())
    assert create[:2] == ["queued-resources", "create"]
    assert {"--spot", "--accelerator-type=v5litepod-16", "--zone=us-west4-a"} < set(create)
    assert state[1] == "describe"
    assert copy[1] == "scp" and str(folder / "worker.sh") in copy and "--worker=all" in copy
    assert start[1] == "ssh" and "--worker=all" in start
    assert start[-1] == "--command=cd jaxbias && nohup sh worker.sh > worker.log 2>&1 &"
    assert tail[-1] == "--command=tail -n 20 jaxbias/worker.log"
    assert delete[:2] == ["queued-resources", "delete"]
    script = (folder / "worker.sh").read_text()
    assert "export TPU_PROCESS_BOUNDS=1,1,1\n" in script and "export A='b c'\n" in script
    assert "--config=config.py --workdir=/study/run\n" in script


@pytest.mark.parametrize(
    ("type_", "kind"),
    [("v5litepod-16", "v5e"), ("v5p-8", "v5p"), ("v6e-8", "v6e"), ("v4-32", "v4"), ("v9-8", "")],
)
def test_the_type_of_a_slice_says_what_its_chips_are(type_, kind):
    found = settled(LaunchSpec(tpu_vm=TpuVmSpec(type=type_)))
    assert (found.device, found.kind) == ("tpu", kind)


PRICED = ("render", "--engine=tpu_vm", QUICK, LAUNCH, "--launch.tpu_vm.project=p")


def test_a_kind_that_the_slice_has_not_is_refused(launch, tmp_path):
    words = (*PRICED, f"--workdir={tmp_path}/run", "--launch.kind=v5p", "--launch.price=1")
    code, out, err = launch(*words)
    assert (code, out) == (2, "")
    assert "launch.kind='v5p', but launch.tpu_vm.type='v5litepod-16' has chips of v5e" in err


@pytest.mark.skipif(find_spec("libtpu") is not None, reason="what it tells is below")
def test_with_a_price_what_a_launch_would_cost_is_said_beside_what_is_written(launch, tmp_path):
    code, out, err = launch(*PRICED, f"--workdir={tmp_path}/run", "--launch.price=1.2")
    assert code == 0, err
    *_, said = out.splitlines()
    assert " at 1.2 an hour: " in said
    assert said.endswith("at 10% of the peak rates of v5e, measured nowhere")


@pytest.mark.targets
@pytest.mark.skipif(find_spec("libtpu") is None, reason="libtpu is missing: make test-targets")
def test_by_the_compiler_of_its_chips_where_that_is_installed(launch, tmp_path):
    code, out, err = launch(*PRICED, f"--workdir={tmp_path}/run", "--launch.price=1.2")
    assert code == 0, err
    assert out.splitlines()[-1].endswith("predicted for v5e:2x2 by its compiler, run nowhere")
