"""The paper's claims: decided by intervals, on tables made by hand; the page; and the runner."""

import subprocess

import numpy as np
import pandas as pd
import pytest

from benchmarks import paper, paper_claims
from benchmarks.paper_claims import CLAIMS
from benchmarks.paper_page import write_page
from benchmarks.paper_verdicts import AGREES, DENIES, UNDECIDED
from jaxbias.errors import InputError
from jaxbias.study import DataSpec, GroupSpec, Study
from jaxbias.study.config_file import load

STUDY = Study(name="by hand")  # epsilon 0.05, delta 0.03.
NAN = float("nan")


class Tables(dict):
    """Those that a report does not have are empty."""

    def __missing__(self, name):
        return pd.DataFrame()


def said(claim, **tables):
    found = claim(Tables({name: pd.DataFrame(rows) for name, rows in tables.items()}), STUDY)
    return [one.verdict for one in found]


@pytest.mark.parametrize("row", CLAIMS)
def test_without_tables_nothing_is_claimed(row):
    assert [said(claim) for claim in CLAIMS[row]] == [[]] * len(CLAIMS[row])


def saliences(*bounds):
    return [
        {"task": f"t{i}", "salience": (low + high) / 2, "low_family": low, "high_family": high}
        | {"more_salient": "group" if low > 0.5 else "target" if high < 0.5 else "undecided"}
        for i, (low, high) in enumerate(bounds)
    ]


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ([(0.1, 0.2), (0.6, 0.7)], AGREES),
        ([(0.6, 0.7), (0.8, 0.9)], DENIES),  # All on one side.
        ([(0.4, 0.6), (0.6, 0.7)], UNDECIDED),
    ],
)
def test_salience(bounds, verdict):
    assert said(paper_claims.salience, salience=saliences(*bounds)) == [verdict]


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [((0.6, 0.7), AGREES), ((0.2, 0.4), AGREES), ((0.47, 0.52), DENIES), ((0.4, 0.7), UNDECIDED)],
)
def test_salience_within_a_pair(bounds, verdict):
    assert said(paper_claims.within_pair, salience=saliences(bounds)) == [verdict]


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("yes", AGREES),
        ("practically none", AGREES),
        ("no", DENIES),
        ("reversed", DENIES),
        ("undecided", UNDECIDED),
    ],
)
def test_inherited_is_what_the_answer_says_and_shows_the_nearest_control(rule, verdict):
    key = {"task": "t", "base": "Gendered", "n": 512}
    rows = [
        key | {"against": name, "difference": low + 0.1, "low_family": low, "high_family": low + 1}
        for name, low in (("near", -0.1), ("far", 0.2))
    ]
    tables = Tables(
        inherited=pd.DataFrame(rows), inherited_verdicts=pd.DataFrame([key | {"verdict": rule}])
    )
    (one,) = paper_claims.inherited(tables, STUDY)
    assert one.verdict == verdict
    assert one.low == -0.1
    assert "near, the nearest" in one.found


@pytest.mark.parametrize(
    ("bounds", "verdict"), [((0.1, 0.3), AGREES), ((-0.3, -0.1), DENIES), ((-1, 1), UNDECIDED)]
)
def test_regression_is_about_salience_alone(bounds, verdict):
    common = {"base": "Gendered", "model": "ratio", "points": 22, "attributes": 11}
    rows = [
        common | {"term": term, "value": 0, "low": low, "high": high}
        for term, (low, high) in (("salience", bounds), ("distance", (1, 2)))
    ]
    assert said(paper_claims.explained, regression=rows) == [verdict]


@pytest.mark.parametrize(
    ("last", "met", "verdict"),
    [
        ((-0.01, 0.02), 256, AGREES),
        ((0.06, 0.2), NAN, DENIES),
        ((0.01, 0.2), NAN, UNDECIDED),
    ],
)
def test_bases_meet_at_the_largest_size(last, met, verdict):
    key = {"task": "t", "base": "Gendered", "against": "Scratch", "metric": "fpr_gap"}
    sizes = [
        key | {"n": n, "difference": 0.0, "low_all": low, "high_all": high}
        for n, (low, high) in ((16, (0.3, 0.5)), (1024, last))
    ]
    meeting = [key | {"largest": 1024, "met_from": met, "bound": 0.05}]
    assert said(paper_claims.meeting, sizes=sizes, meeting=meeting) == [verdict]


