"""What would change the answer: the page decides as Python does, in a real browser."""

import dataclasses
import itertools

import numpy as np

from benchmarks import verdict_studies as drawn
from jaxbias.analysis import rules
from jaxbias.analysis.evidence import evidence
from jaxbias.analysis.question import question
from jaxbias.analysis.rules import Bounds, Evidence, Tried
from jaxbias.analysis.uncertainty import Interval
from jaxbias.report import what_if
from jaxbias.report.embedded import asset, data
from tests.report.browsing import opened

BASE, N, RULE, LEVELS = drawn.BASE, drawn.N, drawn.RULE, drawn.LEVELS
GRID = [round(0.01 * i, 2) for i in range(13)]


def random_evidence(rng):
    """Bounds of two decimals, so that many lie exactly on an epsilon or a delta."""

    def number(scale=0.1):
        return float(np.round(rng.uniform(-scale, scale), 2))

    def interval(scale=0.1):
        low, high = sorted((number(scale), number(scale)))
        return Interval((low + high) / 2, low, high)

    def bounds(gaps):
        unknown = Interval(np.nan, np.nan, np.nan)
        change = unknown if rng.random() < 0.03 else interval(0.05)
        return Bounds(tuple(interval(0.08) for _ in range(gaps)), change)

    sizes = rng.integers(1, 5, rng.integers(1, 4))
    names = [[f"{kind} {dose}" for dose in range(size)] for kind, size in enumerate(sizes)]
    every = [name for axis in names for name in axis]
    usable = [name for name in every if rng.random() < 0.85]
    gaps = int(rng.integers(1, 3))
    costs = {
        name: int(cost) for name, cost in zip(every, rng.integers(0, 6, len(every)), strict=True)
    }
    errors = [0.01, 0.02, 0.0, float("nan")]

    def tried(name):
        measured = [number() if rng.random() < 0.97 else float("nan") for _ in range(gaps + 1)]
        measured = tuple((m, float(rng.choice(errors, p=[0.5, 0.4, 0.05, 0.05]))) for m in measured)
        cases = [tuple(bounds(gaps) for _ in sizes) for _ in range(2)]
        return Tried(name, costs[name], number(), measured, *cases)

    natural = number()
    natural = Interval(natural, natural - 0.05 * rng.random(), natural + 0.05 * rng.random())
    return Evidence(
        reason="scores of one value" if rng.random() < 0.05 else "",
        waiting="3 models not trained yet" if rng.random() < 0.1 else "",
        natural=natural,
        natural_inside=interval(0.12),
        natural_on_validation=number(),
        nearest=usable[0] if usable else "",
        tried=tuple(map(tried, sorted(usable, key=costs.__getitem__))),
        axes=tuple(map(tuple, names)),
        cheapest=tuple(min(range(len(axis)), key=lambda i: costs[axis[i]]) for axis in names),
        family=len(every) if rng.random() < 0.5 else max(len(usable), 1),
    )


def drawn_evidence():
    """Of studies that are drawn: confirmed, none, undecided, several axes, a family screened."""
    quiet = drawn.Law(0.002, 0.002, 0.001, 0.002, 0.002, 0.001, 0.0005)
    steps = {LEVELS[k]: 0.04 * (5 - k) for k in range(2, 8)}
    mixed = {LEVELS[3]: 0.09, LEVELS[5]: 0.02, "dfr": 0.03, "group_balanced": 0.01, "reweight": 0.1}
    for gaps, law, plan, changes in (
        (steps, quiet, drawn.Plan(5), None),
        (steps, drawn.Law(), drawn.Plan(5), None),
        (steps, drawn.Law(), drawn.Plan(3), {LEVELS[5]: -0.03}),
        (mixed, quiet, drawn.Plan(6), {"group_balanced": -0.05}),
        ({LEVELS[5]: 0.12, LEVELS[6]: -0.12}, quiet, drawn.Plan(5), None),
        (steps, quiet, drawn.Plan(1), None),
    ):
        rule = dataclasses.replace(RULE, gaps=("fpr_gap", "tpr_gap"))
        one = drawn.draw(np.random.default_rng(1), law, plan, drawn.with_levels(0.2, gaps), changes)
        asked = question(one.validation, one.test, one.design, BASE, N, rule)
        yield evidence(asked, one.design, BASE, N, rule)


