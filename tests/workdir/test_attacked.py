"""Every file of a work directory, damaged in every way: right results, or one line with a way out.

The cases are made of the files that are really there, one of each kind (ids and numbers apart), so
a new kind of file is attacked without a word here. A refusal must name the file, and doing what it
says must end in right results.
"""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jaxbias.errors import InputError
from jaxbias.files import atomic, pack_files, sealed
from jaxbias.stages import train as train_stage
from jaxbias.workdir.results import ResultDirectory
from tests.workdir import attacked
from tests.workdir.attacked import LONG, stand_in, study_of

STUDIES = {"long": study_of(**LONG), "head": study_of("head")}
FULL = study_of()
DIRECTORIES = ("bases/ID", "pretraining/ID/N")  # Of Orbax: whole or not.


def kinds(workdir: Path) -> dict[str, list[Path]]:
    """The files of a directory, by their names without ids and numbers; packs by their stage."""
    plan, found = ResultDirectory(workdir).plan(), {}
    stages = {
        p.id: stage for stage in ("bases", "rungs", "finetunes") for p in getattr(plan, stage)
    }
    for path in sorted(path for path in workdir.rglob("*") if path.is_file()):
        text = re.sub(r"(?<=/)[\w.]+-\d+-[0-9a-f]{8}", "PROCESS", str(path.relative_to(workdir)))
        text = re.sub(r"[0-9a-f]{16,32}", "ID", re.sub(r"tfevents.*", "N", text))
        text = re.sub(r"(?<=[./])\d+\b", "N", text)
        kind = next((name for name in DIRECTORIES if text.startswith(f"{name}/")), text)
        kind = text if text.endswith(".json") else kind
        found.setdefault(f"{kind} {stages.get(path.stem, '')}".strip(), []).append(path)
    return found


