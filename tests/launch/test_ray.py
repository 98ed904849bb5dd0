"""Ray as its program is called: what is set aside and sent, what is missing; see the cluster's."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py:smoke"


@pytest.fixture
def words(tmp_path):
    return ("--engine=ray", f"--workdir={tmp_path}/run")


def job(name, status, workers, number=0):
    metadata = {"job_name": name, "workers": str(workers)} if name else None
    return {
        "submission_id": f"raysubmit_{number}",
        "job_id": None if status == "PENDING" else f"0{number}000000",
        "status": status,
        "start_time": number,
        "metadata": metadata,
    }


def jobs(*listed):
    return 0, json.dumps(listed)


@pytest.mark.parametrize(
    ("asked", "options", "environment"),
    [
        ((), {"num_cpus": 1}, {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}),
        (
            ("--launch.devices=3", "--launch.environment={'JAX_PLATFORMS': 'x'}"),
            {"num_cpus": 3},
            {"JAX_PLATFORMS": "x", "JAX_NUM_CPU_DEVICES": "3"},
        ),
        (
            ("--launch.device=gpu", "--launch.devices=2", "--launch.memory_gib=8"),
            {"num_cpus": 4, "num_gpus": 2, "memory": 8 * 2**30},
            {},
        ),
        (
            ("--launch.device=tpu", "--launch.devices=4", "--launch.cpus=9"),
            {"num_cpus": 9, "resources": {"TPU": 4}},
            {},
        ),
    ],
)
def test_what_is_set_aside_for_a_worker(launch, words, tmp_path, asked, options, environment):
    code, out, err = launch(
        "render", *words, QUICK, *asked, "--launch.ray.pip=('jax[cuda13]',)", "--launch.workers=5"
    )
    assert (code, err) == (0, "")
    folder = tmp_path / "run/launch/ray"
    names = ("config.py", "runtime_env.yaml", "submit.sh")
    assert out.split() == [str(folder / name) for name in names]
    runtime = yaml.safe_load((folder / "runtime_env.yaml").read_text())
    assert runtime["env_vars"] == environment and runtime["pip"] == ["jax[cuda13]"]
    assert {Path(path).name for path in runtime["py_modules"]} == {"jaxbias", "launch"}
    for path in runtime["py_modules"]:
        assert (Path(path) / "__init__.py").is_file()
    call, run = (folder / "submit.sh").read_text().splitlines()[1].split(" -- ")
    assert f"--working-dir={folder}" in shlex.split(call)  # Where config.py is.
    run = shlex.split(run)
    assert run[:4] == ["python", "-m", "launch.ray_workers", "5"]
    assert json.loads(run[4]) == options
    assert run[5:8] == ["python", "-m", "launch.worker"]
    assert "--config=config.py" in run and f"--workdir={tmp_path}/run" in run


def test_the_rest_of_the_workers_is_submitted(launch, programs, words, tmp_path):
    launch("render", *words, QUICK)
    [metadata] = [
        json.loads(word.partition("=")[2])
        for word in shlex.split((tmp_path / "run/launch/ray/submit.sh").read_text())
        if word.startswith("--metadata-json=")
    ]
    name = metadata["job_name"]
    listed = jobs(
        job(name, "FAILED", 9, 1),
        job(name, "RUNNING", 3, 2),
        job(name, "PENDING", 2, 3),
        job("another", "RUNNING", 5, 4),
        job(None, "RUNNING", 0, 5),
    )
    one_is_dead = (0, json.dumps([{"actor_id": "1"}]))
    told = (0, "said" + "\nsaid" * 200)
    programs.make("ray", list_jobs=listed, list_actors=one_is_dead, job_logs=told)
    address = "--launch.ray.address=http://head:8265"
    submit = (*words, QUICK, "--launch.workers=6", address)
    code, _, err = launch("submit", *submit)
    assert code == 2 and "has 4 workers already" in err
    programs.calls()
    assert "2 workers submitted" in launch("resubmit", *submit)[1]
    _, asked, submitted = programs.calls()
    assert {"--filter=job_id=02000000", "--filter=state=DEAD", "--address=http://head:8265"} <= {
        *asked
    }
    assert submitted[1:4] == ["job", "submit", "--address=http://head:8265"]
    assert json.loads(submitted[7].partition("=")[2])["workers"] == "2"
    assert "nothing is missing" in launch("resubmit", *words, QUICK, "--launch.workers=4")[1]
    out = launch("logs", *words)[1]
    assert out.split().count("said") == 20 * (3 + 2)
    assert out.startswith("==> raysubmit_3 <==\n") and "==> raysubmit_2 <==\n" in out
    programs.calls()
    assert launch("cancel", *words) == (0, "", "")
    stopped = [call[1:] for call in programs.calls() if call[1:3] == ["job", "stop"]]
    assert stopped == [["job", "stop", "raysubmit_3"], ["job", "stop", "raysubmit_2"]]


def test_of_ended_jobs_the_last_one_is_shown(launch, programs, words, tmp_path):
    launch("render", *words, QUICK)
    text = (tmp_path / "run/launch/ray/submit.sh").read_text()
    name = text.partition('"job_name": "')[2].partition('"')[0]
    listed = jobs(job(name, "FAILED", 1, 1), job(name, "STOPPED", 1, 2))
    programs.make("ray", list_jobs=listed, job_logs=(0, "said"))
    assert launch("logs", *words)[1] == "==> raysubmit_2 <==\nsaid\n"
    programs.make("ray", list_jobs=(0, "No resource in the cluster"))
    assert launch("logs", *words) == (0, "\n", "")


def test_where_there_is_no_ray_it_says_how_to_get_it(launch, words, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, err = launch("submit", *words, QUICK)
    assert code == 2 and err.count("\n") == 1
    assert "there is no program `ray` here: pip install 'ray[default]'" in err


def test_what_ray_refuses_is_told_in_one_line(launch, programs, words):
    programs.make("ray", list_jobs=(1, "Traceback\nConnectionError: Failed to connect to Ray"))
    code, _, err = launch("submit", *words, QUICK)
    assert code == 2 and err.count("\n") == 1
    assert "failed (1): ConnectionError: Failed to connect to Ray" in err
