"""Figures: every file, its fonts, and that what is drawn is what the frames say."""

import dataclasses
import itertools
import re
import zlib

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from jaxbias.report import figures, forest, groups, levels, numbers, panel, style, trade_off
from tests.report.answers import make_answer, make_pair_answer, with_curves

FIGURES = (
    forest.inherited,
    levels.dose_response,
    trade_off.auc_gap,
    groups.rates,
    groups.underrepresentation,
)


def drawn(make, answer):
    with style.drawing():
        return make(answer)


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


@pytest.mark.parametrize("name", ["inherited", "dose_response", "auc_gap", "rates"])
def test_png_is_as_wide_as_a_page_at_200_dpi_and_not_blank(written, name):
    _, directory = written
    with Image.open(directory / f"{name}.png") as image:
        assert image.width == round(200 * style.WIDTH)
        assert image.height > 300
        assert round(image.info["dpi"][0]) == 200
        assert len(image.convert("RGB").getcolors(1 << 20)) > 50


def test_pair_study_draws_only_its_own_figure(written_pair):
    _, directory = written_pair
    assert {path.name for path in directory.glob("*.p[nd][gf]")} == {
        "underrepresentation.png",
        "underrepresentation.pdf",
    }


@pytest.mark.parametrize("name", ["inherited", "dose_response", "auc_gap", "rates"])
def test_pdf_embeds_truetype_fonts(written, name):
    content = (written[1] / f"{name}.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
    fonts = [_inflate(stream) for stream in streams]
    # Type 42: the font file itself, a TrueType container, is inside. No Type 3 outlines.
    assert any(font.startswith((b"\x00\x01\x00\x00", b"true")) for font in fonts)
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_same_answer_gives_the_same_bytes(answer):
    for kind in ("png", "pdf"):
        first, second = (style.render(drawn(forest.inherited, answer), kind) for _ in range(2))
        assert first == second


def test_forest_prints_every_difference_and_marks_those_that_exclude_zero(answer):
    figure = drawn(forest.inherited, answer)
    rows = answer.inherited
    wanted = [numbers.estimate(r.difference, r.low, r.high) for r in rows.itertuples()]
    assert set(wanted) <= set(texts(figure))
    lines = [line for line in figure.axes[0].lines if line.get_markersize() == 6]
    marks = {
        line.get_xdata()[0]: line.get_markerfacecolor() != "white"
        for line in lines
        if len(line.get_xdata()) == 1 and line.get_marker() not in (None, "None")
    }
    assert marks == dict(zip(rows["difference"], rows["low"] > 0, strict=True))


def test_dose_response_draws_the_gap_of_every_level(answer):
    figure = drawn(levels.dose_response, answer)
    gaps = answer.curves[
        (answer.curves["metric"] == "fpr_gap") & (answer.curves["kind"] == "correlation")
    ]
    for axes, (_, rows) in zip(figure.axes, gaps.groupby("task", sort=False), strict=True):
        curves = {
            tuple(np.round(np.asarray(line.get_ydata(), float), 9))
            for line in axes.lines
            if len(np.atleast_1d(line.get_ydata())) == 11
        }
        assert curves == {
            tuple(np.round(base.sort_values("level")["value"], 9))
            for _, base in rows.groupby("base")
        }
        assert [t.get_text() for t in axes.get_xticklabels()] == [
            "natural",
            *map(str, range(11)),
        ]


def test_other_curations_stand_right_of_the_levels(answer):
    more = answer.curves[answer.curves["kind"] == "natural"].assign(
        kind="group_balanced", curation="group_balanced"
    )
    answer = with_curves(answer, [more])
    assert "group balanced" in texts(drawn(levels.dose_response, answer))
    assert "group balanced" in texts(drawn(trade_off.auc_gap, answer))
    assert panel.contents(answer)["curations"][-1] == {
        "name": "group_balanced", "course": "", "tick": "group balanced",
    }  # fmt: skip


def test_a_study_without_levels_has_a_picture_of_its_curations(
    answer,
):
    natural = answer.curves[answer.curves["kind"] == "natural"]
    alone = dataclasses.replace(answer, curves=natural)
    assert drawn(trade_off.auc_gap, alone) is None
    dropped = [natural.assign(kind="drop", curation=f"drop {k} by head") for k in (8, 16)]
    figure = drawn(trade_off.auc_gap, with_curves(alone, dropped))
    assert {"drop 8 by head", "drop 16 by head"} <= set(texts(figure))
    assert drawn(levels.dose_response, with_curves(alone, dropped)) is None


def test_rates_names_what_is_no_fix(answer):
    said = texts(drawn(groups.rates, answer))
    assert "correlation 5" in said
    assert "correlation 5 (not a fix)" in said
    assert {"female", "male"} <= set(said)


def test_rates_draws_both_groups_values(answer):
    figure = drawn(groups.rates, answer)
    curves = answer.curves
    for axes, metric in zip(figure.axes, ("fpr", "tpr"), strict=True):
        marks = {
            round(float(line.get_xdata()[0]), 9)
            for line in axes.lines
            if len(line.get_xdata()) == 1
        }
        rows = curves[(curves["metric"] == metric) & (curves["base"] == "Gendered")]
        rows = rows[rows["curation"].isin(["natural", "correlation 5"])]
        assert marks == set(rows["value"].round(9))


def test_ends_and_what_the_verdicts_name_are_labelled_on_the_studied_base_alone(answer):
    for axes in drawn(trade_off.auc_gap, answer).axes:
        assert sorted(text.get_text() for text in axes.texts if text.get_text()) == ["0", "10", "5"]
    answer = dataclasses.replace(answer, smallest_fix=pd.DataFrame())
    figure = drawn(trade_off.auc_gap, answer)
    assert [[t.get_text() for t in axes.texts] for axes in figure.axes] == [["0", "10"]] * 2
    assert "fix or nearest" not in texts(figure)


def crowded():
    """Every level within .01 of the others, three studied bases, other curations, long names."""
    answer = make_answer()
    answer.study["group"]["names"] = ["people who are female", "people who are male"]
    for name in ("gap", "auc"):
        rows = answer.curves["metric"].str.contains(name)
        answer.curves.loc[rows, ["value", "low", "high"]] *= 0.02
    natural = answer.curves[answer.curves["kind"] == "natural"]
    others = [natural.assign(kind=k, curation=f"{k} 12") for k in ("group_balanced", "reweight")]
    answer = with_curves(answer, others)
    answer.study["bases"] |= {f"Scratch_{i}": {"role": "studied"} for i in range(2)}
    scratch = answer.curves[answer.curves["base"] == "Scratch"]
    more = [scratch.assign(base=f"Scratch_{i}", role="studied") for i in range(2)]
    return with_curves(answer, more)


def sizes():
    answer = make_answer()
    frames = {name: getattr(answer, name) for name in ("curves", "inherited", "smallest_fix")}
    twice = {
        name: pd.concat([frame, frame.assign(n=16384)], ignore_index=True)
        for name, frame in frames.items()
    }
    return dataclasses.replace(answer, **twice)


ANSWERS = {"demo": make_answer, "pair": make_pair_answer, "crowded": crowded, "sizes": sizes}


def boxes_of_texts(figure):
    """(text, box in pixels) of every text that is drawn, but slanted ones."""
    found = []

    def note(gc, x, y, said, prop, angle, ismath=False, mtext=None):
        if not angle % 90:
            found.append((said, mtext.get_window_extent(renderer)))

    with style.drawing():
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw_without_rendering()
        renderer.draw_text = note
        figure.draw(renderer)
    return found


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("make", FIGURES)
def test_no_text_covers_another_or_leaves_the_figure(make, name):
    figure = drawn(make, ANSWERS[name]())
    if figure is None:
        return
    boxes = boxes_of_texts(figure)
    assert len(boxes) > 3
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        assert min(a.x1, b.x1) - max(a.x0, b.x0) < 1 or min(a.y1, b.y1) - max(a.y0, b.y0) < 1, (
            one, other,
        )  # fmt: skip
    for said, box in boxes:
        assert box.x0 >= -1 and box.x1 <= figure.bbox.width + 1, said
        assert box.y0 >= -1 and box.y1 <= figure.bbox.height + 1, said


def test_figures_of_many_targets_and_sizes_come_in_sheets(answer, tmp_path):
    assert figures.sheets(answer) == [answer]
    answer.study["finetune"]["n"] = list(range(1, 8))  # Two targets would be 14 panels.
    parts = figures.sheets(answer)
    assert [set(part.curves["task"]) for part in parts] == [
        {task} for task in answer.study["targets"]
    ]
    assert [len(part.smallest_fix) for part in parts] == [1, 1]
    (tmp_path / "rates_3.png").write_bytes(b"of an earlier answer")
    pictures = figures.draw(answer, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}{number}.{kind}"
        for name in ("inherited", "dose_response", "auc_gap", "rates")
        for number in ("", "_2")
        for kind in ("png", "pdf")
    }
    assert pictures["rates"].sheets == ("rates", "rates_2")
    assert "the first of 2 sheets" in pictures["rates"].caption
    assert pictures["rates"].png == (tmp_path / "rates.png").read_bytes()


