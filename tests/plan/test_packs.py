"""Variants and plans: ids are content, packs are appended, nothing moves."""

import dataclasses
import json

import pytest

from jaxbias.plan.packs import Plan, extend_plan, most_members
from jaxbias.plan.variants import expand
from tests.tiny import tiny_config, tiny_study


def signatures(variants):
    return {v.id: v.n for v in variants} | {v.base.id: "base" for v in variants}


def test_expansion_is_the_whole_grid_with_distinct_ids():
    variants = expand(tiny_study(), "data")
    assert len(variants) == 3 * 3 * 2  # bases × (natural, 2, 5) × seeds
    assert len({v.id for v in variants}) == len(variants)
    assert {v.curation.name for v in variants} == {"natural", "correlation 2", "correlation 5"}


def test_ids_are_content_not_position():
    before = {v.id for v in expand(tiny_study(), "data")}
    grown = expand(
        tiny_study(
            finetune={"n": (10, 20), "epochs": 1, "batch": 16, "seeds": 3},
            curations={"correlation": {"levels": (9, 2, 5)}},
        ),
        "data",
    )
    assert before < {v.id for v in grown}
    assert before.isdisjoint({v.id for v in expand(tiny_study(), "other data")})
    slower = tiny_study(finetune={"n": (20,), "epochs": 2, "batch": 16, "seeds": 2})
    assert before.isdisjoint({v.id for v in expand(slower, "data")})


def test_bases_depend_on_what_makes_them_alone():
    names = {v.base.name: v.base.id for v in expand(tiny_study(), "data") if v.seed == 0}
    config = tiny_config()
    config["bases"]["Renamed"] = config["bases"].pop("Grouped") | {"role": "control"}
    renamed = {v.base.name: v.base.id for v in expand(tiny_study(**config), "data") if v.seed == 0}
    assert renamed["Renamed"] == names["Grouped"]
    assert renamed["Control"] == names["Control"] != names["Grouped"]


def test_what_bases_may_say_since_changes_the_ids_of_those_that_say_it_alone():
    plain = {"target": "group", "curation": "class_balanced"}
    bases = {
        "Plain": plain,
        "Several": {"target": "target", "also": ("other",)},  # Group-balanced.
        "Soft": {"target": "target", "also": ("other",), "soft": True},
        "Others": {**plain, "without": ("target=1", "other=1")},
        "Others too": {**plain, "without": ("other=1", "target=1")},
    }
    found = {v.base.name: v.base.id for v in expand(tiny_study(bases=bases), "d") if v.seed == 0}
    # As earlier versions made them.
    assert (found["Plain"], found["Several"]) == ("f6cb70fbd76b115c", "7e37b005593934dc")
    assert found["Others"] == found["Others too"]
    assert len(set(found.values())) == 4


def test_every_repeat_has_a_pretraining_seed_of_its_own():
    pairs = {(v.seed, v.base.seed) for v in expand(tiny_study(), "d")}
    assert pairs == {(0, 0), (1, 1)}


def test_extending_appends_and_round_trips():
    variants = expand(tiny_study(), "data")
    plan = extend_plan(Plan("data"), variants, signatures(variants), lambda _: 4)
    assert sorted(v.id for v in plan.variants) == sorted(v.id for v in variants)
    assert extend_plan(plan, variants, signatures(variants), lambda _: 4) == plan
    assert all(len(pack.members) <= pack.width <= 4 for pack in (*plan.bases, *plan.finetunes))
    assert len({pack.width for pack in plan.finetunes}) == 1

    more = expand(
        tiny_study(finetune={"n": (20, 30), "epochs": 1, "batch": 16, "seeds": 2}), "data"
    )
    longer = extend_plan(plan, more, signatures(more), lambda _: 4)
    assert longer.finetunes[: len(plan.finetunes)] == plan.finetunes
    assert longer.bases == plan.bases
    assert len(longer.variants) == 2 * len(plan.variants)

    assert Plan.of(json.loads(json.dumps(longer.content))) == longer


def test_members_of_a_pack_agree_in_signature():
    more = expand(tiny_study(finetune={"n": (20, 30), "epochs": 1, "batch": 16, "seeds": 2}), "d")
    plan = extend_plan(Plan("d"), more, signatures(more), lambda _: 100)
    assert sorted(len({v.n for v in pack.members}) for pack in plan.finetunes) == [1, 1]


