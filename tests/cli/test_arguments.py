"""Words and flags: help of every command, typing mistakes, and refusals before any work."""

import io
import sys
from pathlib import Path

import pandas as pd
import pytest

from jaxbias import __version__, data
from jaxbias.cli.command import COMMANDS, main
from jaxbias.cli.flags import FLAGS
from jaxbias.scores import external, score_files
from jaxbias.stages import gang, supervisor, train
from jaxbias.weights import command as weights

ROOT = Path(__file__).parents[2]
QUICK = f"--config={ROOT}/configs/quickstart.py"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("how", ["{} --help", "{} -h", "help {}", "{} --workdir=x --help"])
def test_help_of_a_command_lists_its_own_flags_and_no_others(jaxbias, name, how):
    code, out, err = jaxbias(*how.format(name).split())
    assert (code, err) == (0, "")
    listed = {
        line.split()[0].split("=")[0].removeprefix("--")
        for line in out.partition("\nflags:\n")[2].splitlines()
        if line.startswith("  --")
    }
    own = set(COMMANDS[name].flags)
    assert listed == own | {"flagfile"} | ({"config.FIELD"} if "config" in own else set())
    assert f"  jaxbias {name} " in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("words", ["--help", "-h", "-help", "--helpfull", "help"])
def test_help_names_every_command_in_a_line(jaxbias, words):
    code, out, err = jaxbias(words)
    assert (code, err) == (0, "")
    said = {line[2:].split("  ")[0] for line in out.splitlines() if line.startswith("  ")}
    assert said == set(COMMANDS)


def test_help_of_a_family_is_that_of_its_commands(jaxbias):
    code, out, _ = jaxbias("data", "--help")
    assert code == 0
    assert "jaxbias data describe:" in out and "jaxbias data prepare:" in out


def test_defaults_stand_in_the_help(jaxbias):
    out = jaxbias("evaluate", "--help")[1]
    assert "Bootstrap replicates; 0: no intervals. Default: 1000." in out
    assert "--threshold=RULE" in out and "Default: base_rate." in out
    assert "Default: NAME-contact-sheet.png." in jaxbias("data", "describe", "--help")[1]


def test_nothing_asked_for_is_help_and_a_failure(jaxbias):
    code, out, err = jaxbias()
    assert (code, out) == (2, "")
    assert "jaxbias COMMAND --help" in err


