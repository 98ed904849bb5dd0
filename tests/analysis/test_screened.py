"""A screen beside its confirmation, on made-up scores: heads biased where finetuning overwrites."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from jaxbias.analysis import make_answer
from jaxbias.analysis.design import Design, questions, with_status
from jaxbias.analysis.evaluation import evaluate_task
from jaxbias.analysis.smallest_fix import smallest_fix
from jaxbias.curation import target_cells
from jaxbias.errors import InputError
from jaxbias.study import make_study
from tests.analysis.made_up import made_up
from tests.tiny import tiny_config

RECIPE = {"solver": "sgd", "C": 1.0, "tolerance": 1e-4}
LEVELS = {2: 1.8, 4: 1.2, 5: 0.9, 6: 0.0, 8: -1.5}
HEADS = {
    ("Grouped", "studied", "natural"): 2.0,
    **{("Grouped", "studied", f"correlation {k}"): shift for k, shift in LEVELS.items()},
    ("Control", "control", "natural"): 0.3,
    ("Control", "control", "correlation 2"): 0.3,
    ("Scratch", "scratch", "natural"): 0.2,
}
FULL = {
    ("Grouped", "studied", "natural"): 0.3,
    ("Grouped", "studied", "correlation 4"): 0.5,
    ("Grouped", "studied", "correlation 5"): 0.0,
    ("Grouped", "studied", "correlation 6"): -0.6,
    ("Control", "control", "natural"): 0.3,
    ("Scratch", "scratch", "natural"): 0.3,
}


def screened(full=FULL, **recipe):
    """Heads of a recipe and finetuned models of one study, in one directory's scores."""
    _, dataset, heads = made_up(HEADS)
    parts = [heads] + ([made_up(full)[2]] if full else [])
    modes = [RECIPE | {"mode": "head"} | recipe, RECIPE | {"mode": "full"}]
    tables = [
        part.variants.assign(variant=mode["mode"] + part.variants["variant"], **mode)
        for part, mode in zip(parts, modes, strict=False)
    ]
    scores = dataclasses.replace(
        heads,
        variants=pd.concat(tables, ignore_index=True),
        validation=np.concatenate([part.validation for part in parts]),
        test=np.concatenate([part.test for part in parts]),
    )
    config = tiny_config(screen={"on": True}, answer={"replicates": 100, "epsilon": 0.06})
    return make_study(config), dataset, scores


@pytest.fixture(scope="module")
def answer():
    return make_answer(*screened())


def test_the_answer_rests_on_the_confirmed_alone(answer):
    plain = make_answer(*made_up(FULL, answer={"replicates": 100}))
    assert answer.inherited_verdicts["verdict"].tolist() == ["no"]
    pd.testing.assert_frame_equal(answer.curves, plain.curves)
    pd.testing.assert_frame_equal(
        answer.metrics.drop(columns="variant"), plain.metrics.drop(columns="variant")
    )
    assert "45 variants were trained as heads on frozen bases; 30 of them" in answer.sentences[0]


def test_choices_and_verdicts_that_differ_are_told(answer):
    (row,) = answer.screen_verdicts.to_dict("records")
    assert (row["by_heads"], row["by_finetuning"]) == ("correlation 6", "correlation 5")
    assert (row["doses_apart"], row["confirmed"], row["screened"]) == (1, 3, 5)
    assert (row["inherited_by_heads"], row["inherited"]) == ("yes", "no")
    sentence = answer.sentences[-1]
    assert (
        "the smallest fix at correlation 6, finetuned models no fix and least gap at corr"
        in sentence
    )
    assert "the next dose; 3 of 5 curations were finetuned" in sentence
    assert "heads would have said “yes”, finetuning says “no”" in sentence
    table = answer.screen.set_index("curation")
    assert table["confirmed"].to_dict() == {
        "natural": True, "correlation 2": False, "correlation 4": True, "correlation 5": True,
        "correlation 6": True, "correlation 8": False,
    }  # fmt: skip
    assert table.loc["natural", "gap"] > 0.2 > table.loc["natural", "gap_confirmed"]


def test_choosing_among_few_is_as_hard_as_among_all_that_were_screened():
    """The least epsilon at which there is a fix: of three, of three out of five, out of thirty."""
    biased = FULL | {("Grouped", "studied", "natural"): 1.5}
    study, dataset, scores = made_up(biased, noise=0.1)
    cells = target_cells(dataset, "target", study.group)
    spec = study.evaluations["natural"]
    validation, test = (
        evaluate_task(scores, cells, "natural", spec, split, 100, 0.95)
        for split in ("validation", "test")
    )

    planned = with_status(None, scores.variants)

    def least(screened):
        sizes = {("Grouped", 100): screened} if screened else {}
        design = Design("target", planned, questions(planned, ("target",)), sizes, test)
        for epsilon in np.arange(0.02, 0.4, 0.002):
            rule = dataclasses.replace(study.answer, epsilon=float(epsilon), delta=1.0)
            (fix,) = smallest_fix(validation, test, design, rule)[0].to_dict("records")
            if fix["curation"]:
                return epsilon
        raise AssertionError

    of = [least(screened) for screened in (None, 3, 5, 30)]
    assert of[0] == of[1] < of[2] < of[3]


def test_heads_of_another_screen_are_neither_screen_nor_answer():
    answer = make_answer(*screened(solver="lbfgs"))
    assert answer.screen.empty
    assert answer.inherited_verdicts["verdict"].tolist() == ["no"]
    assert not any(sentence.startswith("Screen") for sentence in answer.sentences)
    with pytest.raises(InputError, match=r"45 finished variants are heads .* none is confirmed"):
        make_answer(*screened(full=None))
