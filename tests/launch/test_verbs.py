"""Verbs: flags and settings refused in one line, what is written, and what a launch may cost."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from jaxbias.plan.packs import Pack, Plan
from jaxbias.study import config_file, make_study
from jaxbias.values import build
from jaxbias.workdir import overview
from launch.__main__ import LAUNCH
from launch.settings import LaunchSpec, default_config
from launch.verbs import ENGINES

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "launch" / "configs").glob("*.py"))
QUICK = f"--config={ROOT}/configs/quickstart.py:smoke"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rendr", "'rendr' is no command; did you mean 'render'?"),
        ("render --engin=local", "has no flag --engin; did you mean 'engine'?"),
        (
            f"render {QUICK} --workdir=x",
            "--engine is missing: local, slurm, ray, kubernetes, tpu_vm",
        ),
        (f"render --engine=slrm {QUICK} --workdir=x", "did you mean 'slurm'?"),
        ("submit --engine=local --workdir=x", "--config=FILE.py is missing"),
        (f"submit --engine=local {QUICK}", "--workdir is missing"),
        (f"submit --engine=tpu_vm {QUICK} --workdir=x", "is rendered alone"),
        (f"render --engine=local {QUICK} --workdir=x --launch.wrkers=2", "mean 'workers'?"),
        (f"render --engine=local {QUICK} --workdir=x --launch.slurm.time=2", "no such field"),
        (f"render --engine=local {QUICK} --workdir=x --launch.workers=0", "must be in 1..100,000"),
        (f"render --engine=local {QUICK} --workdir=x --launch.device=gpus", "did you mean 'gpu'?"),
        (f"render --engine=local {QUICK} --workdir=x --launch=no.py", "--launch: there is no file"),
        (f"render --engine=local {QUICK} --workdir=x --config.finetun.n=3", "mean 'finetune'?"),
        (f"render --engine=kubernetes {QUICK} --workdir=x", "launch.kubernetes.image is missing"),
        (f"render --engine=tpu_vm {QUICK} --workdir=x", "launch.tpu_vm.project is missing"),
        (f"status {QUICK} --workdir=x", "--config changes nothing in 'python -m launch status'"),
        ("status --workdir=nowhere", "there is no directory"),
        (f"submit --engine=local {QUICK} --workdir=x --launch.max_cost=3", "needs launch.price"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(launch, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = launch(*words.split())
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("python -m launch: ") and err.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", LAUNCH.commands)
def test_help_lists_the_flags_of_every_verb(launch, name):
    code, out, _ = launch(name, "--help")
    assert code == 0
    assert f"  python -m launch {name} " in out
    for flag in LAUNCH.commands[name].flags:
        assert f"  --{flag}" in out


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_are_valid_settings(path):
    config = config_file.load(str(path), "launch")
    assert build(LaunchSpec, config.to_dict(), "launch") != LaunchSpec()
    assert config.keys() == default_config().keys()


@pytest.mark.parametrize("name", ["programme:smoke", "searched:smoke", "fairface_pair"])
def test_workers_get_the_study_as_it_is_and_was_changed(launch, tmp_path, name):
    file, _, arg = name.partition(":")
    config = f"{ROOT}/configs/{file}.py" + (f":{arg}" if arg else "")
    folder = tmp_path / "files"
    code, out, err = launch(
        *("render", "--engine=local", f"--config={config}", "--config.finetune.seeds=7"),
        *(f"--workdir={tmp_path}/run", f"--out={folder}"),
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        str(folder / each) for each in ("config.py", "worker.sh", "submit.sh")
    ]
    expected = config_file.load(config)
    expected.finetune.seeds = 7
    assert make_study(config_file.load(str(folder / "config.py"))) == make_study(expected)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_rendering_starts_no_program_but_asks_slurm_for_its_limit(
    launch, programs, tmp_path, engine
):
    code, _, err = launch(
        *("render", f"--engine={engine}", QUICK, f"--workdir={tmp_path}/run"),
        *("--launch.kubernetes.image=i", "--launch.tpu_vm.project=p", "--launch.tpu_vm.zone=z"),
    )
    assert (code, err) == (0, "")
    assert programs.calls() == ([["scontrol", "show", "config"]] if engine == "slurm" else [])


def costing(workdir, seconds):
    """A directory half of whose four packs of two are done, each within so many seconds."""
    packs = [f"{i:016x}" for i in range(4)]
    (workdir / "packs").mkdir(parents=True)
    (workdir / "events").mkdir()
    lines = []
    for pack in packs[:2]:
        (workdir / "packs" / f"{pack}.parquet").touch()
        what = {"stage": "finetune", "pack": pack, "members": 2}
        lines.append({"time": time.time(), "event": "pack started", **what, "device": "cpu"})
        lines.append({"time": time.time(), "event": "pack finished", **what, "seconds": seconds})
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (workdir / "events" / "here-1-ab.jsonl").write_text(text)
    return packs


@pytest.mark.parametrize(
    ("price", "most", "flags", "said"),
    [
        ("0", "0", (), "2.00 device hours are left: 2.00 by what packs took so far\n"),
        ("3", "7", (), "2.00 device hours are left, 6.00 at 3 an hour: 2.00 by what packs took"),
        ("3", "5", (), "launch.max_cost=5, so add --yes to submit it"),
        ("3", "5", ("--yes",), "6.00 at 3 an hour"),
    ],
)
def test_what_costs_too_much_is_submitted_by_flag_alone(
    launch, programs, tmp_path, monkeypatch, price, most, flags, said
):
    packs = costing(tmp_path / "run", 3600.0)
    planned = tuple(Pack(pack, 2, (SimpleNamespace(id="a"),) * 2) for pack in packs)
    monkeypatch.setattr(overview, "_plan", lambda place: Plan("", finetunes=planned))
    code, out, err = launch(
        *("submit", "--engine=slurm", QUICK, f"--workdir={tmp_path}/run"),
        *(f"--launch.price={price}", f"--launch.max_cost={most}", *flags),
    )
    refused = said.startswith("launch.max_cost")
    assert code == (2 if refused else 0)
    assert said in (err if refused else out)
    assert ("sbatch" in {words[0] for words in programs.calls()}) is not refused


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (("--launch.devices=2",), " estimated on 2 × cpu of this machine"),
        (
            ("--launch.device=gpu", "--launch.kind=H100"),
            " at 10% of the peak rates of H100, measured nowhere",
        ),
    ],
)
def test_before_anything_is_done_it_is_estimated_here_or_bounded_by_peak_rates(
    launch, programs, tmp_path, device, said
):
    workdir = tmp_path / "run"
    words = ("submit", "--engine=slurm", QUICK, f"--workdir={workdir}", *device)
    code, _, err = launch(*words, "--launch.price=3e6", "--launch.max_cost=1e-3")
    assert code == 2 and said in err and "launch.max_cost=0.001, so add --yes" in err
    assert not workdir.exists()
    assert "sbatch" not in {call[0] for call in programs.calls()}


def test_an_unknown_cost_is_refused_where_there_is_a_limit(launch, programs, tmp_path):
    words = ("submit", "--engine=slurm", QUICK, f"--workdir={tmp_path}/run", "--launch.device=gpu")
    code, _, err = launch(*words, "--launch.price=3", "--launch.max_cost=5")
    assert code == 2
    assert "What is left is not known: this machine has no gpu; with launch.kind (v4, " in err
    assert "sbatch" not in {call[0] for call in programs.calls()}
    code, out, _ = launch(*words, "--launch.price=3", "--launch.max_cost=5", "--yes")
    assert code == 0
    assert "1 worker submitted" in out
    code, out, _ = launch(*words)
    assert code == 0
    assert "What is left is not known: a pack of each stage must be done, or launch.price" in out
