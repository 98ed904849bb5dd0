"""The page: it parses, needs no network, escapes names, and shows the frames' numbers."""

import base64
import hashlib
import json

import pandas as pd
import pytest

from jaxbias import report
from jaxbias.errors import InputError
from jaxbias.files import atomic
from jaxbias.report import numbers
from tests.report.parsed import Parsed

URL_ATTRIBUTES = {"src", "href", "srcset", "action", "data", "poster", "formaction", "xlink:href"}


@pytest.fixture(scope="module")
def page(written):
    return Parsed((written[1] / "report.html").read_text())


def test_every_file_is_written(written):
    names = {path.name for path in written[1].iterdir()}
    figures = {f"{n}.{k}" for n in ("inherited", "dose_response", "auc_gap", "rates")
               for k in ("png", "pdf")}  # fmt: skip
    frames = {f"{n}.csv" for n in report.files.FRAMES if len(getattr(written[0], n).columns)}
    assert names == figures | frames | {
        "report.html", "summary.txt", "metrics.parquet", "counts.csv", "latex"
    }  # fmt: skip


def test_a_frame_the_study_does_not_have_is_no_file(tmp_path, empty_answer):
    (tmp_path / "matching_share.csv").write_text("left,by,another,study\n")
    report.files.write_tables(empty_answer, tmp_path)
    for path in tmp_path.glob("*.csv"):
        assert len(pd.read_csv(path).columns), path.name
    assert not (tmp_path / "matching_share.csv").exists()


def test_page_is_small_enough_to_send(written):
    assert (written[1] / "report.html").stat().st_size < 6e6


def test_nothing_comes_from_outside(page, written):
    for tag, attributes in page.elements:
        for name in URL_ATTRIBUTES & set(attributes):
            inside = attributes[name].startswith(("data:image/png;base64,", "#"))
            # Links lead to files beside the page.
            beside = name == "href" and (written[1] / attributes[name]).is_file()
            assert inside or beside, (tag, attributes[name])
    assert not page.find("link")
    style = "".join(page.text["style"])
    assert "url(" not in style
    assert "@import" not in style
    policy = page.find("meta")[2]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert "default-src 'none'" in policy["content"]
    assert "http" not in policy["content"]


