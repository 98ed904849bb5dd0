"""Two sources: curves by source and grouping, and the share that makes up for the wrong base."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from jaxbias.analysis import make_answer
from jaxbias.data.dataset import Dataset
from jaxbias.scores.scores import Scores
from jaxbias.study import make_study, parse_curation
from tests.tiny import tiny_config

KINDS = tuple("abcdefgh")
SEEDS, LEVELS = 6, range(11)
BASES = {
    "Near": {"role": "studied", "target": "kind", "curation": "natural"},
    "Far": {"role": "studied", "target": "kind", "curation": "natural"},
}


def strength(base, level, far, poor):
    """How far the right class is ahead: what a base knows of a source, and the data teach.

    The base of the near source is as good in the far one with 50 % of it as the other is with 10 %,
    of the poor with 80 %.
    """
    share = level / 10 if far else 1 - level / 10
    own = (base == "Far") == far
    # Both learn alike from a share; 1.6 is what 40 % of it teach, and of the poor what 70 % do.
    return (1.6 if own else 0.0) + (1.6 / 0.7 if poor else 4.0) * share


def made(count=4800, seed=0):
    rng = np.random.default_rng(seed)
    split = np.array(["finetune", "validation", "test"])[np.arange(count) % 3]
    kind = rng.integers(len(KINDS), size=count)
    far, poor = rng.random(count) < 0.5, rng.random(count) < 0.5
    table = pd.DataFrame({"id": [str(i) for i in range(count)], "split": split, "stratum": ""})
    table["kind"] = pd.Categorical.from_codes(kind, KINDS)
    table["source"] = pd.Categorical(np.where(far, "far", "near"))
    table["income"] = pd.Categorical(np.where(far, np.where(poor, "1", "3"), None))
    noise = rng.normal(size=(count, len(KINDS)))
    right = np.eye(len(KINDS))[kind]
    rows, scores = [], []
    for base in BASES:
        for level in LEVELS:
            rule = parse_curation(f"source_mix {level}", "")
            ahead = np.array(
                [strength(base, level, *where) for where in zip(far, poor & far, strict=True)]
            )
            for repeat in range(SEEDS):
                own = noise + rng.normal(0, 0.3, noise.shape)
                scores.append(own + right * (ahead + rng.normal(0, 0.02))[:, None])
                rows.append(
                    dict(variant=f"{base}-{level}-{repeat}", task="kind", base=base)
                    | dict(role="studied", pretrain_seed=repeat, seed=repeat)
                    | dict(curation=rule.name, kind=rule.kind, level=float(level))
                    | dict(prevalence=np.nan, k=np.nan, n=128, status="ok", realised_n=128)
                )
    matrix = np.stack(scores).astype(np.float32)
    cut = {
        name: matrix[:, split == name].reshape(len(matrix), -1) for name in ("validation", "test")
    }
    config = tiny_config(
        targets=(),
        classes=("kind",),
        bases=BASES,
        group={"column": "source", "values": ("near", "far"), "names": ("near", "far")},
        curations={"source_mix": {"levels": tuple(LEVELS)}},
        answer={"replicates": 60},
        groupings={"income": {"column": "income"}},
    )
    dataset = Dataset("made up", np.zeros((0, 1, 1, 3), np.uint8), table, "f")
    variants = pd.DataFrame(rows)
    return make_study(config), dataset, Scores(variants, cut["validation"], cut["test"], table)


@pytest.fixture(scope="module")
def answer():
    return make_answer(*made())


def row(table, **wanted):
    (found,) = table[np.all([table[k] == v for k, v in wanted.items()], axis=0)].to_dict("records")
    return found


def test_the_wrong_base_catches_up_where_it_does(answer):
    """Truth: at 50 % of the far source, of its poor at 80 %."""
    hits = {"metric": "top_5_hit_rate", "base": "Near", "against": "Far"}
    rich = row(answer.catching_up, **hits, place="income=3")
    assert rich["difference"] < rich["high"] < 0
    assert rich["share_low"] <= 0.5 <= rich["share_high"]
    assert 0.5 < rich["sure_share"] <= 0.8
    poor = row(answer.catching_up, **hits, place="income=1")
    assert poor["share_low"] <= 0.8 <= poor["share_high"]
    assert not poor["sure_share"] <= 0.8


def test_whoever_knows_a_source_is_ahead_on_it_at_once(answer):
    own = {"metric": "top_5_hit_rate"}
    far = row(answer.catching_up, **own, base="Far", against="Near", place="far")
    near = row(answer.catching_up, **own, base="Near", against="Far", place="near")
    assert far["sure_share"] == near["sure_share"] == 0.1
    assert far["low"] > 0 and near["low"] > 0


def test_no_bound_of_a_share_leaves_0_to_1(answer):
    curves = answer.source_curves
    assert curves["low"].min() >= 0 and curves["high"].max() == 1.0


def test_shares_of_the_first_source_count_from_the_other_end(answer):
    """With 10 % of the near source the far base is at level 9."""
    found = row(
        answer.catching_up, metric="top_5_hit_rate", base="Far", against="Near", place="near"
    )
    curves = answer.source_curves
    at = {"metric": "top_5_hit_rate", "place": "near", "level": 9.0}
    ours, theirs = (row(curves, **at, base=base)["value"] for base in ("Far", "Near"))
    assert found["difference"] == pytest.approx(ours - theirs)
    assert found["reference"] == pytest.approx(theirs)


def test_curves_are_of_the_examples_of_their_place(answer):
    _, dataset, scores = made()
    test = (dataset.table["split"] == "test").to_numpy()
    poor = (dataset.table["income"][test] == "1").to_numpy()
    kind = dataset.table["kind"].cat.codes.to_numpy()[test]
    at = (scores.variants["base"] == "Near") & (scores.variants["level"] == 4)
    each = scores.test[at.to_numpy()].reshape(SEEDS, -1, len(KINDS))
    ranks = (each > np.take_along_axis(each, kind[None, :, None], 2)).sum(axis=2)
    found = row(
        answer.source_curves, metric="top_5_hit_rate", place="income=1", base="Near", level=4.0
    )
    assert found["examples"] == poor.sum()
    # Weights bring cells to their natural shares, which are nearly those of the test split.
    assert found["value"] == pytest.approx((ranks < 5)[:, poor].mean(), abs=0.01)
    assert found["low"] < found["value"] < found["high"]


def test_places_are_the_sources_and_the_second_by_every_grouping(answer):
    assert list(answer.source_curves["place"].unique()) == ["near", "far", "income=1", "income=3"]
    assert set(answer.source_curves["metric"]) == {
        "top_5_hit_rate",
        "macro_ap",
        "macro_normalized_ap",
    }
    said = [text for text in answer.sentences if text.startswith("Sources (kind, n = 128")]
    assert len(said) == 2
    assert "The Near base beside Far with 10 % of a source: near +" in said[0]


def test_what_is_not_trained_decides_nothing():
    study, dataset, scores = made(count=1200)
    planned = scores.variants.assign(mode="full")
    late = (planned["base"] == "Far") & (planned["level"] == 1) & (planned["seed"] == 0)
    late |= (planned["base"] == "Near") & (planned["level"] == 7)
    answer = make_answer(study, dataset, scores.only(~late.to_numpy()), planned=planned)
    hits = {"metric": "top_5_hit_rate", "base": "Near", "against": "Far"}
    far = row(answer.catching_up, **hits, place="far")
    assert far["waiting"] == "Far at 10 % are not all trained"
    assert far["difference"] != far["difference"]
    near = row(answer.catching_up, **hits, place="near")
    assert near["waiting"] == ""
    assert near["sure_share"] != near["sure_share"]  # 30 % is missing, and may not be ahead.


def test_other_studies_have_none():
    study, dataset, scores = made(count=600)
    natural = scores.variants.assign(kind="natural", curation="natural", level=np.nan)
    answer = make_answer(study, dataset, dataclasses.replace(scores, variants=natural))
    assert answer.source_curves.empty
    assert answer.catching_up.empty
