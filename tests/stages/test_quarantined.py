"""A pack that fails again and again: the rest is trained, and everybody is told."""

import pytest

import jaxbias
from jaxbias.engine.runner import Runner
from jaxbias.engine.trials import Trials
from jaxbias.errors import InputError
from jaxbias.stages import train
from jaxbias.workdir import crew
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_config, tiny_study

pytestmark = pytest.mark.usefixtures("in_memory")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(crew, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(crew, "_RETRY_SECONDS", 0.0)


def poisoned(monkeypatch, method, member):
    """One pack, that with such a member, raises whenever it is trained."""
    whole = getattr(Runner, method)

    def fail(self, pack, *arguments):
        if member in pack.members:
            raise MemoryError("it does not fit")
        return whole(self, pack, *arguments)

    monkeypatch.setattr(Runner, method, fail)


def test_the_report_names_a_pack_of_finetunes_and_a_later_run_does_it(tmp_path, monkeypatch):
    study = tiny_study()
    train.train(study, tmp_path, "plan")
    plan = ResultDirectory(tmp_path).plan()
    first = plan.finetunes[0]
    with monkeypatch.context() as patch:
        poisoned(patch, "finetune", first.members[0])
        train.train(study, tmp_path)
    left = len(plan.variants) - len(first.members)
    assert ResultDirectory(tmp_path).failures.quarantined() == [first.id]
    answer, page = train.write_report(tmp_path)
    assert len(answer.variants) == left
    text = page.read_text()
    assert f"{left} of {len(plan.variants)} planned models are trained" in text
    assert f"1 pack failed 3 times and is quarantined: {first.id} (MemoryError: it d" in text
    # It is left alone, until somebody says otherwise.
    assert train.train(study, tmp_path)["variants"] == 0
    for path in (tmp_path / "failures").glob(f"{first.id}.*"):
        path.unlink()
    assert train.train(study, tmp_path)["variants"] == len(first.members)
    assert list((tmp_path / "failures").iterdir()) == []


def test_finetunes_of_a_base_that_fails_are_left_out(tmp_path, monkeypatch):
    study = tiny_study()
    train.train(study, tmp_path, "plan")
    directory = ResultDirectory(tmp_path)
    plan = directory.plan()
    poisoned(monkeypatch, "pretrain", plan.bases[0].members[0])
    train.train(study, tmp_path)
    lost = {base.id for base in plan.bases[0].members}
    for pack in plan.finetunes:
        assert directory.has(pack) is not any(v.base.id in lost for v in pack.members)
    assert any(map(directory.has, plan.finetunes))


def test_a_search_without_all_its_trials_says_why_it_has_no_choice(tmp_path, monkeypatch):
    search = {"learning_rates": (0.1, 0.01), "first_epochs": 1, "max_epochs": 1, "repeats": 1}
    config = tiny_config(search=search)
    train.train(jaxbias.make_study(config), tmp_path, "plan")
    plan = ResultDirectory(tmp_path).plan()
    whole = Trials.train

    def fail(self, pack, *arguments):
        if pack.id == plan.rungs[0].id:
            raise MemoryError("it does not fit")
        return whole(self, pack, *arguments)

    monkeypatch.setattr(Trials, "train", fail)
    with pytest.raises(InputError, match="1 pack failed 3 times and is quarantined"):
        train.train(jaxbias.make_study(config), tmp_path)