def test_what_is_added_uses_a_width_again_where_that_pads_little():
    def finetuned(seeds, plan):
        study = tiny_study(
            bases={"Scratch": {"role": "scratch"}},
            finetune={"n": (20,), "epochs": 1, "seeds": seeds},
        )
        variants = expand(study, "d")
        return extend_plan(plan, variants, signatures(variants), lambda _: 8)

    first = finetuned(4, Plan("d"))  # Of 12, two packs of 6.
    assert [pack.width for pack in first.finetunes] == [6, 6]
    # Nine more would make packs of 5; three more places in two packs of 6 are too many.
    assert [pack.width for pack in finetuned(7, first).finetunes[2:]] == [5, 5]
    # Of 24 more, four packs of 6 and not three of 8, which would be another program.
    assert [pack.width for pack in finetuned(12, first).finetunes[2:]] == [6] * 4


@pytest.fixture
def content():
    """A whole plan, as JSON has it."""
    variants = expand(tiny_study(), "data")
    plan = extend_plan(
        Plan("data"), variants, signatures(variants), lambda _: 4, trials=variants[:3]
    )
    return json.loads(json.dumps(plan.content))


def member_of(content):
    return content["finetunes"][0]["members"][0]


ALTERED = {
    "another format": (lambda c: c.update(format=9), "it is of format 9, not 3"),
    "no packs": (lambda c: c.pop("bases"), "it is no plan: KeyError"),
    "a list": (lambda c: c.update(bases=[[]]), "it is no plan: TypeError"),
    "a field too many": (lambda c: c.update(colour=1), "it is no plan: TypeError"),
    "another width": (lambda c: c["bases"][0].update(width=5), "pack .* not the id of its content"),
    "an empty pack": (lambda c: c["rungs"][0].update(members=[]), "not the id of its content"),
    "an escape": (
        lambda c: c["finetunes"][0].update(id="../../escaped"),
        r"pack '../../escaped' has not the id of its content",
    ),
    "a base that escapes": (
        lambda c: c["bases"][0]["members"][0].update(id="../../escaped"),
        r"'../../escaped' is no id of a base",
    ),
    "members in another order": (lambda c: c["finetunes"][0]["members"].reverse(), "pack .* not"),
    "a member more": (
        lambda c: c["finetunes"][0]["members"].append(member_of(c)),
        "pack .* not the id",
    ),
    "devices": (lambda c: c.update(devices=2), "it is no plan: TypeError"),
    "a finetune as a rung": (lambda c: c.update(rungs=c["finetunes"]), "pack .* not the id"),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_plan_is_refused(content, name):
    alter, message = ALTERED[name]
    alter(content)
    with pytest.raises(ValueError, match=message):
        Plan.of(content)


def test_a_plan_that_fixed_devices_opens_without_them(content):
    fixed = {"format": 2, "mode": "vmap", "devices": 4, "store": "host", "data_devices": 1}
    assert Plan.of({**content, **fixed}) == Plan.of(content)
    del content["rungs"]  # Earlier still.
    assert Plan.of({**content, **fixed}).rungs == ()


def test_how_many_members_a_pack_may_have_is_told_by_the_study_alone():
    variants = expand(tiny_study(), "d")
    base, full = variants[0].base, variants[0]
    head = dataclasses.replace(full, recipe=dataclasses.replace(full.recipe, mode="head"))
    given, any_width = tiny_study(), tiny_study(grid={"pack_width": 0})
    assert [most_members(given, member) for member in (base, full, head)] == [1, 4, 1024]
    assert [most_members(any_width, member) for member in (base, full, head)] == [1, 64, 1024]


EDITED = {
    "learning rate": lambda v: v["recipe"].update(learning_rate=0.5),
    "curation": lambda v: v["curation"].update(kind="class_balanced"),
    "n": lambda v: v.update(n=21),
    "seed": lambda v: v.update(seed=7),
    "task": lambda v: v.update(task="other"),
    "base": lambda v: v.update(base={**v["base"], "id": "0" * 16}),
    "what a base learns": lambda v: v.update(base={**v["base"], "target": "x", "role": "control"}),
}


@pytest.mark.parametrize("name", EDITED)
def test_a_member_that_is_not_what_its_id_says_is_refused(content, name):
    Plan.of(content).check_members(tiny_study())
    EDITED[name](member_of(content))
    with pytest.raises(ValueError, match="has not the id of its content"):
        Plan.of(content).check_members(tiny_study())


def test_members_of_another_study_are_refused_and_of_a_grown_one_are_not(content):
    plan = Plan.of(content)
    plan.check_members(tiny_study(curations={"on_shortage": "shrink", "correlation": {}}))
    for changes in ({"model": {"widths": (8,)}}, {"group": {"column": "other"}}):
        with pytest.raises(ValueError, match=r"base '.*' has not the id of its content"):
            plan.check_members(tiny_study(**changes))