def levels(*cuts, role="studied"):
    """(curation, reduction's bounds, AUC change's bounds) of one base, and its natural draw."""
    common = {"task": "t", "base": "B", "n": 512, "role": role, "population": "natural"}
    common |= {"gap": 0.2, "gap_low": 0.1, "gap_high": 0.3, "marked": ""}
    rows = [("natural", (NAN, NAN), (NAN, NAN)), *cuts]
    return [
        common
        | {"curation": name, "gap_reduction": np.mean(cut), "auc_change": np.mean(change)}
        | {"gap_reduction_low": cut[0], "gap_reduction_high": cut[1]}
        | {"auc_change_low": change[0], "auc_change_high": change[1]}
        for name, cut, change in rows
    ]


@pytest.mark.parametrize(
    ("cuts", "verdict"),
    [
        ([("a", (0.01, 0.3), (-0.02, 0)), ("b", (-0.3, -0.1), (0, 0))], [AGREES, AGREES]),
        ([("a", (0.01, 0.3), (-0.2, -0.1))], [AGREES, DENIES]),
        ([("a", (0.01, 0.3), (-0.2, 0.1))], [AGREES, UNDECIDED]),
        ([("a", (-0.2, 0.04), (0, 0.1)), ("b", (-0.3, -0.1), (0, 0))], [DENIES, AGREES]),
        ([("a", (-0.2, 0.06), (0, 0.1))], [UNDECIDED, AGREES]),
        ([("a", (NAN, NAN), (0, 0.1))], [UNDECIDED]),  # No sure gap to cut.
    ],
)
def test_overwritten_where_some_level_surely_cuts(cuts, verdict):
    assert said(paper_claims.overwritten, overwritten=levels(*cuts)) == verdict


def test_controls_are_not_overwritten():
    assert said(paper_claims.overwritten, overwritten=levels(role="control")) == []


@pytest.mark.parametrize(
    ("each", "verdict"),
    [
        (("as good", "as good"), AGREES),
        (("as good", "worse"), DENIES),
        (("as good", "undecided"), UNDECIDED),
    ],
)
def test_removal_must_do_at_every_level(each, verdict):
    rows = [
        {"task": "t", "base": "B", "role": "studied", "curation": f"correlation {i}"}
        | {"verdict": word, "gap_change": 0.0, "gap_change_low": -0.1 * i, "gap_change_high": 0.01}
        for i, word in enumerate(each)
    ]
    (one,) = paper_claims.removal(Tables(reduction=pd.DataFrame(rows)), STUDY)
    assert one.verdict == verdict
    assert one.low == -0.1  # Of the level that is the least sure.


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((-0.1, -0.2, -0.05, 0.4, 0.6, 0.7), [AGREES, AGREES]),
        ((-0.1, -0.2, -0.05, 0.4, 1.0, NAN), [AGREES, UNDECIDED]),
        ((-0.1, -0.2, -0.05, NAN, NAN, NAN), [AGREES, DENIES]),  # Behind at every share.
        ((0.1, 0.05, 0.2, NAN, NAN, 0.1), [DENIES, AGREES]),
        ((0.0, -0.05, 0.05, 0.1, 1.0, NAN), [UNDECIDED, UNDECIDED]),
        ((NAN,) * 6, [UNDECIDED, UNDECIDED]),  # Not trained.
    ],
)
def test_matching_share(numbers, verdict):
    names = ("difference", "low", "high", "share_low", "share_high", "sure_share")
    row = {"task": "a|b", "subgroup": "b", "n": 256, "base": "A", "against": "B"}
    row |= dict(zip(names, numbers, strict=True))
    assert said(paper_claims.matching, matching_share=[row]) == verdict


