"""From a table of what each example adds to the gap to finetunes without the worst of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from jaxbias.engine.identities import identities
from jaxbias.errors import InputError
from jaxbias.plan.variants import expand
from jaxbias.stages import train
from jaxbias.stages.attribute import attribute
from jaxbias.study import make_study
from jaxbias.workdir.results import ResultDirectory
from tests.tiny import tiny_config, tiny_dataset

pytestmark = pytest.mark.usefixtures("in_memory")


def config(path=None, k=(3,)):
    drop = {"k": k, "tables": {"head": str(path)}} if path else {}
    finetune = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 2, "C": 0.1}
    return tiny_config(curations={"drop": drop}, finetune=finetune)


@pytest.fixture(scope="module")
def attributed(tmp_path_factory):
    """A directory with pretrained bases, and the table of one of them."""
    workdir = tmp_path_factory.mktemp("attributed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxbias.data.load", lambda spec, check=None: tiny_dataset(seed=spec.seed))
        table = attribute(make_study(config()), workdir, "Grouped", "target")
    return workdir, table


def gap_without(features, labels, groups, weights, left_out, validation):
    kept = weights.copy()
    kept[left_out] = 0
    head = LogisticRegression(C=0.1, tol=1e-9, max_iter=5000)
    head.fit(features, labels, sample_weight=kept)
    negatives = validation[1] == 0
    p = head.predict_proba(validation[0][negatives])[:, 1]
    first = validation[2][negatives] == 0
    return abs(p[first].mean() - p[~first].mean())


def test_scores_are_what_refitted_heads_say(attributed):
    workdir, table = attributed
    dataset = tiny_dataset()
    rows = dataset.table[dataset.table["split"].isin(["finetune", "validation", "test"])]
    rows = rows.reset_index(drop=True)
    labels = rows["target"].to_numpy(np.int64)
    groups = (rows["group"] == "b").to_numpy(np.int64)
    training, validation = ((rows["split"] == s).to_numpy() for s in ("finetune", "validation"))
    assert sorted(table["id"]) == sorted(rows["id"][training])
    assert (np.diff(table["score"]) <= 0).all()
    stored = [
        np.load(path).astype(np.float64) for path in sorted((workdir / "features").glob("*.npy"))
    ]
    assert len(stored) == 2  # One per checkpoint, of this base alone.
    some = table.iloc[[*range(10), *range(-10, 0)]]
    places = pd.Index(rows["id"][training]).get_indexer(some["id"])
    changes = []
    for features in stored:
        # Here a split is its population: every weight is 1.
        data = (features[training], labels[training], groups[training], np.ones(training.sum()))
        held = (features[validation], labels[validation], groups[validation])
        whole = gap_without(*data, [], held)
        changes.append([whole - gap_without(*data, [place], held) for place in places])
    measured = np.mean(changes, axis=0)
    assert stats.spearmanr(measured, some["score"]).statistic > 0.95
    np.testing.assert_allclose(measured, some["score"], atol=0.1 * np.abs(measured).max())


def test_the_worst_are_dropped_and_the_table_is_part_of_what_a_variant_is(attributed, tmp_path):
    workdir, table = attributed
    path = tmp_path / "harm.csv"
    table.to_csv(path, index=False)
    study = make_study(config(path))
    train.train(study, workdir)
    variants = ResultDirectory(workdir).scores().variants
    ids = tiny_dataset().table["id"].to_numpy()
    harm = table.set_index("id")["score"]
    dropped = variants[variants["curation"] == "drop 3 by head"]
    assert len(dropped) == 6 and set(dropped["realised_n"]) == {17}
    for one in dropped.itertuples():
        same = (variants["base"] == one.base) & (variants["seed"] == one.seed)
        (natural,) = variants[same & (variants["curation"] == "natural")].itertuples()
        gone = set(natural.ids) - set(one.ids)
        assert len(gone) == 3 and set(one.ids) <= set(natural.ids)
        assert harm[ids[list(gone)]].min() >= harm[ids[one.ids]].max()
    first = {v.id for v in expand(study, "d", identities(study)) if v.curation.kind == "drop"}
    table.iloc[::-1].assign(score=table["score"].to_numpy()).to_csv(path, index=False)
    other = {v.id for v in expand(study, "d", identities(study)) if v.curation.kind == "drop"}
    assert first.isdisjoint(other) and len(first) == len(other)
    with pytest.raises(
        InputError, match=r"^config\.curations\.drop\.tables\.head: its file is not"
    ):
        train.train(study, workdir)


def test_a_base_that_nothing_starts_from_is_refused(attributed, tmp_path):
    points = [{"base": "Scratch"}]
    study = make_study(config() | {"experiments": {"E": points}})
    with pytest.raises(InputError, match="--base=Grouped: the study finetunes nothing from it"):
        attribute(study, tmp_path, "Grouped", "target")