def test_the_version_is_the_packages(jaxbias):
    code, out, _ = jaxbias("--version")
    assert code == 0
    assert out.startswith(f"jaxbias {__version__} (JAX ")
    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evalute", "'evalute' is no command; did you mean 'evaluate'?"),
        ("data descibe", "did you mean 'data describe'?"),
        ("describe", "did you mean 'data describe'?"),
        ("weight import", "did you mean 'weights import'?"),
        ("data", "'data' is no command; valid: data describe, data prepare"),
        ("help curat", "did you mean 'curate'?"),
        ("data foo --help", "'data foo' is no command; valid: data describe, data prepare"),
        ("--workdir=x run", "name the command first, then its flags, as in 'jaxbias run --wor"),
        ("run --workdri=x", "'jaxbias run' has no flag --workdri; did you mean 'workdir'?"),
        # The nearest of the command's own, though 'variants' is nearer among all.
        ("evaluate --varights=x", "has no flag --varights; did you mean 'weights'?"),
        ("run --config.name=x", "--config.name overrides a config; --config=FILE.py is missing"),
        ("evaluate --config.name=x", "--config.name changes nothing in 'jaxbias evaluate'"),
        ("run --workdir", "Missing value for flag --workdir"),
        ("evaluate --scores=", "--scores= is empty; give FILE, or leave it out"),
        ("evaluate --groups=", "--groups= is empty"),
        ("run --dry_run=maybe", "--dry_run=maybe: must be true or false"),
        ("evaluate --bootstrap=x", "--bootstrap=x: must be a whole number"),
        ("evaluate --confidence=x", "--confidence=x: must be a number"),
        ("run --flagfile=nowhere", "Unable to open flagfile"),
        ("run --flagfile", "--flagfile with no argument"),
        ("run --config=~nobodyx/c.py", "no home directory for ~nobodyx; write the whole path"),
        ("run --workdir=~nobodyx/x", "--workdir=~nobodyx/x: there is no home directory"),
        ("evaluate --scores=~nobodyx/s.csv", "--scores=~nobodyx/s.csv: there is no home"),
        ("weights describe ~nobodyx/w.pth", "--file=~nobodyx/w.pth: there is no home"),
        ("run --workdir=\udcff", "'--workdir=\\udcff' on the command line is not UTF-8"),
        ("r\udcffn", "'r\\udcffn' on the command line is not UTF-8"),
    ],
)
def test_mistyped_words_are_one_line(jaxbias, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = jaxbias(*words.split(" "))
    assert (code, len(err.splitlines())) == (2, 1), err
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def no_work(monkeypatch):
    """Reading data, scores or a checkpoint is a failure."""

    def fail(*args, **kwargs):
        raise AssertionError("work began before the refusal")

    for module, name in (
        (data, "load"),
        (train, "train"),
        (gang, "joined"),
        (supervisor, "supervise"),
        (external, "read_external"),
        (weights, "import_text"),
        (score_files, "read_table"),
        (score_files, "read_scores"),
    ):
        monkeypatch.setattr(module, name, fail)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("curate", QUICK, "--out=no/x.csv"), "no/x.csv (there is no directory no); make it"),
        (("curate", QUICK, "--out=."), "cannot write . (it is a directory); name a file in it"),
        (("curate", QUICK, "--out=file/x"), "there is no directory file"),
        (("curate", QUICK, f"--out={'x' * 300}"), "File name too long"),
        (("data", "describe", QUICK, "--out=no/x.png"), "there is no directory no"),
        (("evaluate", "--out=no/x.csv"), "there is no directory no"),
        (("evaluate", "--out=x.txt"), "--out=x.txt must end in .csv or .parquet"),
        (("evaluate", "--metrics=auk"), "metric 'auk' is unknown; did you mean 'auc'?"),
        (("evaluate", "--threshold=yuden"), "did you mean 'youden'?"),
        (("evaluate", "--threshold=fpr:2"), "must have a rate in 0..1"),
        (("evaluate", "--population=lvel=2"), "did you mean 'level'?"),
        (("evaluate", "--population=level=20"), "level=20.0 must be a number in 0..10"),
        (("evaluate", "--intersections=a:b", "--groups=a"), "'b' is not among --groups"),
        (("evaluate", "--intersections=a", "--groups=a"), "names one column"),
        (("evaluate", "--link=logit"), "link='logit' is unknown; valid: identity, sigmoid"),
        (("evaluate", "--interval=bc"), "did you mean 'bca'?"),
        (("evaluate", "--bootstrap=-1"), "bootstrap=-1 must be in 0..100,000"),
        (("evaluate", "--confidence=1"), "confidence=1.0 must be in 1e-06..0.999999"),
        (("report", "--scores=file", "--variants=file", "--labels=file", "--out=file"), "file"),
        (
            ("report", "--scores=file", "--variants=file", "--labels=file", QUICK, "--target=x"),
            "--target changes nothing in 'jaxbias report --scores --config'",
        ),
        (("run", QUICK, "--workdir=x", "--stage=finetune", "--packs=first"), "'first' is no pack"),
        (("pretrain", QUICK, "--workdir=file/x"), "cannot write file/x"),
        (("pretrain", QUICK, "--workdir=file/x", "--distributed"), "cannot write file/x"),
        (
            ("weights", "import", "--arch=resnet5", "--source=timm", "--file=file", "--out=o"),
            "did you mean 'resnet50'?",
        ),
        (
            ("weights", "import", "--arch=resnet50", "--source=timmm", "--file=file", "--out=o"),
            "did you mean 'timm'?",
        ),
        (
            ("weights", "import", "--arch=vit_b16", "--source=timm", "--file=file", "--out=file/o"),
            "cannot write file/o",
        ),
    ],
)  # fmt: skip
def test_what_can_be_refused_is_refused_before_any_work(
    jaxbias, no_work, tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    code, _, err = jaxbias(*words)
    assert (code, len(err.splitlines())) == (2, 1), err
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_model_to_compare_with_is_looked_for_before_anything_is_computed(
    jaxbias, tmp_path, monkeypatch
):
    scores = pd.DataFrame({"first": [0.1, 0.9], "second": [0.2, 0.8]})
    scores.to_csv(tmp_path / "s.csv", index=False)
    pd.DataFrame({"smiling": [0, 1]}).to_csv(tmp_path / "l.csv", index=False)
    monkeypatch.setattr(score_files, "evaluate", None)
    words = [
        "evaluate", f"--scores={tmp_path}/s.csv", f"--labels={tmp_path}/l.csv", "--target=smiling",
    ]  # fmt: skip
    code, _, err = jaxbias(*words, "--against=frst")
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"--against=frst is no model of {tmp_path}/s.csv; did you mean 'first'?" in err
    scores[["first"]].to_csv(tmp_path / "s.csv", index=False)
    code, _, err = jaxbias(*words, "--against=first")
    assert (code, "leaves no other model to compare with it" in err) == (2, True)


def test_a_flagfile_holds_flags_and_overrides_and_what_follows_wins(jaxbias, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train, "train", lambda study, workdir, *_: seen.append(study) or {})
    (tmp_path / "flags").write_text(
        f"# A comment.\n{QUICK}:smoke\n--config.finetune.epochs=7\n--config.name=filed\n\n"
        "--config.targets=('Smiling',)\n--stage=pretrain\n"
    )
    words = ("run", f"--flagfile={tmp_path}/flags", f"--workdir={tmp_path}/x")
    code, _, err = jaxbias(*words, "--config.name=typed")
    assert (code, err) == (0, "")
    (study,) = seen
    assert (study.finetune.epochs, study.name, study.targets) == (7, "typed", ("Smiling",))
    (tmp_path / "flags").write_text(f"{QUICK}:smoke\n--config.finetune.epoch=7\n")
    code, _, err = jaxbias(*words)
    assert (code, "--config.finetune.epoch: no such field; did you mean 'epochs'?" in err) == (
        2,
        True,
    )
    (tmp_path / "flags").write_bytes(b"--workdir=\xff\n")
    code, _, err = jaxbias(*words)
    assert (code, "a file of flags is not UTF-8" in err) == (2, True)


def test_every_flag_has_a_line_of_help_and_a_command():
    assert set(FLAGS) == {flag for command in COMMANDS.values() for flag in command.flags}
    assert all(spec.help.endswith(".") for spec in FLAGS.values())


def test_a_terminal_that_knows_no_minus_sign_is_no_reason_to_fail(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    with pytest.raises(SystemExit) as stop:
        main(["jaxbias", "report", "--help"])
    sys.stdout.flush()
    assert stop.value.code == 0
    assert rb"first \u2212 second" in written.getvalue()
