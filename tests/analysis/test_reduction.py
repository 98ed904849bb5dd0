"""Removal alone beside all images, on scores that lose AUC from a known size down."""

import numpy as np
import pytest

from jaxbias.analysis import make_answer
from tests.analysis.made_up import several

FULL, LEFT = 1024, (3, 4, 8)
LEVELS = (2, 3, 4, 5, 8)


def score(arm, repeat, target, first, rng):
    """The gap is the level's at any size; with 256 images less of the target is learnt."""
    *_, curation, _ = arm
    level = 2 if curation == "natural" else float(curation.split()[1])
    own = 1.2 if curation == "reduce_only 8 from 2" else 2.0
    common = np.random.default_rng(0).normal(0, 1, len(target))
    return own * target + 0.3 * (5 - level) * first + common + rng.normal(0, 0.2, len(target))


def study_of(left):
    bases = {"Gendered": "studied", "Scratch": "scratch"}
    pairs = [("natural", FULL), *((f"correlation {k}", FULL) for k in LEVELS)]
    pairs += [(f"reduce_only {k} from 2", FULL) for k in left]
    arms = [("target", b, r, c, n) for b, r in bases.items() for c, n in pairs]
    return several(arms, score, {"target": (0.5, 0.2)}, count=6000, seeds=8)


@pytest.fixture(scope="module")
def answered():
    return make_answer(*study_of(LEFT))


def test_fewer_images_are_as_good_until_auc_is_lost(answered):
    rows = answered.reduction[answered.reduction["base"] == "Gendered"].set_index("level")
    assert rows["n"].to_dict() == {3: 682, 4: 512, 8: 256}
    assert (rows["n_full"] == FULL).all()
    assert rows["verdict"].to_dict() == {3: "as good", 4: "as good", 8: "worse"}
    assert rows.loc[8, "auc_change_high"] < -0.03
    (said,) = (one for one in answered.sentences if one.startswith("Removal alone"))
    assert "level 3 (n = 682), level 4 (n = 512); worse: level 8 (n = 256)" in said


def test_changes_are_differences_of_the_curves(answered):
    curves = answered.curves[answered.curves["group"] == "all"]
    values = curves.set_index(["base", "curation", "n", "metric"])["value"]
    for row in answered.reduction.itertuples():
        for name, metric in (("gap", "fpr_gap"), ("auc", "auc")):
            arms = (row.curation, f"correlation {row.level:g}")
            own, full = (values[row.base, arm, FULL, metric] for arm in arms)
            assert getattr(row, name) == pytest.approx(own)
            assert getattr(row, f"{name}_full") == pytest.approx(full)
            assert getattr(row, f"{name}_change") == pytest.approx(own - full)


def test_what_has_no_level_beside_it_is_not_compared():
    answer = make_answer(*study_of((7,)))
    assert answer.reduction.empty
    assert not any(one.startswith("Removal") for one in answer.sentences)
