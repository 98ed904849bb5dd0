"""`jaxbias evaluate`: files of scores from elsewhere, in every form people have them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from jaxbias.cli import command as cli
from jaxbias.errors import InputError
from jaxbias.metrics import evaluate
from jaxbias.scores.score_files import evaluate_files

N = 240


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(0)
    smiling = rng.integers(0, 2, N)
    table = pd.DataFrame(
        {
            "id": [f"image {i}" for i in range(N)],
            "smiling": smiling,
            "gender": rng.choice(["woman", "man"], N),
            "race": rng.choice(["A", "B", "C"], N),
        }
    )
    scores = {
        f"model {k}": (rng.normal(size=N) + smiling).astype(np.float32).round(3) for k in range(3)
    }
    return table, pd.DataFrame({"id": table["id"], **scores})


@pytest.fixture
def files(labelled, tmp_path):
    """Labels as CSV and scores as Parquet, in another order."""
    labels, scores = labelled
    labels.to_csv(tmp_path / "L.csv", index=False)
    scores.sample(frac=1, random_state=1).to_parquet(tmp_path / "S.parquet")
    return tmp_path / "S.parquet", tmp_path / "L.csv"


def test_rows_are_matched_by_id(labelled, files):
    labels, scores = labelled
    report, notes = evaluate_files(*files, "smiling", ["gender", "race"], metrics=["auc"])
    assert report.names == ("model 0", "model 1", "model 2")  # The index pandas wrote is none.
    assert notes[0] == "3 models, 240 examples."
    for name in report.names:
        expected = roc_auc_score(labels["smiling"], scores[name])
        got = report.value("auc")[report.names.index(name)]
        assert got == pytest.approx(expected, abs=1e-6)
        woman = labels["gender"] == "woman"
        expected = roc_auc_score(labels["smiling"][woman], scores[name][woman])
        place = report.names.index(name)
        assert report.value("auc", "gender=woman")[place] == pytest.approx(expected, abs=1e-6)


def test_csv_without_ids_goes_by_order(labelled, tmp_path):
    labels, scores = labelled
    labels.drop(columns="id").to_csv(tmp_path / "L.csv", index=False)
    scores.drop(columns="id").to_csv(tmp_path / "S.csv", index=False)
    report, notes = evaluate_files(tmp_path / "S.csv", tmp_path / "L.csv", "smiling", [])
    assert any("correspond by order" in note for note in notes)
    direct = evaluate(scores.drop(columns="id"), labels["smiling"])
    pd.testing.assert_frame_equal(report.frame(), direct.frame())


def test_split_gives_thresholds_and_missing_labels_are_left_out(labelled, files):
    labels, scores = labelled
    split = np.where(np.arange(N) % 3 == 0, "validation", "test")
    changed = labels.assign(split=split, smiling=labels["smiling"].astype("Int8"))
    changed.loc[4, "smiling"] = pd.NA
    changed.to_csv(files[1], index=False)
    report, notes = evaluate_files(*files, "smiling", ["gender"])
    assert notes[:2] == [
        "3 models, 159 examples.",
        "Thresholds were taken from the validation examples.",
    ]
    assert "Left out of 160 test rows: 1 with no label." in notes
    kept = (split == "test") & (np.arange(N) != 4)
    assert report.counts[0] == kept.sum()
    validation = labels["smiling"][split == "validation"]
    ordered = np.sort(scores["model 1"][split == "validation"])
    assert report.value("threshold")[1] == np.float32(ordered[-(validation.sum() + 1)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, y: (s.drop(columns="id"), y), "only one of .* has a column 'id'"),
        (lambda s, y: (s.iloc[1:], y), "no score of 1 labelled example, such as 'image 0'"),
        (lambda s, y: (s, y.assign(smiling=["a", "b", "c"] * 80)), "has 3 values"),
        (lambda s, y: (s[["id"]], y), "no column of scores"),
        (lambda s, y: (pd.concat([s, s.iloc[:1]]), y), "has 'image 0' twice"),
        (lambda s, y: (s, pd.concat([y, y.iloc[:1]])), "has 'image 0' twice"),
        (
            lambda s, y: (s.assign(m=["x"] * len(s)), y),
            r"line 2 \('image 0'\): .* 'm' is no number, but 'x'",
        ),
        (
            lambda s, y: (s.assign(m=np.nan), y),
            r"line 2 \('image 0'\): .* 'm' is missing \(240 sco",
        ),
        (lambda s, y: (s, y.assign(split="train")), "without a row 'test'; it says 'train'"),
    ],
)
def test_files_that_do_not_fit_are_named(labelled, tmp_path, change, message):
    scores, labels = change(labelled[1], labelled[0])
    labels.to_csv(tmp_path / "L.csv", index=False)
    scores.to_csv(tmp_path / "S.csv", index=False)
    with pytest.raises(InputError, match=message):
        evaluate_files(tmp_path / "S.csv", tmp_path / "L.csv", "smiling", ["gender"])


def counted(labelled, tmp_path, change, **settings):
    labels, scores = change(*labelled)
    labels.to_csv(tmp_path / "L.csv", index=False)
    scores.to_csv(tmp_path / "S.csv", index=False)
    return evaluate_files(tmp_path / "S.csv", tmp_path / "L.csv", "smiling", ["gender"], **settings)


def test_every_row_that_is_not_used_is_counted_and_said(labelled, tmp_path):
    row = np.arange(N)

    def change(labels, scores):
        labels = labels.astype({"smiling": object}).assign(
            split=np.select([row < 100, row < 220, row < 225], ["val", "test", ""], "Train"),
            weight=np.where(row % 10 == 3, 0.0, 1.5),
        )
        labels.loc[row % 20 == 7, "smiling"] = ""
        labels.loc[row % 30 == 9, "gender"] = ""
        unknown = scores.iloc[:4].assign(id=["u1", "u2", "u3", "u4"])
        return labels, pd.concat([scores[scores["id"] != "image 239"], unknown])

    report, notes = counted(labelled, tmp_path, change, weights="weight")
    test = (row >= 100) & (row < 220) & (row % 20 != 7) & (row % 10 != 3)
    assert report.counts.tolist()[0] == test.sum() == 102
    no_group = int((test & (row % 30 == 9)).sum())
    assert report.counts[1:].sum() == 102 - no_group
    for note in (
        "Split 'val' of L.csv was taken for 'validation'.",
        "Split 'Train' of L.csv was taken for 'finetune'.",
        "Left out: 5 rows of L.csv without a split.",
        "Left out: 15 rows of split 'finetune'.",
        "Left out of 120 test rows: 6 with no label and 12 with weight 0.",
        "Left out of 100 validation rows: 5 with no label and 10 with weight 0.",
        f"No 'gender' in {no_group} of 102 test examples: these count in 'all' and in none of its"
        " groups.",
        "Left out: 4 scored examples without a row in L.csv.",
    ):
        assert note in notes


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "split",
            "vla",
            r"L.csv line 7 \('image 5'\): split 'vla' is unknown \(1 row\); valid:",
        ),
        ("weight", "-1", r"L.csv line 7 \('image 5'\): weight '-1' is no weight, a number of at"),
        ("weight", "", r"line 7 \('image 5'\): weight '' is no weight, .* \(1 such row\)"),
        ("weight", "nan", r"line 7 .*: weight 'nan' is no weight"),
        ("weight", "inf", r"line 7 .*: weight 'inf' is no weight"),
    ],
)
def test_a_row_that_nothing_can_be_made_of_is_refused(labelled, tmp_path, column, value, message):
    def change(labels, scores):
        labels = labels.assign(split="test", weight="1")
        labels.loc[5, column] = value
        return labels, scores

    with pytest.raises(InputError, match=message):
        counted(labelled, tmp_path, change, weights="weight")


def test_nothing_left_is_refused(labelled, tmp_path):
    with pytest.raises(InputError, match="no test row has a 'smiling' and a weight above 0"):
        counted(
            labelled, tmp_path, lambda y, s: (y.assign(weight=0, split="test"), s), weights="weight"
        )


def test_scores_of_two_values_are_cut_between_them_and_that_is_said(labelled, tmp_path):
    def change(labels, scores):
        ones = (labels["smiling"] == 1) | (np.arange(N) % 4 == 0)  # More than are positive.
        return labels, scores.assign(**{"model 1": ones.astype(int), "model 2": ones * 2.0 + 1})

    report, notes = counted(labelled, tmp_path, change)
    assert report.two_values.tolist() == [False, True, True]
    assert report.value("threshold")[1:].tolist() == [0.5, 2.0]
    assert report.value("tpr").tolist()[1:] == [1.0, 1.0]
    cut = "Scores of two values only are cut between them, midway, and not at the base rate: "
    assert f"{cut}'model 1', 'model 2'." in notes
    _, notes = counted(labelled, tmp_path, lambda y, s: change(y, s.drop(columns="model 2")))
    assert any("cut between them, midway" in note for note in notes)


def test_command(files, tmp_path, capsys):
    words = [f"--scores={files[0]}", f"--labels={files[1]}", "--target=smiling"]
    words += ["--groups=gender,race", "--intersections=gender:race", f"--out={tmp_path}/m.csv"]
    cli.main(["jaxbias", "evaluate", *words, "--bootstrap=50", "--against=model 0"])
    shown = capsys.readouterr().out
    assert "Per group" in shown and "Difference from model 0" in shown
    written = pd.read_csv(tmp_path / "m.csv")
    assert set(written["group"]) >= {"all", "gender=man", "race=A", "gender", "gender & race"}
    assert not written.duplicated(["variant", "metric", "group"]).any()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--target=smilin", "did you mean 'smiling'?"),
        ("--groups=rase", "did you mean 'race'?"),
        ("--metrics=auk", "did you mean 'auc'?"),
        ("--threshold=fpr:2", "must have a rate in 0..1"),
        ("--population=level", "must be written like level=2,prevalence=0.5"),
        ("--against=model", "--against=model is no model of"),
        ("--out=m.txt", "must end in .csv or .parquet"),
        (
            "--weights=gender",
            "line 2 ('image 0'): gender 'man' is no weight, a number",
        ),
        ("--metrics=brier", "S.parquet row "),
        ("--metrics=brier", ", but brier needs probabilities; --link=sigmoid takes logits"),
    ],
)
def test_wrong_words_are_named(files, capsys, word, message):
    words = [f"--scores={files[0]}", f"--labels={files[1]}", "--target=smiling", "--bootstrap=20"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["jaxbias", "evaluate", *words, word])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_degenerate_models_are_named_in_the_notes(labelled, tmp_path, capsys):
    labels, scores = labelled
    flat = {f"flat {k}": np.full(N, 0.5) for k in range(12)}
    pd.DataFrame({**scores, **flat}).to_csv(tmp_path / "S.csv", index=False)
    labels.to_csv(tmp_path / "L.csv", index=False)
    arguments = [f"--scores={tmp_path / 'S.csv'}", f"--labels={tmp_path / 'L.csv'}"]
    cli.main(["jaxbias", "evaluate", *arguments, "--target=smiling", "--bootstrap=20"])
    shown = capsys.readouterr().out
    positives = labels["smiling"].sum()
    reason = (
        f"predicts nothing; ties leave {positives} examples (100.0% of the base rate) to chance"
    )
    assert f"Degenerate: flat 0 ({reason}; AUC 0.500, at least 0.500: not surely" in shown
    assert "Degenerate: flat 9" in shown and "Degenerate: flat 10" not in shown
    assert "Degenerate: 2 more of 15 models." in shown and "Degenerate: model" not in shown


def test_a_range_is_shown_with_what_chance_makes_of_it(labelled, files, capsys):
    words = [f"--scores={files[0]}", f"--labels={files[1]}", "--target=smiling", "--groups=race"]
    cli.main(["jaxbias", "evaluate", *words, "--metrics=fpr_gap", "--bootstrap=50"])
    shown = capsys.readouterr().out
    assert "By chance: its mean if all groups were equal; p: of their being equal" in shown
    assert shown.count("by chance 0.") == 3 and shown.count(", p 0.") == 3