def test_degenerate_models_are_hollow_and_in_the_legend(answer):
    reasons = np.where(answer.curves["base"] == "Scratch", "AUC at chance", "")
    assert style.DEGENERATE not in texts(drawn(trade_off.auc_gap, answer))
    answer.curves["marked"] = reasons
    scratch = style.looks([("Scratch", "scratch")])["Scratch"].colour
    figure = drawn(trade_off.auc_gap, answer)
    assert style.DEGENERATE in texts(figure)
    for axes in figure.axes:
        hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
        assert len(hollow) == 12  # Its natural draw and eleven levels.
        assert {m.get_markeredgecolor() for m in hollow} == {scratch, style.INK}
    figure = drawn(levels.dose_response, answer)
    assert style.DEGENERATE in texts(figure)
    for axes in figure.axes:
        hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
        assert sum(len(line.get_xdata()) for line in hollow) == 12


def test_underrepresentation_shares_one_scale(pair_answer):
    figure = drawn(groups.underrepresentation, pair_answer)
    assert len(figure.axes) == 4  # Two sizes, two subgroups.
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


@pytest.mark.parametrize("make", FIGURES)
def test_nothing_to_draw_is_no_figure(empty_answer, make):
    assert drawn(make, empty_answer) is None


def test_intervals_that_are_undefined_are_left_out(answer):
    for frame in (answer.curves, answer.inherited):
        frame[["low", "high"]] = np.nan
    for make in FIGURES[:4]:
        style.render(drawn(make, answer), "png")


