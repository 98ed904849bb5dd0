"""What a directory goes on with: order is no content, bases are found by theirs."""

import shutil

import pytest

from jaxbias.analysis.recipe import apart, of_one_recipe
from jaxbias.errors import InputError
from jaxbias.stages import train
from jaxbias.study import make_study
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_config
from tests.workdir.attacked import stand_in

FINETUNE = {"n": (8,), "epochs": 1, "batch": 4, "seeds": 1}


def config_of(**changes):
    return tiny_config(
        **{
            "targets": ("target", "other"),
            "pretrain": {"n": 8, "epochs": 1, "batch": 4},
            "finetune": FINETUNE,
            "curations": {"correlation": {"levels": (5,)}},
            "grid": {"pack_width": 2, "devices": 1},
            **changes,
        }
    )


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    stand_in(monkeypatch)


@pytest.fixture
def workdir(tmp_path):
    train.train(make_study(config_of()), tmp_path / "run")
    return tmp_path / "run"


def stamps(workdir, folder):
    return {p: p.stat().st_mtime_ns for p in (workdir / folder).rglob("*") if p.is_file()}


def answering(study, scores):
    """The variants that the answer of a study rests on."""
    return of_one_recipe(study, apart(study, scores)[1])[0].variants


def test_a_run_that_finds_everything_agreed_upon_writes_no_record_and_queues_for_none(workdir):
    names = ("study.json", "plan.json", "examples.parquet", "claims/plan.json")
    before = [(workdir / name).stat().st_mtime_ns for name in names]
    train.train(make_study(config_of()), workdir)
    assert [(workdir / name).stat().st_mtime_ns for name in names] == before
    (workdir / "examples.parquet").write_bytes(b"damaged")
    train.train(make_study(config_of()), workdir)
    after = [(workdir / name).stat().st_mtime_ns for name in names]
    assert after[1] == before[1] and after[2:] != before[2:]
    ResultDirectory(workdir).examples()


def test_targets_and_values_in_another_order_train_nothing(workdir):
    before = stamps(workdir, "packs")
    train.train(make_study(config_of(targets=("other", "target"))), workdir)
    assert stamps(workdir, "packs") == before
    assert ResultDirectory(workdir).stored_study()["settings"]["targets"] == ["other", "target"]
    with pytest.raises(
        InputError, match=r"with targets=\['other', 'target'\], but the config says"
    ):
        train.train(make_study(config_of(targets=("target",))), workdir)


def test_another_mode_stands_beside_on_the_same_bases(workdir):
    bases, packs = stamps(workdir, "bases"), stamps(workdir, "packs")
    study = make_study(config_of(finetune={**FINETUNE, "mode": "head"}))
    train.train(study, workdir)
    assert stamps(workdir, "bases") == bases
    assert packs.items() <= stamps(workdir, "packs").items()
    directory = ResultDirectory(workdir)
    assert len(directory.plan().bases) == 2
    modes = directory.scores().variants["mode"]
    assert modes.value_counts().to_dict() == {"full": 12, "head": 12}
    for mode in ("head", "full"):  # Each answers where the config asks for it, alone.
        study = make_study(config_of(finetune={**FINETUNE, "mode": mode}))
        assert set(answering(study, directory.scores())["mode"]) == {mode}
    heads = directory.scores().only((modes == "head").to_numpy())
    with pytest.raises(InputError, match="all 12 finished variants are heads, and"):
        answering(study, heads)
    full = directory.scores().only((modes == "full").to_numpy())
    study = make_study(config_of(finetune={**FINETUNE, "mode": "head"}))
    with pytest.raises(InputError, match=r"recipe \(.*mode=head.*\), and no finished variant"):
        answering(study, full)


def test_a_new_workdir_finds_bases_that_are_copied_into_it(workdir, tmp_path):
    study = make_study(config_of(finetune={**FINETUNE, "epochs": 2}))
    advice = r"finetune\.epochs=1, but the config says 2; .* into which bases/ and packs/ .* copied"
    with pytest.raises(InputError, match=advice):
        train.train(study, workdir)
    new = tmp_path / "new"
    for folder in ("bases", "packs"):
        shutil.copytree(workdir / folder, new / folder)
    bases = stamps(new, "bases")
    train.train(study, new)
    assert stamps(new, "bases") == bases
    assert set(ResultDirectory(new).scores().variants["epochs"]) == {2}


def test_another_base_of_the_same_name_is_refused_even_if_it_was_left_out_between(workdir):
    bases = config_of()["bases"]
    without = {name: base for name, base in bases.items() if name != "Control"}
    train.train(make_study(config_of(bases=without)), workdir)
    swapped = {**bases, "Control": {"role": "studied", "target": "other"}}
    with pytest.raises(InputError, match=r"has planned a base named 'Control' .* another name"):
        train.train(make_study(config_of(bases=swapped)), workdir)
    train.train(make_study(config_of()), workdir)
