"""Look closer: the panel shows the frames' numbers, by keyboard, at both widths, in a browser."""

import pytest
from selenium.webdriver.common.keys import Keys

from jaxbias import report
from jaxbias.report import numbers, panel
from tests.report.answers import make_answer, with_curves
from tests.report.browsing import opened

ROWS = """
return [...document.querySelectorAll("#panel-table tbody tr")]
  .map((row) => [...row.children].map((cell) => cell.textContent));
"""
TITLES = """
return [...document.querySelectorAll(`#panel-${arguments[0]} title`)].map((e) => e.textContent);
"""
HEIGHTS = """
return [...document.querySelectorAll(".chart svg")].map((e) => e.getBoundingClientRect().height);
"""
BANDS = "return ['dose', 'trade-off', 'rates'].map((name) => \
document.querySelectorAll(`#panel-${name} .band`).length);"


def rows_of(answer, metric, group="all", task="Wearing_Earrings"):
    """What the table must say, of every base in the order of the legend."""
    curves, tested = answer.curves, answer.overwritten
    found = []
    for base in ("Gendered", "Control_Bangs", "Control_Hat", "Scratch"):
        for curation in ("natural", *(f"correlation {k}" for k in range(11))):

            def one(frame, base=base, curation=curation):
                at = (frame["task"] == task) & (frame["base"] == base)
                return frame[at & (frame["curation"] == curation)]

            row = one(curves[(curves["metric"] == metric) & (curves["group"] == group)]).iloc[0]
            write = numbers.signed if metric.endswith("_gap") else numbers.plain
            joint = one(tested).iloc[0]
            bounds = numbers.interval(joint["gap_low"], joint["gap_high"])
            value = numbers.estimate(row["value"], row["low"], row["high"], write)
            found.append([base, curation, value, bounds if metric == "fpr_gap" else "–"])
    return found


def choose(browser, name, words):
    """Chooses by the keyboard: goes to the first, then down until it is there."""
    field = browser.find_element("css selector", f"#panel-form [name={name}]")
    field.send_keys(Keys.HOME)
    options = [each.text for each in field.find_elements("tag name", "option")]
    field.send_keys(Keys.ARROW_DOWN * options.index(words))


def test_whatever_is_chosen_by_keyboard_is_what_the_tables_say(browser, written):
    answer, directory = written
    run = opened(browser, directory / "report.html", 1200)
    assert run(ROWS) == rows_of(answer, "fpr_gap")
    assert run(BANDS) == [1, 1, 0]
    choose(browser, "metric", "AUC")
    assert run(ROWS) == rows_of(answer, "auc")
    assert run(BANDS) == [0, 1, 0]
    choose(browser, "task", "Bags Under Eyes")
    choose(browser, "metric", "FPR")
    choose(browser, "group", "male")
    assert run(ROWS) == rows_of(answer, "fpr", "male", "Bags_Under_Eyes")
    choose(browser, "base", "Scratch")
    drawn = run(TITLES, "rates")
    wanted = [
        f"Scratch, {curation}: {group} {value}"
        for group in ("female", "male")
        for base, curation, value, _ in rows_of(answer, "fpr", group, "Bags_Under_Eyes")
        if base == "Scratch"
    ]
    assert sorted(drawn) == sorted(wanted)
    first = browser.find_element("css selector", "#panel-bases input")
    first.send_keys(Keys.SPACE)
    kept = [
        row for row in rows_of(answer, "fpr", "male", "Bags_Under_Eyes") if row[0] != "Gendered"
    ]
    assert run(ROWS) == kept
    assert len(run(TITLES, "dose")) == len(run(TITLES, "trade-off")) == len(kept) == 36


def test_of_a_gap_the_rates_are_its_own(browser, tmp_path):
    """And not those of the first metric that groups have, which is AUC here."""
    answer = make_answer()
    curves = answer.curves
    each = curves[(curves["metric"] == "fpr") & (curves["group"] != "all")]
    answer = with_curves(answer, [each.assign(metric="auc", value=each["value"] / 2)])
    report.write(answer, tmp_path)
    run = opened(browser, tmp_path / "report.html", 1200)
    choose(browser, "base", "Scratch")
    drawn = run(TITLES, "rates")
    rows = [
        f"Scratch, {curation}: {group} {value}"
        for group in ("female", "male")
        for base, curation, value, _ in rows_of(answer, "fpr", group)
        if base == "Scratch"
    ]
    assert sorted(drawn) == sorted(rows)


