"""Slurm as its programs are called: arrays, their size, what is missing; see test_slurmctld.py."""

import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py:smoke"


@pytest.fixture
def words(tmp_path):
    return ("--engine=slurm", f"--workdir={tmp_path}/run")


def named(calls, program):
    return [call[1:] for call in calls if call[0] == program]


@pytest.mark.parametrize(
    ("limit", "workers", "arrays"),
    [
        ("MaxArraySize            = 1001", 3, ["0-2"]),
        ("MaxArraySize            = 5", 12, ["0-4", "0-4", "0-1"]),
        ("MaxJobCount             = 5", 2500, ["0-1000", "0-1000", "0-497"]),
    ],
)
def test_no_array_is_larger_than_the_cluster_takes(launch, programs, words, limit, workers, arrays):
    programs.make("scontrol", show_config=(0, f"Configuration data\n{limit}\n"))
    code, out, _ = launch("submit", *words, QUICK, f"--launch.workers={workers}")
    assert code == 0
    assert f"{workers:,} workers submitted" in out
    submitted = named(programs.calls(), "sbatch")
    assert [options[1] for options in submitted] == [f"--array={array}" for array in arrays]
    launch("render", *words, QUICK, f"--launch.workers={workers}")
    script = Path(submitted[0][2]).with_name("submit.sh").read_text()
    assert [shlex.split(line)[1:] for line in script.splitlines()[1:]] == submitted


def test_as_many_are_submitted_again_as_are_missing(launch, programs, words):
    programs.make("squeue", noheader=(0, "7_0\n7_3"))
    code, out, _ = launch("resubmit", *words, QUICK, "--launch.workers=5")
    assert code == 0 and "3 workers submitted" in out
    calls = programs.calls()
    assert [options[1] for options in named(calls, "sbatch")] == ["--array=0-2"]
    (asked,) = named(calls, "squeue")
    name = next(word for word in asked if word.startswith("--name="))
    assert {"--me", "--array"} < set(asked)
    programs.make("squeue", noheader=(0, "7_0\n7_1"))
    assert "nothing is missing" in launch("resubmit", *words, QUICK, "--launch.workers=2")[1]
    assert named(programs.calls(), "sbatch") == []
    code, _, err = launch("submit", *words, QUICK)
    assert code == 2 and "has 2 workers already; `resubmit` starts those" in err
    assert launch("cancel", *words)[0] == 0
    assert named(programs.calls(), "scancel") == [["--me", name]]


def test_the_script_asks_for_what_a_worker_needs(launch, tmp_path, words):
    launch(
        *("render", *words, QUICK, "--launch.device=gpu", "--launch.devices=2"),
        *("--launch.memory_gib=8", "--launch.slurm.minutes=90", "--launch.slurm.partition=fast"),
        *("--launch.slurm.options=('--constraint=a100',)", "--launch.environment={'A': \"it's\"}"),
    )
    script = (tmp_path / "run/launch/slurm/worker.sh").read_text().splitlines()
    asked = {line.removeprefix("#SBATCH ") for line in script if line.startswith("#SBATCH")}
    assert asked >= {
        *("--gpus-per-task=2", "--cpus-per-task=4", "--mem=8G", "--time=90", "--partition=fast"),
        *("--constraint=a100", "--requeue", f"--output={tmp_path}/run/launch/slurm/%A_%a.log"),
    }
    assert "--account=" not in " ".join(asked)
    assert "export A='it'\"'\"'s'" in script
    assert (
        script[-1].startswith("exec ") and f"-m launch.worker {tmp_path}/run 3 10.0 " in script[-1]
    )
    launch("render", *words, QUICK, "--launch.devices=6")
    text = (tmp_path / "run/launch/slurm/worker.sh").read_text()
    assert "--cpus-per-task=6\n" in text and "gpus" not in text
    assert "export JAX_NUM_CPU_DEVICES=6\n" in text


def test_what_slurm_refuses_is_told_in_one_line(launch, programs, words):
    programs.make("sbatch", parsable=(1, "sbatch: error: invalid partition specified: fats"))
    code, _, err = launch("submit", *words, QUICK)
    assert code == 2
    assert err.count("\n") == 1
    assert "failed (1): sbatch: error: invalid partition specified: fats" in err


def test_where_there_is_no_slurm_rendering_is_advised(launch, words, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, err = launch("submit", *words, QUICK)
    assert code == 2
    assert "'squeue' cannot be run here" in err and "render" in err


def test_logs_are_the_last_lines_of_every_worker(launch, tmp_path, words):
    folder = tmp_path / "run/launch/slurm"
    folder.mkdir(parents=True)
    (folder / "7_0.log").write_text("".join(f"line {i}\n" for i in range(100)))
    (folder / "7_1.log").write_bytes(b"odd \xff\n")
    out = launch("logs", *words)[1]
    assert "line 79" not in out and "line 80\n" in out and "line 99\n" in out
    assert out.count("==> ") == 2
