"""Two trained studies side by side, by the command."""

import shutil

import pandas as pd
import pytest

import jaxbias
from jaxbias import data
from jaxbias.cli.command import main
from jaxbias.stages import compare
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_config, tiny_dataset


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    """The tiny study's natural draws with another learning rate, on the same images."""
    workdir = tmp_path_factory.mktemp("longer")
    config = tiny_config(curations={})
    config["finetune"] |= {"learning_rate": 0.05}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda spec, check=None: tiny_dataset(seed=spec.seed))
        jaxbias.run(config, workdir)
    return workdir


def test_two_runs_make_a_page(finished, longer, tmp_path, capsys):
    first, _ = finished
    main(["jaxbias", "report", "--compare", str(first), str(longer), f"--out={tmp_path / 'out'}"])
    assert f"Comparison: {tmp_path / 'out' / 'comparison.html'}" in capsys.readouterr().out
    settings = pd.read_csv(tmp_path / "out" / "settings.csv").set_index("setting")
    assert settings.index.tolist() == ["finetune.learning_rate", "curations.correlation.levels"]
    rows = pd.read_csv(tmp_path / "out" / "differences.csv")
    assert rows["paired"].all()
    assert set(rows["base"]) == {"Grouped", "Control", "Scratch"}


def test_an_interrupted_run_is_compared_as_far_as_it_is(finished, longer, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(longer, part)
    last = ResultDirectory(part).plan().finetunes[-1]
    (part / "packs" / f"{last.id}.parquet").unlink()
    found, _ = compare.compare(str(finished[0]), str(part), tmp_path / "out")
    assert any(f"{part} is not finished" in one for one in found.warnings)
    waiting = {member.base.name for member in last.members}
    left_out = found.differences[found.differences["left_out"] != ""]
    assert set(left_out["base"]) == waiting


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--compare= is empty; give A B"),
        (("A",), "takes two result directories, not 1"),
        (("A", "a_link"), "A and a_link are the same directory"),
        (("A", "nowhere"), "there is no directory nowhere"),
        (("A", "B", "C"), "takes two result directories, not 3"),
        (("A", "B"), "B holds no study"),
        (("A", "B", "--target=x"), "--target changes nothing in 'jaxbias report --compare'"),
    ],
)
def test_what_is_wrong_is_one_line(words, message, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("A", "a_link"):
        (tmp_path / name).symlink_to(finished[0])
    (tmp_path / "B").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["jaxbias", "report", "--compare", *words])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