def test_every_mark_stands_where_its_number_is(browser, written):
    """Down the first chart, marks are in the order of their gaps, and in proportion."""
    answer, directory = written
    run = opened(browser, directory / "report.html", 1200)
    found = run(
        "return [...document.querySelectorAll('#panel-dose title')].map((title) => {"
        " const box = title.parentNode.getBoundingClientRect();"
        " return [title.textContent, box.top + box.height / 2]; });"
    )
    curves = answer.curves[answer.curves["metric"] == "fpr_gap"]
    values = {
        f"{row.base}, {row.curation}": row.value
        for row in curves[curves["task"] == "Wearing_Earrings"].itertuples()
    }
    round_ones = [one for one in found if one[0].startswith("Gendered, correlation")]
    (first, top), *_, (last, bottom) = round_ones
    scale = (bottom - top) / (values[last.split(":")[0]] - values[first.split(":")[0]])
    assert scale < 0  # Up is more.
    for title, place in round_ones:
        value = values[title.split(":")[0]]
        assert place == pytest.approx(top + scale * (value - values[first.split(":")[0]]), abs=0.6)


def test_nothing_ticked_is_said(browser, written):
    run = opened(browser, written[1] / "report.html", 420)
    for box in browser.find_elements("css selector", "#panel-bases input"):
        box.send_keys(Keys.SPACE)
    assert browser.find_element("id", "panel-said").text == "No model is ticked."
    assert run(ROWS) == []


@pytest.mark.parametrize("width", [1200, 420])
def test_charts_keep_their_heights_when_the_window_changes(browser, written, width):
    run = opened(browser, written[1] / "report.html", width)
    before = run(HEIGHTS)
    assert before == [360, 340, 340]
    metrics = {"width": width - 100, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert run(HEIGHTS) == before
    assert run("return document.documentElement.scrollWidth <= innerWidth;")


def test_hostile_names_are_text_in_every_choice(browser, written_hostile):
    run = opened(browser, written_hostile[1] / "report.html", 1200)
    choose(browser, "metric", "FPR")
    options = run(
        "return [...document.querySelectorAll('#panel-form option, #panel-bases label')]"
        ".map((each) => each.textContent.trim());"
    )
    assert {"<script>alert(1)</script>", "<b>f$\\frac</b>"} <= set(options)
    assert not run("return document.querySelectorAll('#panel b, #panel img').length;")
    assert not [each for each in browser.get_log("browser") if each["level"] == "SEVERE"]


def test_curations_stand_by_their_courses_in_order_of_dose():
    answer = make_answer()
    natural = answer.curves["curation"] == "natural"
    more = [
        answer.curves[natural].assign(curation=name, kind=kind)
        for name, kind in (
            ("add_minority 64", "add_minority"), ("dfr", "dfr"), ("add_minority 8", "add_minority"),
        )
    ]  # fmt: skip
    found = panel.contents(with_curves(answer, more))
    assert [(one["tick"], one["course"]) for one in found["curations"]] == [
        ("natural", ""),
        *((f"correlation {k}", "correlation ·") for k in range(11)),
        ("add minority 8", "add_minority ·"),
        ("add minority 64", "add_minority ·"),
        ("dfr", ""),
    ]
    assert found["axis"] == "Finetuned on"
    alone = panel.contents(make_answer())
    assert [one["tick"] for one in alone["curations"]] == ["natural", *map(str, range(11))]
    assert alone["axis"] == "Finetuned on (correlation levels by number)"


def test_a_gap_beside_a_control_has_no_joint_interval_of_its_own():
    answer = make_answer()
    assert all("all" in arm for arm in panel.contents(answer)["arms"])
    answer.study["answer"]["relative_to"] = "Control_Hat"
    assert not any("all" in arm for arm in panel.contents(answer)["arms"])