def ties(known):
    """Every number that epsilon or delta is compared with, exactly."""
    numbers = {known.natural_inside.low, known.natural_inside.high, known.natural.value}
    for one in known.tried:
        numbers |= {value for value, _ in one.validation}
        for bounds in (*one.chosen, *one.alone):
            for each in (*bounds.gaps, bounds.auc_change):
                numbers |= {each.low, each.high}
    sizes = sorted({abs(x) for x in numbers if x == x})
    return sizes[:: max(len(sizes) // 12, 1)]


def mirrored(browser, kind, cases):
    """What rules.js makes of every case, each [what is known, [values, ...]]."""
    browser.get("about:blank")
    embedded = data("cases", cases).removesuffix("</script>").split(">", 1)[1]
    script = f"{asset('page.js')}\n{asset('rules.js')}\n" + (
        "const cases = JSON.parse(arguments[0], (_, value) => value ?? NaN);"
        f"return cases.map(([known, tried]) => tried.map((values) => {kind}(known, ...values)));"
    )
    return browser.execute_script(script, embedded)


def test_the_smallest_fix_is_decided_as_in_python(browser):
    rng = np.random.default_rng(0)
    every = [random_evidence(rng) for _ in range(300)] + list(drawn_evidence())
    values = []
    for known in every:
        grid = list(itertools.product(GRID, GRID[::2]))
        at_ties = [(tie, delta) for tie in ties(known) for delta in (0.0, 0.03, tie)]
        values.append(grid + at_ties + [(0.05, tie) for tie in ties(known)])
    cases = [[what_if.plain(known), tried] for known, tried in zip(every, values, strict=True)]
    found = mirrored(browser, "decide", cases)
    seen = set()
    for known, tried, theirs in zip(every, values, found, strict=True):
        for (epsilon, delta), their in zip(tried, theirs, strict=True):
            mine = rules.decide(known, epsilon, delta)
            seen.add((mine.verdict, bool(mine.reason), len(mine.tested) > 1))
            assert their == {
                "verdict": mine.verdict, "curation": mine.curation, "reason": mine.reason,
                "tested": [list(each) for each in mine.tested],
            }, (known, epsilon, delta)  # fmt: skip
    # Every verdict was among them, with and without a reason, after one test and several.
    assert {verdict for verdict, _, _ in seen} == {
        "nothing to fix", "no gap shown", "confirmed", "none", "undecided",
    }  # fmt: skip
    assert {("undecided", True, True), ("confirmed", False, True)} <= seen


def test_inheritance_is_decided_as_in_python(browser):
    rng = np.random.default_rng(1)
    cases, seen = [], set()
    for _ in range(400):
        rows = np.round(rng.uniform(-0.1, 0.1, (3, 4)) + rng.choice([-0.08, 0, 0.08]), 2)
        rows = [np.sort(row) for row in rows[: rng.integers(0, 4)]]
        named = [
            dict(low_family=a, low_no=b, high_no=c, high_family=d)
            for a, b, c, d in (map(float, row) for row in rows)
        ]
        cases.append((named, bool(rng.random() < 0.7)))
    plain = [
        [[{"family": [row["low_family"], row["high_family"]], "no": [row["low_no"], row["high_no"]]}
          for row in named], [[sure, epsilon] for epsilon in GRID]]
        for named, sure in cases
    ]  # fmt: skip
    found = mirrored(browser, "inherited", plain)
    for (named, sure), theirs in zip(cases, found, strict=True):
        mine = [rules.inherited(named, sure, epsilon) for epsilon in GRID]
        assert theirs == mine
        seen |= set(mine)
    assert seen == {"yes", "practically none", "no", "reversed", "undecided"}


def test_curations_are_decided_as_in_python(browser):
    ends = np.round(np.linspace(-0.12, 0.12, 13), 2).tolist()
    gaps = [[low, high] for low, high in itertools.combinations_with_replacement(ends, 2)]
    gaps.append([float("nan")] * 2)
    found = mirrored(browser, "overwritten", [[gap, [[each] for each in GRID]] for gap in gaps])
    mine = [[rules.overwritten(Interval(0.0, *gap), each) for each in GRID] for gap in gaps]
    assert found == mine
    assert {"no gap", "gap", "undecided"} == {verdict for row in mine for verdict in row}


def badges_of(answer, epsilon, delta):
    """(kind, place) of every verdict -> what its badge says, by the rules of Python."""
    found = {}
    for place, row in answer.inherited_verdicts.to_dict("index").items():
        compared = answer.inherited[answer.inherited["task"] == row["task"]].to_dict("records")
        says = rules.inherited(compared, row["direction_sure"], epsilon)
        found["inherited", place] = f"inherited: {says}"
    for place, row in answer.overwritten.to_dict("index").items():
        gap = Interval(row["gap"], row["gap_low"], row["gap_high"])
        found["overwritten", place] = rules.overwritten(gap, epsilon)
    for place, known in enumerate(answer.fix_evidence):
        one = rules.decide(known, epsilon, delta)
        words = {"confirmed": f"{one.curation}, confirmed on test", "none": "none of those tried"}
        found["fix", place] = f"smallest fix: {words.get(one.verdict, one.verdict)}"
    return found


MARKS = """
return [...document.querySelectorAll("[data-verdict]")].map((badge) => [
  badge.dataset.verdict, badge.textContent,
  badge.nextElementSibling?.matches("[data-hypothetical]") ? badge.nextElementSibling.textContent
                                                           : ""]);
"""
CHANGES = (
    "return [...document.querySelectorAll('#what-if-changes .change')].map((e) => e.innerText);"
)


def typed(browser, name, text):
    """Types a value into a field, key by key."""
    field = browser.find_element("id", f"what-if-{name}")
    field.send_keys("\ue009a\ue000", text)  # Control and A, then the value.


def test_verdicts_that_would_differ_are_marked_as_hypothetical(browser, written):
    answer, directory = written
    run = opened(browser, directory / "report.html", 1200)
    own = badges_of(answer, 0.05, 0.03)
    assert {(*verdict.split(" "), says, mark) for verdict, says, mark in run(MARKS)} == {
        (kind, str(place), says, "") for (kind, place), says in own.items()
    }
    for epsilon, delta in ((0.08, 0.03), (0.2, 0.03), (0.05, 0.0), (0.12, 0.01)):
        typed(browser, "epsilon", f"{epsilon}")
        typed(browser, "delta", f"{delta}")
        now = badges_of(answer, epsilon, delta)
        changed = {key for key in own if own[key] != now[key]}
        assert changed
        for verdict, says, mark in run(MARKS):
            kind, place = verdict.split(" ")
            key = kind, int(place)
            assert says == own[key]  # The study's own verdict stays.
            named = [f"ε = {epsilon:g}"] * (epsilon != 0.05)
            named += [f"δ = {delta:g}"] * (delta != 0.03 and kind == "fix")
            assert mark == (f"with {', '.join(named)}: {now[key]}" if key in changed else "")
        counts = [
            sum(kind == each for kind, _ in changed) for each in ("inherited", "fix", "overwritten")
        ]
        assert run("return document.getElementById('what-if-said').textContent;") == (
            f"Verdicts that would differ: {counts[0]} of 2 on inheritance, {counts[1]} of 2 on "
            f"the smallest fix, {counts[2]} of 96 on curations."
        )
        listed = {k for k in changed if k[0] != "overwritten"} | {
            ("overwritten", place)
            for kind, place in changed
            if kind == "overwritten" and answer.overwritten.loc[place, "role"] == "studied"
        }
        assert len(run(CHANGES)) == len(listed)
    browser.find_element("css selector", "#what-if-form button").click()
    assert run("return new Promise((done) => setTimeout(() => done(1), 50));") == 1
    assert not [mark for *_, mark in run(MARKS) if mark]
    assert run(CHANGES) == []


def test_sliders_go_by_keyboard_and_a_value_that_is_none_changes_nothing(browser, written):
    run = opened(browser, written[1] / "report.html", 420)
    slider = browser.find_element("id", "what-if-epsilon-slider")
    slider.send_keys("\ue014" * 30)  # To the right.
    assert run("return document.getElementById('what-if-epsilon').value;") == "0.08"
    marked = run(MARKS)
    assert any("with ε = 0.08: " in mark for *_, mark in marked)
    typed(browser, "epsilon", "7")
    said = "return document.getElementById('what-if-said').textContent;"
    assert run(said) == "ε is a number from 0 to 1."
    assert run(MARKS) == marked
    typed(browser, "epsilon", "0.05")
    assert run(said) == "These are the study’s own values."


def test_without_a_script_nothing_is_offered_that_does_not_work(browser, written):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((written[1] / "report.html").as_uri())
        text = browser.find_element("css selector", "#what-if").text
        assert "every verdict on this page is of the study’s own" in text
        assert not browser.find_element("id", "what-if-form").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_name_that_ends_a_script_ends_none(browser, written_hostile):
    answer, directory = written_hostile
    run = opened(browser, directory / "report.html", 1200)
    typed(browser, "epsilon", "0.2")
    questions = run(
        "return [...document.querySelectorAll('#what-if-changes strong')].map((e) => e.innerText);"
    )
    names = answer.inherited_verdicts[["task", "base"]].itertuples(index=False)
    assert set(questions) == {f"{task}, base {base}, n = 512" for task, base in names}
    assert "<script>" in "".join(questions)