def test_style_leaves_no_trace(answer):
    before = dict(mpl.rcParams)
    style.render(drawn(levels.dose_response, answer), "png")
    assert dict(mpl.rcParams) == before


def test_colours_keep_roles_apart_and_never_repeat_with_a_marker():
    roles = [(f"s{i}", "studied") for i in range(3)] + [(f"c{i}", "control") for i in range(9)]
    looks = style.looks([*roles, ("z", "scratch")])
    assert len({(look.colour, look.marker) for look in looks.values()}) == len(looks)
    by_role = {}
    for look in looks.values():
        by_role.setdefault(look.role, set()).add(look.colour)
    assert not by_role["studied"] & by_role["control"]
    two = style.looks([("a", "studied"), ("b", "studied"), ("c", "imported")])
    assert len({look.colour for look in two.values()}) == 3


def _inflate(stream):
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


@pytest.mark.parametrize("make", [levels.dose_response, trade_off.auc_gap])
@pytest.mark.parametrize("targets", [1, 2])
def test_legends_lie_inside_their_figures(make, targets):
    """Figures of one panel are narrower: their legends take more lines."""
    answer = make_answer()
    kept = list(dict.fromkeys(answer.curves["task"]))[:targets]
    for name in ("curves", "inherited", "overwritten", "smallest_fix"):
        frame = getattr(answer, name)
        object.__setattr__(answer, name, frame[frame["task"].isin(kept)])
    figure = drawn(make, answer)
    assert len([axes for axes in figure.axes if axes.axison]) == targets
    FigureCanvasAgg(figure).draw()
    for key in figure.legends:
        box = key.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
