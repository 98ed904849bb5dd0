"""Files of models trained elsewhere: what is read, and one clear line for what is wrong."""

import numpy as np
import pandas as pd
import pytest

from jaxbias import InputError
from jaxbias.scores.external import external_study, read_external
from jaxbias.study import make_study, parse_curation

COUNT = 40


@pytest.fixture
def files(tmp_path):
    """Labels, variants and scores as frames, and a call that reads them back."""
    labels = pd.DataFrame(
        {
            "id": np.arange(COUNT),
            "split": np.resize(["validation", "test"], COUNT),
            "gender": np.resize(["woman", "woman", "man", "man"], COUNT),
            "smiling": np.resize([0, 0, 0, 0, 1, 1, 1, 1], COUNT),
        }
    )
    variants = pd.DataFrame(
        [
            (f"{base}-{curation}-{seed}", base, role, curation, 100, seed)
            for base, role in (("Gendered", "studied"), ("Scratch", "scratch"))
            for curation in ("natural", "correlation 5")
            for seed in range(2)
        ],
        columns=["model", "base", "role", "curation", "n", "seed"],
    )
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"id": labels["id"]}).assign(
        **{model: rng.normal(size=COUNT).astype(np.float32) for model in variants["model"]}
    )

    def read(labels=labels, variants=variants, scores=scores):
        paths = [tmp_path / name for name in ("S.parquet", "V.csv", "L.csv")]
        scores.to_parquet(paths[0], index=False)
        variants.to_csv(paths[1], index=False)
        labels.to_csv(paths[2], index=False)
        study = external_study(paths[1], paths[2], "smiling", "gender", ("woman", "man"))
        return read_external(*paths, study)

    return labels, variants, scores, read


def test_scores_are_matched_by_id_and_kept_as_they_are(files):
    labels, variants, scores, read = files
    _, found = read(scores=scores.sample(frac=1, random_state=1))
    test = (labels["split"] == "test").to_numpy()
    for row, model in enumerate(variants["model"]):
        np.testing.assert_array_equal(found.test[row], scores[model][test])
        np.testing.assert_array_equal(found.validation[row], scores[model][~test])
    assert set(found.variants["realised_n"]) == {100}
    assert set(found.variants["quotas"]) == {"{}"}


def test_whole_numbers_may_be_written_as_pandas_writes_them(files):
    _, variants, _, read = files
    _, found = read(variants=variants.assign(n=100.0, seed=variants["seed"].astype(float)))
    assert found.variants["n"].tolist() == [100] * len(variants)
    assert found.variants["seed"].tolist() == variants["seed"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("curation", "", "line 2 ('Gendered-natural-0'): curation '' is unknown"),
        ("curation", "correlaton 3", "did you mean 'correlation'"),
        ("curation", "correlation", "must be written like 'correlation 3'"),
        ("curation", "correlation 15", "a level that is not in 0..10"),
        ("n", 0, "n='0' and seed='0' must be whole numbers, n more than 0"),
        ("n", 1.5, "n='1.5'"),
        ("seed", "²", "seed='²' must be whole numbers"),
        ("seed", 0, "has the base, curation, n and seed of another"),
    ],
)
def test_wrong_settings_of_a_model_are_named(files, column, value, message):
    _, variants, _, read = files
    with pytest.raises(InputError) as error:
        read(variants=variants.assign(**{column: value}))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            np.nan,
            r"S\.parquet row 8 \('7'\): the score by model '{}' is missing \(1 score",
        ),
        ("high", r"S\.parquet: column '{}' holds .*string, and a score is a number"),
    ],
)
def test_a_score_that_is_no_number_names_model_and_example(files, value, message):
    _, variants, scores, read = files
    model = variants["model"][3]
    wrong = scores.astype({model: object})
    wrong.loc[7, model] = value
    wrong[model] = wrong[model].astype(str if value == "high" else float)
    with pytest.raises(InputError, match=message.format(model)):
        read(scores=wrong)


def test_the_columns_that_an_error_lists_are_few(files):
    _, _, scores, read = files
    many = pd.DataFrame({"key": scores["id"], **{f"m{i}": np.zeros(COUNT) for i in range(300)}})
    with pytest.raises(InputError, match=r"no column 'id' .* and 277 more") as error:
        read(scores=many)
    assert len(str(error.value)) < 600