def of_two_bases(metric, group, own, fresh):
    common = {"task": "t", "n": 512, "metric": metric, "group": group, "curation": "natural"}
    arms = (("studied", "On_t", own), ("scratch", "Scratch", fresh))
    return [
        common
        | {"role": role, "base": base, "value": sum(ends) / 2}
        | {"low": ends[0], "high": ends[1]}
        for role, base, ends in arms
    ]


@pytest.mark.parametrize(
    ("own", "verdict"),
    [((0.8, 0.9), AGREES), ((0.3, 0.4), DENIES), ((0.55, 0.9), UNDECIDED)],
)
def test_what_bases_know_is_beside_a_fresh_network(own, verdict):
    """The ends of two intervals: those of the fresh one are .5 and .6."""
    curves = of_two_bases("auc", "all", own, (0.5, 0.6))
    curves += of_two_bases("auc", "male", (0.0, 0.1), (0.9, 1.0))  # Asked of all examples alone.
    assert said(paper_claims.known, curves=curves) == [verdict]
    macro = of_two_bases("macro_auc", STUDY.group.names[1], own, (0.5, 0.6))
    assert said(paper_claims.known_objects, macro=macro) == [verdict]


@pytest.mark.parametrize(
    ("base", "place", "asked"),
    [
        ("Catalogue", "home", True),
        ("Catalogue", "region east", True),
        ("Catalogue", "catalogue", False),
        ("Home", "catalogue", True),
        ("Home", "income bin 1", False),
    ],
)
def test_only_a_base_that_lacks_a_source_has_to_catch_up(base, place, asked):
    group = GroupSpec(column="source", values=("a", "b"), names=("catalogue", "home"))
    row = {"metric": "top_5_hit_rate", "base": base, "against": "X", "place": place, "n": 128}
    row |= {"difference": -0.1, "low": -0.2, "high": -0.05}
    row |= {"share_low": 0.3, "share_high": 0.5, "sure_share": 0.6}
    other = row | {"metric": "macro_ap"}
    tables = Tables(catching_up=pd.DataFrame([row, other]))
    found = list(paper_claims.geography(tables, Study(group=group)))
    assert [one.verdict for one in found] == [AGREES, AGREES] * asked


def test_the_page_says_what_was_found_on_the_simulator_and_what_is_missing(tmp_path):
    found = pd.DataFrame(
        [
            {"row": "s1", "claim": "bases <meet>", "about": "a", "found": "f"}
            | {"value": 0.1, "low": 0.05, "high": NAN, "verdict": verdict}
            for verdict in (AGREES, DENIES, AGREES)
        ]
    )
    page = write_page(tmp_path / "claims.html", found, {"s1": STUDY}, ["s3", "s5"])
    text = page.read_text()
    assert "found on this simulator" in text
    assert "Not there yet: s3, s5." in text
    assert "bases &lt;meet&gt;" in text
    assert 'href="s1/report/report.html"' in text
    real = Study(name="real", data=DataSpec(name="celeba"))
    page = write_page(tmp_path / "claims.html", found, {"s1": real}, [])
    assert "simulator" not in page.read_text()


def test_every_run_is_a_config_that_there_is():
    for name, config in paper.RUNS.items():
        assert load(str(paper.CONFIGS / config)).name.startswith(paper.row_of(name))


def test_a_row_that_fails_ends_the_command_with_its_code(tmp_path, monkeypatch, capfd):
    asked = []

    def refuse(command, check):
        asked.append(command)
        return subprocess.CompletedProcess(command, 2)

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(SystemExit) as stopped:
        paper.run("s1", tmp_path)
    assert stopped.value.code == 2
    assert "the same command goes on" in capfd.readouterr().err
    (command,) = asked
    assert command[-2].endswith("configs/paper/s1.py:faces")
    assert command[-1] == f"--workdir={tmp_path}/s1"


def test_a_page_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="no row with a report"):
        paper.collect(tmp_path)
