import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.data.attach import attach, rescaled
from jaxbias.data.loading import fingerprint
from jaxbias.data.source import Source
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from jaxbias.values import build

COUNT = 200


def make_source() -> Source:
    table = pd.DataFrame({"id": [f"{i}.jpg" for i in range(COUNT)], "split": "all"})
    table["hat"] = pd.array([i % 2 == 0 for i in range(COUNT)], "boolean")
    table["age"] = pd.Categorical(["young", "old"] * (COUNT // 2))
    numbers = pd.Series([str(i) for i in range(COUNT)])
    return Source("dots", "key", table, bytes, numbers=numbers)


def annotate(path, **columns) -> DataSpec:
    pd.DataFrame(columns).to_csv(path, index=False)
    return DataSpec(annotations=str(path))


def test_annotations_are_right_where_they_speak(tmp_path):
    data = annotate(
        tmp_path / "a.csv",
        id=["3.jpg", "0.jpg", "1.jpg"],
        hat=["1", "", "0"],
        age=["child", "", "old"],
        skin=["light", "dark", "light"],
    )
    table = attach(make_source(), data)[0].table
    assert table["hat"][:4].tolist() == [pd.NA, False, True, True]
    assert table["age"].astype(object).tolist()[:4] == [np.nan, "old", "young", "child"]
    assert table["skin"].notna().sum() == 3
    assert table["skin"][3] == "light"


def test_ids_may_be_the_numbers_of_the_dataset(tmp_path):
    table = attach(make_source(), annotate(tmp_path / "a.csv", id=[7, 9], scarf=[1, 0]))[0].table
    assert table["scarf"].dropna().to_dict() == {7: True, 9: False}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": ["0.jpg", "x.jpg"], "hat": [1, 0]}, "1 of the 2 ids .* first is 'x.jpg'"),
        ({"id": ["0.jpg", "0.jpg"], "hat": [1, 0]}, "line 3 .'0.jpg'.: this id is there twice"),
        ({"id": ["0.jpg", "1.jpg"], "hat": ["a", "b"]}, "'hat' .* not of the kind"),
        ({"id": ["0.jpg"], "split": ["test"]}, None),
        ({"name": ["0.jpg"], "hat": [1]}, "has no column 'id'"),
    ],
)
def test_annotations_that_do_not_fit(tmp_path, columns, words):
    data = annotate(tmp_path / "a.csv", **columns)
    if words is None:  # A split of somebody else's is no label.
        assert "jaxbias uses itself" in attach(make_source(), data)[0].unusable["split"]
        return
    with pytest.raises(InputError, match=words):
        attach(make_source(), data)


def test_scores_become_labels_at_the_base_rate_and_soft_targets(tmp_path):
    scores = np.random.default_rng(0).beta(2, 2, COUNT - 20)
    ids = [f"{i}.jpg" for i in range(COUNT - 20)]
    pd.DataFrame({"id": ids, "Smiling": scores}).to_parquet(tmp_path / "s.parquet")
    data = DataSpec(scores=str(tmp_path / "s.parquet"), base_rates={"Smiling": 0.2})
    source, soft = attach(make_source(), data)
    known = source.table["Smiling"].dropna()
    assert len(known) == COUNT - 20
    assert int(known.sum()) == (COUNT - 20) // 5
    assert soft["Smiling"].dtype == np.float32
    assert soft["Smiling"].mean() == pytest.approx(0.2, abs=1e-6)
    assert soft["Smiling"].isna().sum() == 20
    np.testing.assert_array_equal(soft["Smiling"].dropna().rank(), pd.Series(scores).rank())
    assert "are the scores of a model (s.parquet)" in source.notes[0]
    plain, _ = attach(make_source(), DataSpec(scores=str(tmp_path / "s.parquet")))
    assert int(plain.table["Smiling"].sum()) == (scores >= 0.5).sum()
    nothing = pd.DataFrame(index=source.table.index)
    table = source.table.assign(stratum="")
    assert fingerprint("x", table, soft) != fingerprint("x", table, nothing)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0.01, 0.99))
@settings(max_examples=50)
def test_rescaling_moves_all_logits_by_one_constant(scores, rate):
    scores = np.clip(np.array(scores), 0.001, 0.999)
    moved = rescaled(scores, rate)
    assert moved.mean() == pytest.approx(rate, abs=1e-6)
    odds = (moved / (1 - moved)) / (scores / (1 - scores))
    np.testing.assert_allclose(odds, odds[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("columns", "rates", "words"),
    [
        ({"id": ["0.jpg"], "Smiling": [1.5]}, {}, "line 2 .'0.jpg'.: Smiling=1.5 must be"),
        ({"id": ["0.jpg"], "Smiling": ["yes"]}, {}, "Smiling=yes must be a probability"),
        ({"id": ["0.jpg"], "hat": [0.5]}, {}, "has a column 'hat' already"),
        (
            {"id": ["0.jpg"], "Smiling": [0.5]},
            {"Smiling": 1.0},
            "Smiling=1.0 must be in",
        ),
        ({"id": ["0.jpg"], "Smiling": [0.5]}, {"Smile": 0.5}, "no column 'Smile' .*'Smiling'"),
    ],
)
def test_scores_that_are_none(tmp_path, columns, rates, words):
    pd.DataFrame(columns).to_csv(tmp_path / "s.csv", index=False)
    settings = {"scores": str(tmp_path / "s.csv"), "base_rates": rates}
    with pytest.raises(InputError, match=words):
        attach(make_source(), build(DataSpec, settings, "config.data"))
