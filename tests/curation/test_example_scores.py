"""Tables of example scores: what they drop, and what is wrong with one in one line."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias.curation import (
    check_scored,
    digests,
    draw,
    read_example_scores,
    table_path,
    target_cells,
)
from jaxbias.errors import InputError
from jaxbias.study import Curation
from tests.curation.made_up import four_cells
from tests.tiny import tiny_dataset, tiny_study

CELLS = four_cells(300, 280, 200, 40)
POOL = np.ones(len(CELLS.codes), bool)
HARM = np.random.default_rng(0).normal(size=len(POOL)).round(1)  # With ties.
DATA = tiny_dataset()


def drawn(k, n=100, seed=0, harm=HARM):
    return draw(CELLS, POOL, Curation("drop", k=k, table="t"), n, seed, "d", harm=harm)


@given(k=st.integers(1, 60), n=st.integers(70, 300), seed=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_the_worst_of_the_natural_draw_go(k, n, seed):
    natural = draw(CELLS, POOL, Curation("natural"), n, seed, "d")
    one, more = drawn(k, n, seed), drawn(k + 1, n, seed)
    assert len(one.ids) == n - k == one.counts.sum()
    assert set(more.ids) < set(one.ids) <= set(natural.ids)
    gone = np.setdiff1d(natural.ids, one.ids)
    assert HARM[gone].min() >= HARM[one.ids].max()
    assert one.counts.tolist() == np.bincount(CELLS.codes[one.ids], minlength=4).tolist()
    assert one.cells.tolist() == CELLS.codes[one.ids].tolist()
    assert len(one.weights) == n - k


def test_dropping_a_class_or_everything_is_refused():
    with pytest.raises(InputError, match=r"'drop 30 by t' at n=100 has 70 images and none of"):
        drawn(30, harm=np.where(CELLS.codes >= 2, 1.0, 0.0))
    with pytest.raises(InputError, match="'drop 100 by t' leaves nothing of n=100"):
        drawn(100)


def written(tmp_path, rows, name="t.csv"):
    path = tmp_path / name
    table = pd.DataFrame(rows, columns=["id", "score"])
    table.to_parquet(path) if name.endswith("parquet") else table.to_csv(path, index=False)
    return path


def test_scores_of_either_kind_of_file_are_those_of_the_ids(tmp_path):
    rows = [("0003", 1.5), ("0001", -2e-3), ("0399", 0)]
    for name in ("t.csv", "t.parquet"):
        found = read_example_scores(written(tmp_path, rows, name), DATA)
        assert found[[3, 1, 399]].tolist() == [1.5, -0.002, 0]
        assert np.isnan(found).sum() == 397


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("0001", 1), ("0001", 2)], "line 3 ('0001'): this id is there twice"),
        ([("0001", 1), ("0002", float("nan"))], "the score '' is no finite number"),
        ([("0001", "inf")], "line 2 ('0001'): the score 'inf' is no finite number"),
        ([("x", 1), ("0001", 2)], "1 of the 2 ids of"),
        ([("x", 1)], "are not in tiny; the first is 'x', where the data has '0000'"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(tmp_path, rows, said):
    with pytest.raises(InputError) as refused:
        read_example_scores(written(tmp_path, rows), DATA)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_column_or_examples_that_are_missing_are_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,scores\n0001,1\n")
    with pytest.raises(InputError, match=r"has no column 'score' .*did you mean 'scores'"):
        read_example_scores(path, DATA)
    study = tiny_study()
    cells = target_cells(DATA, "target", study.group)
    pool = (DATA.table["split"] == "finetune").to_numpy()
    harm = np.where(np.arange(400) % 40 == 1, np.nan, 0.0)
    with pytest.raises(InputError, match=r"no score of 10 finetuning examples of task 'target', s"):
        check_scored(harm, path, cells, pool)
    check_scored(np.where(pool, 0.0, np.nan), path, cells, pool)


def test_paths_are_files_in_the_datas_folder_or_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, [("0001", 1)])

    def study(path):
        return tiny_study(curations={"drop": {"k": (2,), "tables": {"t": path}}})

    assert table_path(study("t.csv"), "t").resolve() == (tmp_path / "t.csv").resolve()
    assert table_path(study(str(tmp_path / "t.csv")), "t") == tmp_path / "t.csv"
    first = digests(study("t.csv"))
    written(tmp_path, [("0001", 2)])
    assert digests(study("t.csv")).keys() == first.keys() == {"t"}
    assert digests(study("t.csv")) != first
    (tmp_path / "data").mkdir()
    inside = written(tmp_path / "data", [("0001", 3)])
    there = study("t.csv")
    there = dataclasses.replace(there, data=dataclasses.replace(there.data, path="data"))
    assert table_path(there, "t").resolve() == inside.resolve()
    for wrong, said in (("../t.csv", "must be a file in"), ("", "must be"), ("no.csv", "no file")):
        with pytest.raises(InputError, match=rf"^config\.curations\.drop\.tables\.t.*{said}"):
            table_path(study(wrong), "t")
