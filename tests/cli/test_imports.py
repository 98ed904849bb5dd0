"""What commands import: nothing that takes seconds before it is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxbias.cli.command import COMMANDS

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py"
# Calls commands one after another in one process; says of each how it ended, the last line that it
# wrote of what is wrong, and which packages it imported first.
CALLS = """
import contextlib, io, json, sys
known = set()
ends = []
from jaxbias.cli.command import main
for words in json.load(sys.stdin):
    code, out, err = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["jaxbias", *words])
        except SystemExit as stop:
            code = stop.code
    packages = {name.split(".")[0] for name in sys.modules}
    ends.append((code, (err.getvalue().splitlines() or [""])[-1], sorted(packages - known)))
    known |= packages
json.dump(ends, sys.stdout)
"""
# Packages that take a tenth of a second or more; NumPy does too, and names of metrics need it.
SLOW = {
    "PIL", "flax", "grain", "jax", "matplotlib", "optax", "orbax", "pandas", "pyarrow",
    "rich", "scipy", "tensorboardX", "tensorflow_datasets", "tensorstore", "torch",
}  # fmt: skip
# Nothing but what is named beside a command below may import these.
RARE = {"flax", "grain", "matplotlib", "optax", "orbax", "tensorflow_datasets", "torch"}


def ends(calls, folder):
    """Calls commands in a fresh process; returns code, last line of stderr and imports of each."""
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", CALLS], input=json.dumps([list(words) for words in calls]),
        capture_output=True, text=True, cwd=folder, env=env, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(code, line, set(packages)) for code, line, packages in json.loads(done.stdout)]


REFUSED = [
    (("evalute",), "did you mean 'evaluate'?"),
    (("run", "--workdri=x"), "did you mean 'workdir'?"),
    (("run", "--workdir=x"), "--config=FILE.py is missing"),
    (("run", "--config=nowhere.py", "--workdir=x"), "there is no file nowhere.py"),
    (("run", QUICK), "--workdir is missing"),
    (("run", QUICK, "--workdir=x", "--config.finetun.n=3"), "did you mean 'finetune'?"),
    (("run", QUICK, "--workdir=x", "--config.finetune.epochs=0"), "must be in 1..100,000"),
    (("run", QUICK, "--workdir=x", "--config.data.name=face"), "did you mean 'faces'?"),
    (("data", "prepare", QUICK, "--config.model.name=convnett"), "did you mean 'convnet'?"),
    (
        ("curate", QUICK, "--config.model.name=vit_ti_16", "--config.data.image_size=20"),
        "is no multiple of that",
    ),
    (("run", QUICK, "--workdir=x", "--stage=finetun"), "did you mean 'finetune'?"),
    (("run", QUICK, "--workdir=x", "--packs=0"), "--packs needs --stage"),
    (("run", QUICK, "--workdir=x", "--stage=finetune", "--packs=first"), "'first' is no pack"),
    (("run", QUICK, "--workdir=x", "--stage=search"), "nothing to try"),
    (("run", QUICK, "--workdir=x", "--stage=plan", "--dry_run"), "leave out --stage"),
    (("run", QUICK, "--workdir=x", "--calibrate"), "--workdir changes nothing"),
    (("pretrain", QUICK), "--workdir is missing"),
    (("pretrain", QUICK, "--workdir=file/x"), "cannot write file/x"),
    (("report", "--workdir=nowhere"), "there is no directory nowhere"),
    (("report", "--scores=nowhere"), "--scores: there is no file nowhere"),
    (("report", "--scores=file", "--variants=file", "--labels=file"), "--target is missing"),
    (
        (*("report", "--scores=file", "--variants=file", "--labels=file", "--target=smiling"),
         *("--group=gender", "--group_values=woman")),
        "must name two",
    ),
    (("curate", QUICK, "--out=no/x.csv"), "there is no directory no"),
    (
        ("attribute", QUICK, "--workdir=x", "--base=Gendred", "--target=Smiling", "--out=y.csv"),
        "did you mean 'Gendered'?",
    ),
    (("data", "describe", QUICK, "--out=no/x.png"), "there is no directory no"),
    (("data", "prepare",), "--config=FILE.py is missing"),
    (("weights", "import", "--arch=resnet50"), "--source is missing"),
    (
        ("weights", "import", "--arch=resnet5", "--source=timm", "--file=file", "--out=o"),
        "did you mean 'resnet50'?",
    ),
    (
        ("weights", "import", "--arch=vit_b_16", "--source=simclr", "--file=file", "--out=o"),
        "--source=simclr has no vit_b_16",
    ),
    (
        ("weights", "import", "--arch=resnet50", "--source=timm", "--file=no.pth", "--out=o"),
        "there is no file no.pth",
    ),
    (("weights", "describe", "no.pth"), "there is no file no.pth"),
    (("weights", "describe", "file"), "is no kind of checkpoint"),
    (("evaluate",), "--scores is missing"),
    (("evaluate", "--scores=nowhere"), "--scores: there is no file nowhere"),
    (("evaluate", "--scores=file", "--labels=file"), "--target is missing"),
    (("evaluate", "--out=x.txt"), "must end in .csv or .parquet"),
    (("evaluate", "--metrics=auk"), "did you mean 'auc'?"),
    (("evaluate", "--threshold=yuden"), "did you mean 'youden'?"),
    (("evaluate", "--population=lvel=2"), "did you mean 'level'?"),
    (("evaluate", "--intersections=a:b", "--groups=a"), "'b' is not among --groups"),
    (("evaluate", "--link=logit"), "valid: identity, sigmoid"),
    (("evaluate", "--interval=bc"), "did you mean 'bca'?"),
    (("evaluate", "--bootstrap=-1"), "must be in 0..100,000"),
]  # fmt: skip
HELP = [("--help",), ("--version",), *((*name.split(), "--help") for name in COMMANDS)]


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """How every request for help and every refusal ended."""
    folder = tmp_path_factory.mktemp("answered")
    (folder / "file").write_text("")
    calls = [*HELP, *(words for words, _ in REFUSED)]
    found = dict(zip(calls, ends(calls, folder), strict=True))
    assert [path.name for path in folder.iterdir()] == ["file"]
    return found


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_imports_nothing_slow(answered, words):
    code, _, packages = answered[words]
    assert (code, packages & (SLOW | {"numpy"})) == (0, set())


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=[" ".join(w) for w, _ in REFUSED])
def test_a_refusal_imports_nothing_slow(answered, words, message):
    code, line, packages = answered[words]
    assert message in line
    assert (code, packages & SLOW) == (2, set())


def test_every_command_is_refused_above():
    named = {" ".join(words[:count]) for words, _ in REFUSED for count in (1, 2)}
    assert set(COMMANDS) <= named


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """How commands that do some work ended, in an order in which they need more and more."""
    folder = tmp_path_factory.mktemp("worked")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(300):
        gender, smiling = rng.choice(["woman", "man"]), int(rng.random() < 0.5)
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(folder / f"{i}.png")
        rows.append((f"{i}.png", gender, smiling))
    labels = pd.DataFrame(rows, columns=["file", "gender", "smiling"])
    labels.to_csv(folder / "labels.csv", index=False)
    pd.DataFrame({"model": rng.random(300)}).to_csv(folder / "scores.csv", index=False)
    np.savez(folder / "some.npz", kernel=np.zeros((3, 4), np.float32))
    study = (
        f"--config={ROOT}/configs/folder.py:smoke", f"--config.data.path={folder}",
        "--config.data.image_size=8", "--config.pretrain.n=40", "--config.finetune.n=16",
        "--config.model.widths=(4,)", "--config.finetune.batch=16", "--config.pretrain.batch=16",
    )  # fmt: skip
    calls = {
        "data prepare": ("data", "prepare", *study),
        "data describe": ("data", "describe", *study, "--out=sheet.png"),
        "evaluate": (
            *("evaluate", "--scores=scores.csv", "--labels=labels.csv", "--target=smiling"),
            *("--groups=gender", "--metrics=auc", "--bootstrap=0"),
        ),
        "curate": ("curate", *study, "--out=ids.csv"),
        "weights describe": ("weights", "describe", "some.npz"),
        "run --stage=plan": ("run", *study, "--workdir=run", "--stage=plan"),
        "run --stage=pretrain": ("run", *study, "--workdir=run", "--stage=pretrain"),
        "run --stage=finetune": ("run", *study, "--workdir=run", "--stage=finetune"),
    }
    return dict(zip(calls, ends(calls.values(), folder), strict=True))


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("data prepare", set()),
        ("data describe", set()),
        ("evaluate", set()),
        ("curate", {"flax", "optax"}),
        ("weights describe", set()),
        ("run --stage=plan", set()),
        ("run --stage=pretrain", {"orbax"}),
        ("run --stage=finetune", set()),
    ],
)
def test_a_command_that_works_imports_what_it_needs(worked, command, needed):
    code, line, packages = worked[command]
    assert code == 0, line
    assert packages & RARE <= needed
    if command.startswith("data"):
        assert "jax" not in packages


def test_metrics_alone_import_nothing_of_training():
    code = """
import sys
import jaxbias.metrics
light = set(sys.modules)
jaxbias.metrics.evaluate([[0.1, 0.9]], [0, 1])
print(*light & {"jax", "numpy", "pandas"}, *set(sys.modules) & {"flax", "optax", "jaxbias.study"})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.split(), done.stderr) == ([], "")