def test_page_can_be_read_without_seeing_it(page):
    assert page.find("html")[0]["lang"] == "en"
    assert all(image["alt"] for image in page.find("img"))
    assert len(page.find("img")) == 4
    assert all("scope" in cell for cell in page.find("th"))
    assert len(page.find("caption")) == len(page.find("table"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for attributes in page.find("a")}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    for attributes in page.find("section"):
        assert attributes.get("aria-labelledby", "answer-heading") in {*ids, "answer-heading"}


def test_every_figure_has_its_files_beside_the_page(page, written):
    links = [attributes["href"] for attributes in page.find("a")]
    for name, frame in (
        ("inherited", "inherited"), ("dose_response", "curves"), ("auc_gap", "curves"),
        ("rates", "curves"),
    ):  # fmt: skip
        assert {f"{name}.png", f"{name}.pdf", f"{frame}.csv"} <= set(links)


def test_pictures_on_the_page_are_the_files(page, written):
    pictures = [image["src"].split(",")[1] for image in page.find("img")]
    files = [(written[1] / f"{name}.png").read_bytes()
             for name in ("inherited", "dose_response", "auc_gap", "rates")]  # fmt: skip
    assert [base64.b64decode(picture) for picture in pictures] == files


def test_inherited_table_shows_the_frame(page, written):
    rows = page.rows("For all questions")
    frame = written[0].inherited
    assert [row["Difference [95 %]"] for row in rows] == [
        numbers.estimate(r.difference, r.low, r.high) for r in frame.itertuples()
    ]
    assert [row["Minus"] for row in rows] == frame["against"].tolist()
    assert [row["For all questions"] for row in rows] == [
        numbers.interval(r.low_family, r.high_family) for r in frame.itertuples()
    ]


def test_overwritten_tables_show_every_row_in_the_order_of_levels(page, written):
    rows = page.rows("Reduction of |gap| [95 %]")
    frame = written[0].overwritten
    assert len(rows) == len(frame)
    studied = rows[:12]
    assert [row["Finetuned on"] for row in studied] == [
        "natural", *(f"correlation {k}" for k in range(11))
    ]  # fmt: skip
    wanted = frame[(frame["task"] == "Wearing_Earrings") & (frame["base"] == "Gendered")]
    wanted = wanted.set_index("curation").loc[[row["Finetuned on"] for row in studied]]
    assert [row["FPR gap [95 %]"] for row in studied] == [
        numbers.estimate(r.gap, r.gap_low, r.gap_high) for r in wanted.itertuples()
    ]
    assert [row["AUC"] for row in studied] == [numbers.plain(value) for value in wanted["auc"]]
    assert [row["Verdict"] for row in studied] == wanted["verdict"].tolist()
    assert studied[0]["AUC change [95 %]"] == numbers.MISSING


def test_smallest_fix_shows_cost_and_both_groups_rates(page):
    found, none = page.rows("Images changed")
    assert found["Smallest fix"] == "correlation 5"
    assert found["Gap after [95 %]"] == "+0.021 [−0.012, +0.043]"
    assert (found["Images changed"], found["Images screened"]) == ("164", "9,120")
    assert found["Over-sampling"] == "13.1×"
    assert found["Levels next to it"] == "correlation 4correlation 6"
    assert none["Smallest fix"] == "none of those triednearest: correlation 5"
    assert none["Images changed"] == numbers.MISSING
    rates = page.rows("FPR female")
    assert [row["FPR female"] for row in rates] == ["0.276", "0.211", "0.130", "0.184"]
    assert [row["TPR male"] for row in rates] == ["0.530", "0.610", "0.700", "0.641"]


def test_data_section_shows_every_cell(page):
    rows = page.rows("female+")
    assert [row["Split"] for row in rows[:4]] == ["pretrain", "finetune", "validation", "test"]
    assert rows[0]["female+"] == "1,860 (15.5 %)"


def test_words_verdicts_methods_settings_and_manifest_are_there(page, written):
    answer, directory = written
    said = {text for texts in page.text.values() for text in texts}
    for sentence in (*answer.sentences, answer.methods, *answer.deviations):
        assert sentence in said
    assert {"inherited: yes", "inherited: undecided"} <= said
    assert {"smallest fix: correlation 5, confirmed on test",
            "smallest fix: none of those tried"} <= said  # fmt: skip
    settings = {row["Setting"]: row["Value"] for row in page.rows("Setting")}
    assert settings["answer.epsilon"] == "0.05"
    assert settings["bases.Gendered.role"] == "studied"
    digest = hashlib.sha256((directory.parent / "manifest.csv").read_bytes()).hexdigest()
    assert digest in said
    assert "manifest.csv" in said


def test_summary_holds_every_sentence(written):
    answer, directory = written
    assert (directory / "summary.txt").read_text().splitlines() == answer.sentences


def test_tables_on_disk_are_the_frames(written):
    answer, directory = written
    metrics = pd.read_parquet(directory / "metrics.parquet")
    pd.testing.assert_frame_equal(metrics, answer.metrics, check_dtype=False)
    curves = pd.read_csv(directory / "curves.csv")
    pd.testing.assert_frame_equal(curves, answer.curves, check_dtype=False)


def test_the_search_shows_every_trial_and_choice(written):
    _, directory = written
    page = (directory / "report.html").read_text()
    section = page.split('<section id="search"')[1].split("</section>")[0]
    assert section.count("<tr ") == 1 + 1 + 1 + 3  # Two headers, a choice, three trials.
    for text in ("diverged at step 7", "0.4200", "chosen", "correlation 4", "inf"):
        assert text in section
    trials = pd.read_csv(directory / "search.csv")
    assert len(trials) == 3 and "loss" not in trials
    assert pd.read_csv(directory / "choices.csv")["epochs"].item() == 5


def test_hostile_names_are_text(written_hostile):
    answer, directory = written_hostile
    page = Parsed((directory / "report.html").read_text())
    assert [tag for tag, _ in page.elements].count("script") == 3  # Bounds, numbers, our own.
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    said = {text for texts in page.text.values() for text in texts}
    for sentence in answer.sentences:
        assert sentence in said
    bounds, known = map(json.loads, page.text["script"][:2])
    assert "<script>" in bounds["inherited"][0]["question"]
    assert "<script>alert(1)</script>" in known["tasks"]


def test_pair_study_shows_its_own_sections_alone(written_pair):
    answer, directory = written_pair
    page = Parsed((directory / "report.html").read_text())
    headings = page.text["h2"]
    assert "Underrepresentation" in headings
    assert "Is the bias inherited?" not in headings
    assert not [a for a in page.find("section") if a.get("id") in ("panel", "what-if")]
    rows = page.rows("AUC on child [95 %]")
    first = answer.underrepresentation.iloc[0]
    assert rows[0]["AUC on child [95 %]"] == numbers.estimate(
        first["auc"], first["low"], first["high"], numbers.plain
    )
    assert len(rows) == len(answer.underrepresentation) / 2


def test_empty_answer_still_makes_a_page(empty_answer, tmp_path):
    page = Parsed(report.write(empty_answer, tmp_path / "new" / "folder").read_text())
    assert "variant 0a1b (Gendered) diverged" in page.text["li"]
    assert not page.find("img")


def test_a_directory_that_cannot_be_made_is_named(answer, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        report.write(answer, tmp_path / "file" / "report")


def test_no_half_written_file_is_left(answer, tmp_path):
    (tmp_path / "report.html").mkdir()  # A file cannot take a directory's place.
    with pytest.raises(InputError, match=r"report\.html"):
        atomic.write_bytes(tmp_path / "report.html", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
