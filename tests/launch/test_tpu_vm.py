"""TPU VMs: scripts that a shell can read; nothing of them was ever run on one."""

import subprocess
from pathlib import Path

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
