"""More groups of tasks of several outputs: by scikit-learn, over the outputs that all have."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxbias.analysis import make_answer
from jaxbias.scores.scores import Scores
from tests.analysis.made_up import several
from tests.several import several_study

KINDS, RACES, N = ("round", "square", "thin", "rare"), ("r0", "r1", "r2", "few"), 100
COUNT, SEEDS = 3000, 3
GROUPINGS = {"race": {"column": "race"}, "group x race": {"crossed": ("group", "race")}}
LABELS = ("mark", "round", "other")


def labels_of(count):
    """Classes and races: hardly any of r1 is rare, and there are 12 test examples of `few`."""
    rng = np.random.default_rng(3)
    race = rng.integers(0, 3, count)
    race[np.flatnonzero(np.arange(count) % 3 == 2)[:12]] = 3
    kind = rng.choice(4, count, p=(0.35, 0.3, 0.25, 0.1))
    rare = np.flatnonzero((race == 1) & (kind == 3))
    kind[rare[15:]] = 0
    return race, kind


@pytest.fixture(scope="module")
def made():
    """The studied base tells classes apart the worse, the later the race."""
    study = several_study(groupings=GROUPINGS, curations={}, answer={"replicates": 60})
    _, dataset, _ = several([("target", "Scratch", "scratch", "natural", N)], score, count=COUNT)
    race, kind = labels_of(COUNT)
    rng = np.random.default_rng(5)
    mark = pd.array(rng.random(COUNT) < 0.4, dtype="boolean")
    mark[rng.random(COUNT) < 1 / 3] = pd.NA
    columns = {
        "race": pd.Categorical.from_codes(race, RACES),
        "kind": pd.Categorical.from_codes(kind, KINDS),
        "mark": mark,
        "round": pd.array(kind == 0, dtype="boolean"),
        "other": pd.array(rng.random(COUNT) < 0.5, dtype="boolean"),
    }
    table = dataset.table.assign(**columns)
    known = table[list(LABELS)].astype("float").fillna(0).to_numpy()
    truth = {"kind": np.eye(4)[kind], "looks": known}
    rows, every = [], []
    for task, true in truth.items():
        for base, role in (("Grouped", "studied"), ("Scratch", "scratch")):
            for repeat in range(SEEDS):
                blur = 0.3 + (0.6 * race[:, None] if base == "Grouped" else 0.0)
                every.append(true + blur * rng.standard_normal(true.shape))
                nan = float("nan")
                rows.append(
                    dict(variant=f"{task}{base}{repeat}", task=task, base=base, role=role)
                    | dict(pretrain_seed=repeat, seed=repeat, curation="natural", kind="natural")
                    | dict(level=nan, prevalence=nan, k=nan, n=N, status="ok")
                )
    split = table["split"].to_numpy()
    parts = []
    for name in ("validation", "test"):
        flat = [each[split == name].astype(np.float32).ravel() for each in every]
        parts.append(np.array([*flat, None], object)[:-1])
    dataset = dataclasses.replace(dataset, table=table)
    return study, dataset, Scores(pd.DataFrame(rows), *parts, table)


def score(arm, repeat, target, group, rng):
    return rng.standard_normal(len(target))


@pytest.fixture(scope="module")
def answered(made):
    return make_answer(*made)


def by_hand(made, task, race):
    """Of the studied base's models: macro metrics over what r0, r1 and r2 have, and hit rates."""
    _, dataset, scores = made
    table = dataset.table[dataset.table["split"] == "test"]
    own = (table["race"] == race).to_numpy()
    if task == "kind":
        true = np.stack([table["kind"] == kind for kind in KINDS], axis=1).astype(float)
    else:
        true = table[list(LABELS)].astype("float").to_numpy()
    chosen = (scores.variants["task"] == task) & (scores.variants["base"] == "Grouped")
    found = scores.matrix("test", chosen.to_numpy()).reshape(SEEDS, *true.shape)
    values = {"macro_auc": [], "macro_ap": [], "top_1_hit_rate": []}
    for each in found:
        for name, of in (("auc", roc_auc_score), ("ap", average_precision_score)):
            per_output = []
            for t in range(3):  # The fourth class is rare among r1.
                known = own & ~np.isnan(true[:, t])
                per_output.append(of(true[known, t], each[known, t]))
            values[f"macro_{name}"].append(np.mean(per_output))
        first = np.nan_to_num(true)[np.arange(len(true)), each.argmax(axis=1)]
        values["top_1_hit_rate"].append(first[own & ~np.isnan(true).all(axis=1)].mean())
    return {name: np.mean(each) for name, each in values.items()}


@pytest.mark.parametrize("task", ["kind", "looks"])
def test_rates_gaps_and_ranges_are_scikit_learns_over_the_outputs_that_all_have(
    made, answered, task
):
    expected = pd.DataFrame({race: by_hand(made, task, race) for race in RACES[:3]})

    def of(frame, *more):
        chosen = (frame["task"] == task) & (frame["base"] == "Grouped")
        return frame[chosen & (frame["grouping"] == "race")].set_index(["metric", *more])

    rates = of(answered.grouping_rates, "group")
    gaps, ranges = of(answered.grouping_gaps, "first", "second"), of(answered.grouping_ranges)
    for metric, values in expected.iterrows():
        for race, value in values.items():
            row = rates.loc[(metric, race)]
            assert row["value"] == pytest.approx(value, abs=1e-6)
            assert 0 <= row["low"] < row["value"] < row["high"] <= 1
        gap = gaps.loc[(metric, "r0", "r2")]
        assert gap["gap"] == pytest.approx(values["r0"] - values["r2"], abs=1e-6)
        assert gap["low_all"] <= gap["low"] <= gap["gap"] <= gap["high"] <= gap["high_all"]
        row = ranges.loc[metric]
        assert row["range"] == pytest.approx(np.ptp(values), abs=1e-6)
        assert (row["highest"], row["lowest"]) == (values.idxmax(), values.idxmin())
        pairs = gaps.loc[metric]
        assert row["low"] == pytest.approx(
            max(0, pairs["low_all"].max(), -pairs["high_all"].min()), abs=1e-9
        )
        assert row["verdict"] == "" and np.isnan(row["low_family"])
    outputs = {"kind": "round, square, thin", "looks": "mark, round, other"}[task]
    assert set(rates["outputs"]) == {outputs} == set(ranges["outputs"])


def test_blurred_races_are_apart_and_groups_of_few_are_named(answered):
    ranges = answered.grouping_ranges.set_index(["grouping", "task", "base", "metric"])
    apart, alike = (
        ranges.loc[("race", "kind", base, "macro_auc")] for base in ("Grouped", "Scratch")
    )
    assert apart["low"] > 0.1 and (apart["highest"], apart["lowest"]) == ("r0", "r2")
    assert alike["low"] == 0
    rates = answered.grouping_rates
    few = rates[(rates["grouping"] == "race") & (rates["group"] == "few")]
    assert few["value"].isna().all() and few["left_out"].str.contains("too few: 12 test").all()
    said = [
        one for one in answered.sentences if one.startswith("Grouping race of tasks of several")
    ]
    assert len(said) == 1
    assert (
        "Range of the macro AUC on natural draws: kind from Grouped, n = 100, over round" in said[0]
    )
    assert "few (kind: too few: 12 test examples" in said[0]
    assert ("group x race", "looks", "Scratch", "top_1_hit_rate") in ranges.index