def test_a_curation_reads_back_as_it_is_named():
    for name in (
        "natural",
        "correlation 10",
        "pair_mix 0",
        "add_minority 40",
        "correlation 3 at natural",
    ):
        assert parse_curation(name, "").name == name


def test_what_is_left_out_and_where_natural_shares_come_from_is_said(files):
    labels, _, _, read = files
    said = read()[0].notes[1:]
    assert said == (
        "Natural shares, and the costs that rest on them, were counted in all 40 examples"
        " (validation, test), since none is of the split finetune.",
    )
    more = labels.assign(split=np.resize(["validation", "test", "finetune", "test"], COUNT))
    assert read(labels=more)[0].notes[1:] == ()
    more.loc[2:3, "gender"] = "other"
    more.loc[4:6, "smiling"] = -1
    more["smiling"] = more["smiling"].map({0: "no", 1: "yes", -1: "?"})
    assert read(labels=more)[0].notes[1:] == (
        "Taken as unknown, by config.data.missing_values: 'smiling' 3 × '?'.",
        "In neither group of 'gender' (woman, man): 2 of 40 examples (finetune 1, test 1):"
        " 2 'other'. They are left out.",
        "Without a label of 'smiling': 3 of 40 examples (finetune 1, validation 1, test 1)."
        " They are left out.",
    )


@pytest.mark.parametrize(
    ("words", "values", "names"),
    [
        (("woman", "man"), ("man", "woman"), ("man", "woman")),
        (("0", "1"), ("0", "1"), ("group=0", "group=1")),
        (("No", "yes"), ("No", "yes"), ("No", "yes")),
        (("smoker", "non-smoker"), ("non-smoker", "smoker"), ("non-smoker", "smoker")),
        (("-1", "1"), ("-1", "1"), ("group=-1", "group=1")),
    ],
)
def test_the_groups_own_values(tmp_path, words, values, names):
    text = "id,group\n" + "".join(f"{i},{word}\n" for i, word in enumerate([*words, *words, "NA"]))
    (tmp_path / "L.csv").write_text(text)
    (tmp_path / "V.csv").write_text("model,base,role,curation,n,seed\nm,S,scratch,natural,9,0\n")
    study = external_study(tmp_path / "V.csv", tmp_path / "L.csv", "smiling", "group", ())
    assert study.group.values == values
    assert study.group.names == names


def test_every_row_that_is_not_used_is_counted_and_said(files):
    labels, _, scores, read = files
    labels = labels.astype({"smiling": object, "gender": object, "split": object})
    labels.loc[[1, 3, 4], "gender"] = ["other", "", "other"]  # 1 and 3: test; 4: validation.
    labels.loc[[5, 7, 8], "smiling"] = ""
    labels.loc[labels["split"] == "validation", "split"] = "val"
    labels.loc[10, "split"] = ""
    unknown = scores.iloc[:2].assign(id=[100, 101])
    more = pd.concat([scores, unknown]).assign(stranger=0.5)
    dataset, found = read(labels=labels, scores=more)
    assert found.test.shape == (8, 20) and found.validation.shape == (8, 19)
    assert dataset.notes == (
        "Models were trained elsewhere; their scores were read from S.parquet.",
        "Left out: 1 column of S.parquet that are none of the models, 'stranger'.",
        "Split 'val' of L.csv was taken for 'validation'.",
        "Left out: 1 row of L.csv without a split.",
        "Natural shares, and the costs that rest on them, were counted in all 40 examples"
        " (validation, test, no split), since none is of the split finetune.",
        "In neither group of 'gender' (woman, man): 3 of 39 examples (validation 1, test 2):"
        " 2 'other', 1 unknown. They are left out.",
        "Without a label of 'smiling': 3 of 39 examples (validation 1, test 2). They are left out.",
        "Left out: 3 scored examples without a label.",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "holdout"}, r"L\.csv line 2 \('0'\): split 'holdout' is unknown \(40 rows\)"),
        ({"id": [0, *range(COUNT - 1)]}, r"L\.csv has '0' twice, in lines 2 and 3"),
        ({"id": ["", *range(1, COUNT)]}, r"L\.csv line 2 has no 'id'"),
    ],
)
def test_labels_that_cannot_be_used_are_named(files, change, message):
    labels, *_, read = files
    with pytest.raises(InputError, match=message):
        read(labels=labels.assign(**change))


