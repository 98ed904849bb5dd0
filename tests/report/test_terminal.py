"""The terminal: every sentence, one row per target, 100 columns when piped."""

import dataclasses
import io

from rich.console import Console

from jaxbias.report import show_answer


def printed(answer, width=100):
    out = io.StringIO()
    show_answer(answer, Console(file=out, width=width))
    return out.getvalue()


def test_every_sentence_and_every_target_is_printed(answer):
    out = printed(answer)
    flat = " ".join(out.split())
    for sentence in answer.sentences:
        assert sentence in flat
    assert "Wearing_Earrings" in out
    assert "Bags_Under_Eyes" in out
    assert "[−0.012, +0.043]" in out
    assert "164" in out


def test_models_that_failed_are_counted(answer):
    assert "diverged" not in printed(answer)
    answer = dataclasses.replace(answer, failures=["variant 0a1b (Gendered) diverged at step 7"])
    out = " ".join(printed(answer).split())
    assert f"1 of {len(answer.variants):,} finetuned models diverged and is left out" in out


def test_a_pipe_gets_100_columns(answer, capsys):
    show_answer(answer)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert "\x1b" not in out
    assert "[−0.012, +0.043]" in out  # In one piece.


def test_names_are_no_markup(hostile_answer):
    assert '_$x$ "&[bold]' in printed(hostile_answer, 160)


def test_pair_study_prints_its_sentences(pair_answer):
    out = printed(pair_answer)
    assert "older" in out
    assert "Inherited" not in out


def test_empty_answer_prints_only_what_failed(empty_answer):
    (line,) = " ".join(printed(empty_answer).split()).split("• ")[1:]
    assert line.startswith("1 of 0 finetuned models diverged")
