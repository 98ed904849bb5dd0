"""The report's benchmark: what it draws, and the line through what it finds."""

import numpy as np
import pytest

from benchmarks.report import BASES, CURATIONS, QUESTION, SEEDS, line, models, study_of


def test_studies_grow_question_by_question():
    study = study_of(2 * QUESTION + 60, 10)
    table = models(study, 2 * QUESTION + 60)
    sizes = table.groupby("task", sort=False).size()
    assert sizes.tolist() == [QUESTION, QUESTION, 60]
    assert tuple(sizes.index) == study.targets
    whole = table[table["task"] == study.targets[0]]
    arms = whole.groupby(["base", "curation"], sort=False)["seed"].nunique()
    assert len(arms) == len(BASES) * len(CURATIONS)
    assert (arms == SEEDS).all()
    assert table["variant"].is_unique
    assert study_of(15 * QUESTION, 10).finetune.n == (128, 256)


def test_the_line_takes_the_fixed_cost_apart():
    found = [{"variants": v, "seconds": 8 + 0.01 * v} for v in (300, 1200, 4800)]
    fitted = line(found)
    assert (fitted["fixed_s"], fitted["s_per_variant"]) == (8.0, 0.01)
    assert fitted["off_the_line"] == {300: 0.0, 1200: 0.0, 4800: 0.0}
    beyond = {"variants": 25_680, "seconds": 8 + 0.02 * 25_680}
    assert line([*found, beyond])["off_the_line"] == {300: 0.0, 1200: 0.0, 4800: 0.0, 25_680: 1.0}
    found[-1]["seconds"] *= 3
    assert np.ptp(list(line(found)["off_the_line"].values())) > 0.2
    assert line(found[:2])["off_the_line"][1200] == pytest.approx(0.0)