def test_a_group_of_one_value_is_named(files, tmp_path):
    labels, variants, *_ = files
    variants.to_csv(tmp_path / "V.csv", index=False)
    labels.assign(gender="woman").to_csv(tmp_path / "L.csv", index=False)
    with pytest.raises(InputError, match=r"has 1 value \('woman'\); name two"):
        external_study(tmp_path / "V.csv", tmp_path / "L.csv", "smiling", "gender", ())


def test_models_of_two_values_are_named(files):
    _, variants, scores, read = files
    first, second, *_ = variants["model"]
    decided = scores.assign(**{first: scores[first] > 0.3, second: (scores[second] > 0.3) * 1.0})
    notes = read(scores=decided.astype({first: np.float32}))[0].notes
    said = "Scores of two values only are cut between them, at 0.5, and not at the base rate: "
    assert f"{said}'{first}', '{second}'." in notes


@pytest.fixture
def of_several(files, tmp_path):
    """The same files with a task of classes and one of labels beside the target."""
    labels, variants, _, _ = files
    rng = np.random.default_rng(1)
    labels = labels.assign(
        kind=np.resize(["round", "square", "thin"], COUNT), tall=labels["id"] % 2
    )
    tasks = {"smiling": ("",), "kind": ("thin", "round", "square"), "looks": ("smiling", "tall")}
    variants = pd.concat(
        variants.assign(model=f"{task} " + variants["model"], task=task) for task in tasks
    )
    scores = pd.DataFrame({"id": labels["id"]}).assign(
        **{
            f"{row.model}/{output}" if output else row.model: rng.normal(size=COUNT)
            for row in variants.itertuples()
            for output in tasks[row.task]
        }
    )
    study = make_study(
        {
            "targets": ("smiling",),
            "classes": ("kind",),
            "labels": {"looks": ("smiling", "tall")},
            "group": {"column": "gender", "values": ("woman", "man"), "names": ("woman", "man")},
            "bases": {
                "Gendered": {"role": "studied", "target": "gender"},
                "Scratch": {"role": "scratch"},
            },
        }
    )

    def read(scores=scores):
        paths = [tmp_path / name for name in ("S.csv", "V.csv", "L.csv")]
        for path, frame in zip(paths, (scores, variants, labels), strict=True):
            frame.to_csv(path, index=False)
        return read_external(*paths, study)

    return labels, variants, scores, read


def test_classes_and_labels_have_a_column_each(of_several):
    labels, variants, scores, read = of_several
    _, found = read(scores.sample(frac=1, random_state=1))
    test = (labels["split"] == "test").to_numpy()
    order = {"kind": ("round", "square", "thin"), "looks": ("smiling", "tall")}
    for row, (model, task) in enumerate(zip(variants["model"], variants["task"], strict=True)):
        columns = [f"{model}/{output}" for output in order[task]] if task in order else [model]
        expected = scores[columns].to_numpy(np.float32)
        np.testing.assert_array_equal(found.test[row], expected[test].ravel())
        np.testing.assert_array_equal(found.validation[row], expected[~test].ravel())
    chosen = (variants["task"] == "kind").to_numpy()
    assert found.matrix("test", chosen).shape == (8, 3 * test.sum())


def test_a_class_without_a_column_is_named(of_several):
    _, _, scores, read = of_several
    with pytest.raises(InputError, match=r"no column 'kind Gendered-natural-0/thin'; did you mean"):
        read(scores.drop(columns="kind Gendered-natural-0/thin"))


def test_a_target_of_many_classes_is_refused_with_the_way_out(files):
    labels, _, _, read = files
    classes = np.resize(["yes", "no", "a bit"], COUNT)
    with pytest.raises(
        InputError, match=r"has 3 values, .* config\.classes=\('smiling',\).*MODEL/"
    ):
        read(labels=labels.assign(smiling=classes))
