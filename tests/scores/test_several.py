"""The loss of tasks of several outputs on the validation split, which a search makes small."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from jaxbias.curation import task_cells
from jaxbias.engine.curator import Curator
from jaxbias.scores.measures import measure_several
from tests.several import several_dataset, several_study


def measured(task, scores):
    study, dataset = several_study(), several_dataset()
    curator = Curator(study, dataset)
    cells, labels = task_cells(study, dataset, task), curator.task_labels(task)
    rows = curator.validation
    return measure_several(scores, labels, cells, rows, dataset.table), labels[rows]


@pytest.fixture
def scores():
    return np.random.default_rng(0).standard_normal((3, 100, 3)).astype(np.float32)


def test_loss_of_classes_is_scikit_learns(scores):
    scores[1, 7, 2] = np.nan
    found, labels = measured("kind", scores)
    shares = np.exp(scores.astype(np.float64))
    shares /= shares.sum(axis=2, keepdims=True)
    for k in (0, 2):
        assert found["loss"][k] == pytest.approx(log_loss(labels[:, 0], shares[k]))
    assert np.isnan(found["loss"][1])
    assert np.isnan(found["auc"]).all()


def test_loss_of_labels_is_over_those_that_are_known(scores):
    found, labels = measured("looks", scores)
    assert (labels < 0).any()
    for k in range(3):
        each = []
        for z, y in zip(scores[k].astype(np.float64), labels, strict=True):
            known = [np.log1p(np.exp(-b if a else b)) for a, b in zip(y, z, strict=True) if a >= 0]
            each.append(np.mean(known))
        assert found["loss"][k] == pytest.approx(np.mean(each))