def train(study, workdir):
    train_stage.train(STUDIES[study], workdir)
    scores = ResultDirectory(workdir).scores()
    return dict(zip(scores.variants["variant"], scores.test, strict=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Finished directories of two data sets; and cut ones, where more kinds of files are in use."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        for seed, name in ((1, "other"), (0, "whole")):
            stand_in(patch, seed)
            for study in STUDIES:
                train(study, root / name / study)
        for study, cut in CUT.items():
            cut(Path(shutil.copytree(root / "whole" / study, root / "cut" / study)))
    return root


def cut_long(workdir):
    """In the second rung of the search; one base is on its way, the other finished."""

    def fail(trials, pack, first, stopped, keep):
        if first:
            raise RuntimeError("cut")
        return attacked.train(trials, pack, first, stopped, keep)

    shutil.rmtree(workdir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attacked.Trials, "train", fail)
        with pytest.raises(RuntimeError, match="cut"):
            train("long", workdir)
    directory = ResultDirectory(workdir)
    pack = directory.plan().bases[0]
    directory.pack_path(pack).unlink()
    shutil.rmtree(directory.base_path(pack.members[0].id))


def cut_head(workdir):
    """No head is trained; all bases and features are there."""
    directory = ResultDirectory(workdir)
    for pack in directory.plan().finetunes:
        directory.pack_path(pack).unlink()


CUT = {"long": cut_long, "head": cut_head}


@pytest.fixture(scope="module")
def expected(made):
    found = {}
    for study in STUDIES:
        scores = ResultDirectory(made / "whole" / study).scores()
        found[study] = dict(zip(scores.variants["variant"], scores.test, strict=True))
    return found


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    stand_in(monkeypatch)


def flip(path, other, sibling):
    content = path.read_bytes()
    place = len(content) // 2
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def replace_by(path, source):
    path.unlink()
    if source is not None:
        shutil.copyfile(source, path)


DAMAGES = {
    "empty": lambda path, other, sibling: path.write_bytes(b""),
    "cut": lambda path, other, sibling: path.write_bytes(path.read_bytes()[: -7 * 16]),
    "flipped": flip,
    "deleted": lambda path, other, sibling: path.unlink(),
    "a directory": lambda path, other, sibling: (path.unlink(), path.mkdir()),
    "of another run": lambda path, other, sibling: replace_by(path, other),
    "of another id": lambda path, other, sibling: replace_by(path, sibling),
}


def attack(how, workdir, made, study, part):
    """Damages a file of every kind that `part` holds, or that it does not; returns them."""
    found, others = kinds(workdir), kinds(made / "other" / study)
    hit = []
    for kind, paths in found.items():
        if (kind in part) != ("but" not in part):
            continue
        path, sibling, other = paths[0], paths[-1], others.get(kind, [None])[0]
        if kind in DIRECTORIES:  # What is in a file and what is in the next belongs together.
            path = sibling = other = max(paths, key=lambda path: path.stat().st_size)
        if how.startswith("of another") and path == {"of another run": other}.get(how, sibling):
            continue  # There is no other.
        DAMAGES[how](path, other, sibling)
        hit.append(path)
    return hit


def follow_advice(message, workdir):
    """Deletes what a refusal says, and returns it."""
    assert len(message.splitlines()) == 1, message
    assert re.search("(; |, or )delete .* run again", message), message
    named = [Path(word.rstrip(",;:")) for word in message.split() if str(workdir) in word]
    for path in named:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return named


def mend(study, workdir, hit):
    """Runs until nothing is refused any more, doing what is said; returns scores and refusals."""
    told = []
    for _ in range(len(hit) + 1):
        try:
            return train(study, workdir), told
        except InputError as error:
            told.append(str(error))
            named = follow_advice(told[-1], workdir)
            assert any(path in (bad, *bad.parents) for path in named for bad in hit), told
    raise AssertionError(told)


# What is damaged together.
PARTS = {
    "long": (("but", "plan.json"), ("plan.json",)),
    "head": (("bases/ID", "features/ID.npy", "features/ID.json"),),
}


# Of a damaged checkpoint Orbax's threads tell a loop that is closed already.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("study", STUDIES)
def test_resumed(made, expected, tmp_path, study, how):
    """All kinds but the plan at once, refused one after another; then the plan alone."""
    for part in PARTS[study]:
        workdir = Path(shutil.copytree(made / "cut" / study, tmp_path / f"run{len(part)}"))
        hit = attack(how, workdir, made, study, part)
        got, told = mend(study, workdir, hit)
        assert got.keys() == expected[study].keys(), told
        for variant, scores in expected[study].items():
            np.testing.assert_array_equal(got[variant], scores, err_msg=str(told))


def read_for_report(workdir, patch):
    """What the answer of a directory is made of."""
    seen = []
    patch.setattr(train_stage.manifest, "write", lambda *args: None)
    patch.setattr(train_stage, "make_answer", lambda *args, **named: seen.append((args, named)))
    patch.setattr(train_stage.report, "write", lambda *args: None)
    train_stage.write_report(workdir)
    (((study, dataset, scores), named),) = seen
    trials, choices = named["search"] or (pd.DataFrame(), pd.DataFrame())
    frames = [dataset.table, scores.variants, scores.examples, named["bases"], trials, choices]
    shown = [frame.map(str).to_csv() for frame in frames]
    return [study, dataset.fingerprint, scores.test.tolist(), scores.validation.tolist(), *shown]


_READ = {"study.json", "plan.json", "examples.parquet"}
_READ |= {"packs/ID.parquet bases", "packs/ID.parquet finetunes"}
# Without these a report is of less, or has its own words for it.
_LESS = {
    "deleted": ("packs/ID.parquet bases", "packs/ID.parquet finetunes", "packs/ID.parquet rungs")
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("study", STUDIES)
def test_reported(made, tmp_path, monkeypatch, capsys, study, how):
    """Whatever a report reads is as it was, or refused by name; the rest does not matter to it."""
    workdir = Path(shutil.copytree(made / "whole" / study, tmp_path / "run"))
    whole, refused = read_for_report(workdir, monkeypatch), set()
    read = _READ | {"packs/ID.parquet rungs"} if study == "long" else _READ
    for part in (("but", *read), *((kind,) for kind in sorted(read - set(_LESS.get(how, ()))))):
        hit = attack(how, workdir, made, study, part)
        try:
            assert read_for_report(workdir, monkeypatch) == whole, part
            assert not hit or part[0] == "but" or how == "flipped", part  # Of a byte to no effect.
        except InputError as error:
            told = str(error)
            assert len(told.splitlines()) == 1
            assert any(str(path) in told for path in hit) or f"{workdir} holds no" in told, told
            refused |= {part}
        shutil.rmtree(workdir)
        shutil.copytree(made / "whole" / study, workdir)
    assert ("but", *read) not in refused
    lost = how in ("empty", "cut", "a directory")
    assert ("timings.json is damaged" in capsys.readouterr().err) == lost


def trained_from(workdir):
    directory = ResultDirectory(workdir)
    first, second = (pack.members[0] for pack in directory.plan().bases)
    return directory, directory.base_path(first.id), directory.base_path(second.id)


@pytest.mark.parametrize("study", ["head", "full"])
def test_bases_that_were_swapped_are_refused_and_pretrained_again(made, tmp_path, study):
    workdir = tmp_path / "run"
    if study == "head":
        shutil.copytree(made / "cut" / "head", workdir)
        shutil.rmtree(workdir / "features")
    else:
        train_stage.train(FULL, workdir, "pretrain")
    directory, first, second = trained_from(workdir)
    first.rename(workdir / "x")
    second.rename(first)
    (workdir / "x").rename(second)
    settings = STUDIES["head"] if study == "head" else FULL
    for base in (first, second):
        message = rf"{base.name} holds other parameters .*; delete .*{base.name} and .*parquet and"
        with pytest.raises(InputError, match=message) as refused:
            train_stage.train(settings, workdir)
        follow_advice(str(refused.value), workdir)
    train_stage.train(settings, workdir)
    assert len(directory.scores().variants) == 6


def test_finetunes_of_other_parameters_than_those_there_are_refused(made, tmp_path):
    """A base trained anew by another version, say, beside finetunes of the one before."""
    workdir = Path(shutil.copytree(made / "whole" / "head", tmp_path / "run"))
    directory = ResultDirectory(workdir)
    pack = directory.plan().bases[0]
    (row,) = directory.read_pack(pack).to_pylist()
    directory.write_pack(pack, [{**row, "parameters": "0" * 64}])
    message = r"from other parameters of base 'Control' \(hash \w{12}\) than .* \(000000000000\)"
    with pytest.raises(InputError, match=message):
        ResultDirectory(workdir).scores()


def test_inverted_labels_and_an_edited_learning_rate_are_refused(made, tmp_path):
    workdir = Path(shutil.copytree(made / "whole" / "head", tmp_path / "run"))
    path = workdir / "examples.parquet"
    whole = path.read_bytes()
    table = pd.read_parquet(path)
    table["target"] = ~table["target"]
    table.to_parquet(path, index=False)
    with pytest.raises(InputError, match=r"examples\.parquet is damaged \(its ids, splits and lab"):
        train_stage.write_report(workdir)
    train("head", workdir)  # The data is at hand: the labels are written anew.
    assert path.read_bytes() == whole
    for name in ("study.json", "plan.json"):
        text = (workdir / name).read_text()
        edited = text.replace('"learning_rate": 0.02', '"learning_rate": 0.5')
        assert edited != text
        (workdir / name).write_text(edited)
        for run in (lambda: train("head", workdir), lambda: train_stage.write_report(workdir)):
            with pytest.raises(InputError, match=rf"{name} is damaged \(its checksum is of other"):
                run()
        # With the checksum taken out as well, as earlier versions had none.
        content = json.loads(edited)
        del content["checksum"]
        (workdir / name).write_text(json.dumps(content))
        message = {"study.json": r"learning_rate=0\.5, but", "plan.json": "has not the id of its"}
        with pytest.raises(InputError, match=message[name]):
            train("head", workdir)
        (workdir / name).write_text(text)


def test_an_id_that_escapes_writes_nothing_outside(made, tmp_path):
    workdir = Path(shutil.copytree(made / "cut" / "head", tmp_path / "run"))
    content = json.loads((workdir / "plan.json").read_text())
    del content["checksum"]
    content["finetunes"][0]["id"] = "../../escaped"
    (workdir / "plan.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"pack '\.\./\.\./escaped' has not the id of its content"):
        train("head", workdir)
    pack = dataclasses.replace(ResultDirectory(made / "cut" / "head").plan().bases[0], id="../x")
    directory = ResultDirectory(workdir)
    for path in (directory.pack_path, directory.rung_path):
        with pytest.raises(InputError, match="no id of a base, variant or pack"):
            path(pack)
    for path in (directory.base_path, directory.training_path):
        with pytest.raises(InputError, match="no id of a base, variant or pack"):
            path("../x")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_a_directory_of_an_earlier_version_has_no_hashes_and_goes_on(made, tmp_path):
    """Without checksums and hashes it still reports; the next run adds those of its records."""
    workdir = Path(shutil.copytree(made / "whole" / "head", tmp_path / "run"))
    for name in ("study.json", "plan.json"):
        content = json.loads((workdir / name).read_text())
        del content["checksum"]
        content.pop("examples", None)
        (workdir / name).write_text(json.dumps(content))
    directory = ResultDirectory(workdir)
    for pack in (*directory.plan().bases, *directory.plan().finetunes):
        rows = directory.read_pack(pack).drop_columns(
            ["parameters" if "id" in directory.read_pack(pack).column_names else "base_parameters"]
        )
        pack_files.write(directory.pack_path(pack), rows.to_pylist())
    assert len(ResultDirectory(workdir).scores().variants) == 6
    assert ResultDirectory(workdir).base_rows(directory.plan()).shape[0] == 2
    train("head", workdir)
    assert {"checksum", "examples"} <= json.loads((workdir / "study.json").read_text()).keys()


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path):
    error = PermissionError(13, "Permission denied")
    told = str(atomic.damaged(tmp_path / "plan.json", error, "nothing is trained"))
    assert told.endswith(
        "plan.json cannot be read (Permission denied); make it readable and run again"
    )


@pytest.mark.parametrize("name", ["packs", "bases", "features", "claims", "events"])
def test_a_file_in_the_place_of_a_directory_is_named(made, tmp_path, name):
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / name).write_text("stray")
    with pytest.raises(InputError, match=rf"{name}.* delete what is in its way and run again"):
        train_stage.train(STUDIES["head"], workdir)


def test_a_plan_that_is_gone_is_named(made, tmp_path):
    workdir = Path(shutil.copytree(made / "whole" / "head", tmp_path / "run"))
    (workdir / "plan.json").unlink()
    with pytest.raises(
        InputError, match=r"holds no plan \(no plan.json\); run .* what is finished"
    ):
        train_stage.write_report(workdir)


def test_text_that_is_none_is_refused_where_it_is_written_and_read(tmp_path):
    with pytest.raises(InputError, match=r"a\\udcff' is no text; write the names of the config"):
        sealed.write(tmp_path / "study.json", {"settings": {"name": "a\udcff"}})
    assert not (tmp_path / "study.json").exists()
    (tmp_path / "study.json").write_text('{"settings": {"name": "a\\udcff"}}')
    with pytest.raises(InputError, match=r"study\.json is damaged \(.*surrogates not allowed"):
        ResultDirectory(tmp_path).stored_study()
