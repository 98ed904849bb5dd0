"""The command as a user types it: what it prints, and one line for what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxbias.costs import modes
from jaxbias.stages import train as stage
from jaxbias.workdir.results import ResultDirectory

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py"
FOLDER = f"--config={ROOT}/configs/folder.py:smoke"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A user's folder: 300 small images and one table."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(300):
        man, smiling = rng.random() < 0.5, rng.random() < 0.5
        pixels = rng.integers(0, 150, (12, 12, 3), np.uint8)
        pixels[:4, :4, 0] += 100 * smiling
        pixels[-4:, :, 2] += 100 * man
        Image.fromarray(pixels).save(root / f"{i}.png")
        rows.append((f"{i}.png", "man" if man else "woman", int(smiling), rng.normal()))
    table = pd.DataFrame(rows, columns=["file", "gender", "smiling", "height"])
    table.to_csv(root / "labels.csv", index=False)
    return root


SMALL = (
    "--config.data.image_size=12", "--config.pretrain.n=40", "--config.finetune.n=16",
    "--config.model.widths=(4,)", "--config.finetune.batch=16",
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rum",), "'rum' is no command; did you mean 'run'?"),
        (("run", QUICK), "--workdir is missing"),
        (("run", "--workdir=x"), "--config=FILE.py is missing"),
        (("run", "--config=nowhere.py", "--workdir=x"), "there is no file nowhere.py"),
        (("run", QUICK, "--workdir=x", "--config.finetun.n=3"), "did you mean 'finetune'?"),
        (("run", QUICK, "--workdir=x", "--config.finetune.nn=3"), "did you mean 'n'?"),
        (("run", QUICK, "--workdir=x", "--config.finetune.epochs=three"), "three"),
        (("run", QUICK, "--workdir=x", "--config.finetune.n.x=3"), "'x' is below a value"),
        (("run", QUICK, "--workdir=x", "--config.finetune.n=abc"), "must be int, got 'abc'"),
        (("run", QUICK, "--workdir=x", "--config.bases.Gendered.rol=x"), "did you mean 'role'?"),
        (("run", QUICK, "--workdir=x", "--config.bases.New.role=x"), "has no field 'New'"),
        (("run", "--config", "nowhere.py", "--workdir=x"), "there is no file nowhere.py"),
        (("run", "--config=", "--workdir=x"), "there is no file (empty)"),
        (("run", QUICK + ":smoky", "--workdir=x"), "unknown argument 'smoky'"),
        (("run", QUICK, "x"), "'x' is not understood"),
        (("run", QUICK, "--workdir=x", "--config.data.name=face"), "did you mean 'faces'?"),
        (
            ("run", QUICK, "--workdir=x", "--config.finetune.epochs=0"),
            "epochs=0 must be in 1..100,000",
        ),
        (("run", FOLDER, "--workdir=x"), "config.data.path"),
        (("run", FOLDER, "--workdir=x", "--config.data.path=nowhere"), "nowhere"),
        (("run", QUICK, "--workdir=x", "--stage=finetun"), "did you mean 'finetune'?"),
        (("run", QUICK, "--workdir=x", "--out=y"), "--out changes nothing in 'jaxbias run'"),
        (("run", QUICK, "--calibrat"), "calibrate"),
        (
            ("run", QUICK, "--calibrate", "--workdir=x"),
            "--workdir changes nothing in 'jaxbias run -",
        ),
        (("curate", QUICK, "--calibrate", "--out=y.csv"), "--calibrate changes nothing"),
        (("report", f"--workdir={ROOT}", "--out=y"), "--out changes nothing in 'jaxbias report --"),
        (("curate", QUICK, "--out=y.csv", "--bootstrap=5"), "--bootstrap changes nothing"),
        (("run", QUICK, "--workdir=x", "--packs=0"), "--packs needs --stage=pretrain, search or"),
        (("run", QUICK, "--workdir=x", "--stage=plan", "--packs=0"), "--packs needs --stage"),
        (("pretrain", QUICK), "--workdir is missing"),
        (
            ("pretrain", QUICK, "--workdir=x", "--stage=plan"),
            "--stage changes nothing in 'jaxbias p",
        ),
        (("report", "--workdir=x", "--distributed"), "--distributed changes nothing in 'jaxbias r"),
        (
            ("run", QUICK, "--workdir=x", "--distributed", "--dry_run"),
            "what this machine would do; leave out --distributed",
        ),
        (
            ("run", QUICK, "--workdir=s3://x/y", "--distributed"),
            "needs a disk that all processes see, not s3://x/y",
        ),
        (
            ("pretrain", FOLDER, "--workdir=x", "--config.bases={'S': {'role': 'scratch'}}"),
            "none that is pretrained here",
        ),
        (("report", "--workdir=nowhere"), "there is no directory nowhere"),
        (("report", "--scores=nowhere.csv"), "--scores: there is no file nowhere.csv"),
        (("report",), "--scores is missing"),
        (("curate", QUICK), "--out is missing"),
        (("attribute", QUICK, "--workdir=x", "--base=Gendered", "--out=y.csv"), "--target is miss"),
        (
            (
                "attribute",
                QUICK,
                "--workdir=x",
                "--base=Gendred",
                "--target=Smiling",
                "--out=y.csv",
            ),
            "did you mean 'Gendered'?",
        ),
        (
            ("run", QUICK, "--workdir=x", "--config.curations.drop.k=(3,)"),
            "config.curations.drop.k drops images by tables of example scores, and there is none",
        ),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(jaxbias, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = jaxbias(*words)
    assert code == 2
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("jaxbias: ")
    assert message in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_names_of_ones_own_can_be_given_on_the_command_line(monkeypatch, jaxbias, tmp_path):
    seen = []

    def train(study, *_):
        seen.append(study)
        raise SystemExit(0)

    monkeypatch.setattr(stage, "train", train)
    words = (
        "--config.data.faces.salience.Smiling=2",
        "--config.bases.Mine={'role': 'control', 'target': 'Bangs'}",
        "--config.data.splits={'train': {'pretrain': 0.5, 'finetune': 0.5}}",
    )
    code, _, err = jaxbias("run", "--config", f"{ROOT}/configs/quickstart.py:smoke", *words,
                           f"--workdir={tmp_path}/x")  # fmt: skip
    assert code == 0, err
    assert seen[0].data.faces.salience == {"Smiling": 2.0}
    assert seen[0].bases["Mine"].target == "Bangs"
    assert list(seen[0].data.splits) == ["train"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("--config.targets=('smilin',)",), "did you mean 'smiling'?"),
        (("--config.targets=('height',)",), "column 'height'"),
        (("--config.targets=('gender',)",), "binary"),
        (("--config.group.values=('woman','men')",), "no value 'men'"),
        (("--config.finetune.n=5000",), "Lower config.finetune.n to"),
        (("--config.data.table=label.csv",), "label.csv"),
        (("--config.data.file_column=path",), "no column 'path'"),
        (("--config.data.split_column=part",), "no column 'part'"),
    ],
)
def test_wrong_labels_are_named(jaxbias, pictures, tmp_path, changes, message):
    workdir = tmp_path / "out"
    words = ("run", FOLDER, f"--config.data.path={pictures}", f"--workdir={workdir}", *SMALL)
    code, _, err = jaxbias(*words, *changes)
    assert code == 2
    line = err.strip().splitlines()[-1]
    assert line.startswith("jaxbias: ")
    assert message in line
    assert not workdir.exists()


def test_modes_are_timed_and_the_next_plan_takes_the_fastest(
    jaxbias, pictures, tmp_path, monkeypatch
):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(modes, "_WIDTHS", (1,))
    words = ("run", FOLDER, f"--config.data.path={pictures}", *SMALL, "--config.grid.devices=1")
    code, out, err = jaxbias(*words, "--calibrate")
    assert code == 0, err
    assert "config.grid.mode='auto' takes" in out
    (entry,) = json.loads((tmp_path / "home/modes.json").read_text())
    assert entry["image_size"] == 12
    assert set(entry["images_per_second"]) == {"map", "vmap", "unroll"}

    entry["images_per_second"]["vmap"] *= 1000
    (tmp_path / "home/modes.json").write_text(json.dumps([entry]))
    assert jaxbias(*words, f"--workdir={tmp_path}/run", "--config.grid.mode=auto")[0] == 0
    told = ResultDirectory(tmp_path / "run").scores().variants["layouts"].map(json.loads)
    assert {layout["mode"] for layouts in told for layout in layouts} == {"vmap"}


def test_a_corrupt_image_is_named_and_can_be_skipped(jaxbias, pictures, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in pictures.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "7.png").write_bytes((copy / "7.png").read_bytes()[:60])
    words = ("data", "describe", FOLDER, f"--config.data.path={copy}", *SMALL[:1],
             f"--out={tmp_path / 'sheet.png'}")  # fmt: skip
    code, _, err = jaxbias(*words)
    assert (code, "7.png" in err) == (2, True)
    code, out, _ = jaxbias(*words, "--config.data.on_bad_image=skip")
    assert code == 0
    assert "image file is truncated" in out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 100
    skip = "--config.data.on_bad_image=skip"
    code, _, err = jaxbias(*words[:-1], skip, f"--out={tmp_path}/nowhere/sheet.png")
    assert (code, len(err.splitlines()), "cannot write" in err) == (2, 1, True), err


def test_describe_curate_run_and_report_on_a_folder(jaxbias, pictures, tmp_path):
    common = (FOLDER, f"--config.data.path={pictures}", *SMALL)
    code, out, _ = jaxbias("data", "describe", *common, f"--out={tmp_path / 'sheet.png'}")
    assert code == 0
    assert "smiling" in out
    assert "every attribute and the group" in out
    assert "near-duplicates across splits" in out
    code, out, _ = jaxbias("data", "prepare", *common)
    assert (code, "decoded before and whole" in out) == (0, True)
    code, out, _ = jaxbias("curate", *common, f"--out={tmp_path / 'ids.csv'}")
    assert code == 0
    ids = pd.read_csv(tmp_path / "ids.csv")
    assert set(ids["curation"]) == {"natural", "correlation 1", "correlation 5", "correlation 9"}
    assert (ids.groupby("curated_set").size() == 16).all()

    workdir = tmp_path / "out"
    code, out, err = jaxbias("run", *common, f"--workdir={workdir}")
    assert code == 0, err
    assert "Smallest fix" in out
    assert "variants/s" in out
    page = workdir / "report" / "report.html"
    assert str(page) in out
    page.unlink()
    code, out, _ = jaxbias("report", f"--workdir={workdir}")
    assert code == 0
    assert page.exists()


def test_bases_are_pretrained_by_the_command_and_used_by_a_run(jaxbias, pictures, tmp_path):
    words = (
        FOLDER, f"--config.data.path={pictures}", f"--workdir={tmp_path / 'run'}", *SMALL,
        "--config.targets=('smiling',)", "--config.group.column=gender",
        "--config.group.values=('woman','man')", "--config.group.names=('women','men')",
        "--config.pretrain.batch=16",
    )  # fmt: skip
    code, out, _ = jaxbias("pretrain", *words)
    assert code == 0
    directory = ResultDirectory(tmp_path / "run")
    bases = [base for pack in directory.plan().bases for base in pack.members]
    assert len(out.splitlines()) >= len(bases) > 0
    stamps = {base.id: directory.base_path(base.id).stat().st_mtime_ns for base in bases}
    assert all(str(directory.base_path(id)) in out for id in stamps)
    code, out, _ = jaxbias("run", *words)
    assert code == 0
    assert "Report:" in out
    assert stamps == {id: directory.base_path(id).stat().st_mtime_ns for id in stamps}


def test_report_of_models_trained_elsewhere(jaxbias, tmp_path):
    rng = np.random.default_rng(0)
    count = 600
    gender = rng.choice(["woman", "man"], count)
    smiling = rng.random(count) < np.where(gender == "woman", 0.6, 0.3)
    labels = pd.DataFrame({
        "id": [f"e{i}" for i in range(count)],
        "split": rng.choice(["validation", "test"], count),
        "gender": gender, "smiling": smiling.astype(int),
    })  # fmt: skip
    models = [
        (f"{base}_{curation}_{seed}".replace(" ", ""), base, role, curation, 100, seed)
        for base, role in (("Gendered", "studied"), ("Control", "control"), ("Scratch", "scratch"))
        for curation in ("natural", "correlation 5")
        for seed in range(3)
    ]
    columns = ["model", "base", "role", "curation", "n", "seed"]
    pd.DataFrame(models, columns=columns).to_csv(tmp_path / "V.csv", index=False)
    labels.to_csv(tmp_path / "L.csv", index=False)
    scores = {
        model: smiling
        + rng.normal(0, 0.5, count)
        + 0.8 * (base == "Gendered") * (gender == "woman")
        for model, base, *_ in models
    }
    # Rows in another order than the labels': ids decide.
    table = pd.DataFrame({"id": labels["id"], **scores}).sample(frac=1, random_state=0)
    table.to_parquet(tmp_path / "S.parquet", index=False)
    words = (
        "report",
        f"--scores={tmp_path}/S.parquet",
        f"--variants={tmp_path}/V.csv",
        f"--labels={tmp_path}/L.csv",
        "--group=gender",
        "--group_values=woman,man",
        f"--out={tmp_path / 'report'}",
    )
    code, out, err = jaxbias(*words, "--target=smiling")
    assert code == 0, err
    said = " ".join(out.split())
    assert "smiling, Gendered, n = 100 (3 checkpoints, 3 draws, 316 test examples)." in said
    assert (tmp_path / "report" / "report.html").exists()

    labels.drop(columns="split").to_csv(tmp_path / "L.csv", index=False)
    code, out, err = jaxbias(*words, "--target=smiling")
    assert code == 0, err
    assert "Smallest fix: not answered, there are no validation scores" in " ".join(out.split())
    labels.to_csv(tmp_path / "L.csv", index=False)

    code, _, err = jaxbias(*words, "--target=smilng")
    assert (code, "did you mean 'smiling'?" in err) == (2, True)
    table.drop(columns=models[0][0]).to_parquet(tmp_path / "S.parquet", index=False)
    code, _, err = jaxbias(*words, "--target=smiling")
    assert (code, models[0][0] in err) == (2, True)
    table.iloc[1:].to_parquet(tmp_path / "S.parquet", index=False)
    code, _, err = jaxbias(*words, "--target=smiling")
    assert (code, "has no score of 1 labelled example" in err) == (2, True)


def test_a_dry_run_says_what_a_run_costs_and_writes_nothing(jaxbias, tmp_path):
    workdir = tmp_path / "smoke"
    words = ("run", f"{QUICK}:smoke", f"--workdir={workdir}", "--dry_run")
    code, out, err = jaxbias(*words)
    assert code == 0, err
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    assert rows["experiment"] == [
        "variants",
        "done",
        "packs",
        "programs",
        "FLOPs",
        "scores",
        "time",
    ]
    assert rows["quickstart_smoke"][:2] == ["64", "0"]
    assert "of training, scoring and compiling" in out and "It rests on" in out
    assert not workdir.exists()
    code, _, err = jaxbias(*words, "--stage=plan")
    assert (code, "leave out --stage" in err) == (2, True)
    code, _, err = jaxbias("report", "--workdir=x", "--dry_run")
    assert (code, "--dry_run changes nothing" in err) == (2, True)


def test_the_smoke_study_end_to_end_on_built_in_faces(tmp_path):
    """The command itself, in a process of its own."""
    workdir = tmp_path / "smoke"
    command = [sys.executable, "-m", "jaxbias", "run", f"{QUICK}:smoke", f"--workdir={workdir}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Report:" in done.stdout
    assert "tensorflow" not in done.stderr.lower()
    metrics = pd.read_parquet(workdir / "report" / "metrics.parquet")
    assert metrics["variant"].nunique() == 2 * 4 * 4 * 2
    assert metrics.loc[metrics["metric"] == "auc", "value"].notna().any()
