"""Names of curations: each says all of its rule, and what is no rule is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.errors import InputError
from jaxbias.files.content import content_id
from jaxbias.study import Curation, curations_of, parse_curation
from tests.tiny import tiny_study

prevalences = st.one_of(st.none(), st.just(0.5), st.floats(0.001, 0.999))
leveled = st.builds(
    Curation,
    st.sampled_from(["correlation", "pair_mix"]),
    level=st.integers(0, 10),
    prevalence=prevalences,
)
mixes = st.builds(
    Curation,
    st.just("source_mix"),
    level=st.integers(0, 10),
    column=st.one_of(st.just("source"), st.sampled_from(["region", "my column", "a at b"])),
)
removals = st.builds(
    Curation,
    st.just("reduce_only"),
    level=st.integers(0, 10),
    prevalence=prevalences,
    start=st.integers(1, 9),
).filter(lambda rule: rule.level != rule.start)
mixtures = st.builds(
    Curation,
    st.just("mixture"),
    level=st.integers(0, 10),
    prevalence=prevalences,
    share=st.floats(0.001, 0.999),
)
drops = st.builds(
    Curation, st.just("drop"), k=st.integers(1, 999), table=st.sampled_from(["trak", "a.b"])
)
counted = st.builds(
    Curation, st.sampled_from(["add_minority", "replace_minority"]), k=st.integers(0, 10**6)
)
plain = st.builds(Curation, st.sampled_from(["natural", "dfr", "group_balanced", "group_dro"]))


@given(st.one_of(leveled, mixes, removals, mixtures, drops, counted, plain))
@settings(max_examples=300)
def test_a_name_says_all_of_a_rule(rule):
    assert parse_curation(rule.name, "") == rule


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("source_mix", "must be written like 'source_mix 3'"),
        ("source_mix 11", r"a level that is not in 0\.\.10"),
        ("source_mix 3 at 0.5", "must be written like 'source_mix 3'"),
        ("reduce_only 3", "must be written like 'reduce_only 3 from 2'"),
        ("reduce_only 3 from 12", r"a level that is not in 0\.\.10"),
        ("reduce_only 3 from x", "must be written like 'reduce_only 3 from 2'"),
        ("reduce_only 2 from 2", "removes nothing: that is 'correlation 2'"),
        ("reduce_only 3 from 0", "level 0 has no image of two cells that level 3 needs"),
        ("reduce_only 9 from 10", "level 10 has no image of two cells that level 9 needs"),
        ("reduce_only 3 from 2 at 2", "has a prevalence that is neither"),
        ("mixture 3", "must be written like 'mixture 3 0.5'"),
        ("mixture 3 1.0", "has a natural share that is not between 0 and 1"),
        ("mixture 3 half", "has a natural share that is not between 0 and 1"),
        ("drop 3", "must be written like 'drop 3 by NAME'"),
        ("drop many by t", "must be written like 'drop 3 by NAME'"),
        ("dfr 3", "must be written like 'dfr'"),
        ("add_minority", "must be written like 'add_minority 3'"),
        ("correlation 3 at", "must be written like 'correlation 3'"),
        ("correlation -3", "must be written like 'correlation 3'"),
        ("source_mx 3", "did you mean 'source_mix'"),
    ],
)
def test_what_is_no_name_is_refused_in_one_line(name, why):
    with pytest.raises(InputError, match=why) as refused:
        parse_curation(name, "place")
    assert str(refused.value).startswith(f"place: curation '{name}'")
    assert "\n" not in str(refused.value)


def test_content_of_rules_that_came_first_is_what_it_was():
    assert Curation("correlation", 5, 0.5).content == {
        "kind": "correlation", "level": 5, "prevalence": 0.5, "k": None,
    }  # fmt: skip
    named = (parse_curation(f"source_mix 3 of {column}", "") for column in ("source", "region"))
    assert len({content_id(rule.content) for rule in named}) == 2
    starts = (parse_curation(f"reduce_only 3 from {start}", "") for start in (2, 8))
    assert len({content_id(rule.content) for rule in starts}) == 2


def test_tasks_are_tried_with_what_they_can_be_curated_by():
    study = tiny_study(
        pairs=("other|target",),
        curations={
            "correlation": {"levels": (5,)},
            "pair_mix": {"levels": (1,)},
            "source_mix": {"levels": (0, 3), "column": "group"},
            "reduce_only": {"levels": (3,), "start": 4, "prevalence": "natural"},
            "mixture": {"levels": (5, 8), "shares": (0.9, 0.5)},
            "drop": {"k": (4,), "tables": {"a": "a.csv", "b": "b.csv"}},
        },
    )
    tried = {task: [c.name for c in curations_of(study, task)] for task in ("target", *study.pairs)}
    mixes = ["source_mix 0 of group", "source_mix 3 of group"]
    mixtures = [f"mixture {level} {share}" for level in (5, 8) for share in (0.9, 0.5)]
    drops = ["drop 4 by a", "drop 4 by b"]
    removed = "reduce_only 3 from 4 at natural"
    assert tried == {
        "target": ["natural", "correlation 5", *mixes, removed, *mixtures, *drops],
        "other|target": ["natural", "pair_mix 1", *mixes, *drops],
    }


@pytest.mark.parametrize(
    ("curations", "why"),
    [
        (
            {"reduce_only": {"levels": (2,), "start": 2}},
            r"^config\.curations\.reduce_only: curation 'reduce_only 2 from 2' removes nothing",
        ),
        ({"reduce_only": {"levels": (3, 3)}}, r"reduce_only\.levels has 3 twice"),
        ({"source_mix": {"levels": (3, 3)}}, r"source_mix\.levels has 3 twice"),
        ({"mixture": {"shares": (0.5, 0.5)}}, r"mixture\.shares has 0\.5 twice"),
        ({"mixture": {"levels": (5,), "shares": (1.0,)}}, r"config\.curations\.mixture: curation"),
        ({"drop": {"k": (5,)}}, r"drop\.k drops images by tables of example scores, and there is"),
        ({"drop": {"tables": {"a b": "t.csv"}}}, r"drop\.tables: the name 'a b' must be one word"),
        ({"reduce_only": {"prevalence": "half"}}, r"reduce_only\.prevalence='half' must be"),
    ],
)
def test_settings_that_are_wrong_together_are_refused(curations, why):
    with pytest.raises(InputError, match=why):
        tiny_study(curations=curations)
