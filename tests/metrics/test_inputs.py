"""Scores of any framework give the same numbers; hostile ones give numbers or reasons."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jaxbias.errors import InputError
from jaxbias.metrics import METRICS, Examples, evaluate
from tests.metrics.strategies import CALIBRATION, PRECISION, assert_same

N = 40
SHARES = {"a": (0.1, 0.2), "b": (0.3, 0.4)}
ALL_METRICS = {"metrics": tuple(METRICS), "train_shares": SHARES}
# What takes scores as probabilities cannot take infinite ones.
ANY_SCORES = [n for n in METRICS if not n.startswith(("ece", "brier", "log_loss", "score_dist"))]
UNBOUNDED = {"metrics": tuple(ANY_SCORES), "train_shares": SHARES}


class Tensor:
    """Speaks DLPack as a tensor of PyTorch does, on the CPU."""

    def __init__(self, array, requires_grad=False):
        self.array, self.requires_grad = np.asarray(array), requires_grad
        self.shape, self.ndim = self.array.shape, self.array.ndim

    def detach(self):
        return Tensor(self.array)

    def __len__(self):
        return len(self.array)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **arguments):
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self.array.__dlpack__(**arguments)

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.array


def plain():
    """Scores, labels, groups and weights of NumPy; bfloat16 holds these scores exactly."""
    rng = np.random.default_rng(0)
    scores = (rng.integers(0, 65, (8, N)) / 64).astype(np.float32)
    return scores, np.tile([0, 0, 1, 1], N // 4), np.tile([0, 1], N // 2), rng.integers(1, 4, N)


FORMS = {
    "lists": lambda x: x.tolist(),
    "tuples": lambda x: tuple(x.tolist()),
    "float64": lambda x: x.astype(np.float64) if x.dtype == np.float32 else x,
    "jax": jnp.asarray,
    "bfloat16": lambda x: jnp.asarray(x, jnp.bfloat16) if x.dtype == np.float32 else x,
    "float16": lambda x: x.astype(np.float16) if x.dtype == np.float32 else x,
    "fortran": np.asfortranarray,
    "pandas": lambda x: pd.DataFrame(x.T) if x.ndim == 2 else pd.Series(x),
    "tensor": Tensor,
    "tensor with gradient": lambda x: Tensor(x, requires_grad=x.dtype == np.float32),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_framework_gives_the_same(form):
    scores, labels, groups, weights = plain()
    expected = evaluate(scores, labels, groups, weights=weights)
    given = [form(x) for x in (scores, labels, groups, weights)]
    assert_same(expected, evaluate(*given[:3], weights=given[3]), 0)
    other = Examples(*given)
    assert_same(
        evaluate(scores, labels, groups, validation=Examples(scores, labels, groups, weights)),
        evaluate(given[0], given[1], given[2], validation=other),
        0,
    )


@pytest.mark.parametrize("form", ["jax", "tensor", "tensor with gradient", "lists"])
def test_several_targets_of_every_framework(form):
    rng = np.random.default_rng(1)
    scores = rng.random((2, N, 3)).astype(np.float32)
    labels = rng.integers(0, 2, (N, 3))
    report = evaluate(*map(FORMS[form], (scores, labels)), metrics=["auc"])
    expected = evaluate(scores, labels, metrics=["auc"])
    for target in expected.targets:
        assert_same(report[target], expected[target], 0)


def test_pandas_keeps_names_and_refuses_other_indices():
    scores, labels, groups, weights = plain()
    frame = pd.DataFrame(scores.T, columns=[f"model {v}" for v in range(8)])
    report = evaluate(frame, pd.Series(labels), pd.Series(groups))
    assert report.names[2] == "model 2"
    moved = pd.Series(labels, index=np.arange(N)[::-1])
    series = {"labels": moved, "groups": moved, "weights": moved}
    for name, wrong in series.items():
        arguments = {"labels": labels, "groups": groups, "weights": weights} | {name: wrong}
        with pytest.raises(InputError, match=f"{name} and scores have different pandas indices"):
            evaluate(frame, **arguments)
    with pytest.raises(InputError, match=r"labels and validation\.scores have different"):
        evaluate(frame, labels, validation=Examples(frame, moved))
    # The same index in another type, or arrays beside frames, are the same examples.
    evaluate(frame, pd.Series(labels, index=list(range(N))), groups)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.float32, object, "Int64", "boolean"])
def test_labels_of_any_type(dtype):
    scores, labels, groups, _ = plain()
    given = pd.Series(labels).astype(dtype) if isinstance(dtype, str) else labels.astype(dtype)
    assert_same(evaluate(scores, labels, groups), evaluate(scores, given, groups), 0)


def hostile(values, labels=(0, 1, 0, 1, 0, 1, 1, 0), **arguments):
    """A report of everything about hostile scores, its frames made, of two groups."""
    report = evaluate(
        [values], labels, ["a", "a", "b", "b"] * (len(labels) // 4), bootstrap=6, **arguments
    )
    frame = report.frame()
    report.gaps()
    # Whatever has no value has its reason, and nothing else has one.
    np.testing.assert_array_equal(frame["value"].isna(), frame["undefined_reason"] != "")
    return report


@pytest.mark.parametrize("value", [0.0, -0.0, 0.5, 1.0, 1e-45])
def test_all_scores_equal(value):
    report = hostile([value] * 8, **ALL_METRICS)
    assert report.value("ap") == 0.5 and report.value("normalized_ap") == 0.5
    assert report.value("score_distance") == 0
    assert report.value("ece")[0] == pytest.approx(abs(0.5 - value))
    assert report.value("ece_equal_mass")[0] == pytest.approx(abs(0.5 - value))
    assert report.value("equalized_odds_difference") == 0


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_all_scores_infinite(value):
    report = hostile([value] * 8, **UNBOUNDED)
    assert report.value("ap") == 0.5
    assert report.value("threshold") == value and report.value("selection_rate") == 0


def test_some_scores_infinite():
    report = hostile([-np.inf, np.inf, 0.1, np.inf, -np.inf, 0.2, -np.inf, 0.3], **UNBOUNDED)
    # Above −∞: 1 1 0 1 0, and one positive among what is left.
    precision = (2 * 2 / 2 + 3 / 4 + 4 / 8) / 4
    assert report.value("ap")[0] == pytest.approx(precision)
    distance = evaluate([[np.inf, 0.1]], [0, 1], ["a", "b"], metrics=["score_distance"])
    assert np.isinf(distance.value("score_distance"))


def test_denormals_are_told_apart():
    """They rank 2nd and 1st against 0; their distances, too small for float32, are no errors."""
    scores = [0.0, 2e-45, 0.0, 1e-45, 0.0, 1e-45, 2e-45, 0.0]
    report = hostile(scores, **ALL_METRICS)
    assert report.value("ap") == 1 and report.value("auc") == 1
    assert report.value("score_distance")[0] == pytest.approx(0, abs=1e-44)


@pytest.mark.parametrize("label", [0, 1])
def test_one_example(label):
    report = evaluate([[0.3]], [label], ["a"], metrics=(*PRECISION, *CALIBRATION), bootstrap=20)
    report.frame()
    assert report.value("brier")[0] == pytest.approx((0.3 - label) ** 2)
    assert report.value("ece")[0] == pytest.approx(abs(0.3 - label))
    assert report.value("ece_equal_mass")[0] == pytest.approx(abs(0.3 - label))
    if label:
        assert report.value("ap") == 1
    else:
        assert report.undefined("ap") == "no positive example"
    assert report.undefined("brier_gap") == "a gap needs two groups, there is 1"


def test_no_weight_at_all():
    metrics = (*PRECISION, *CALIBRATION, "bias_amplification")
    report = hostile([0.1, 0.2, 0.3, 0.4] * 2, weights=np.zeros(8), metrics=metrics)
    for metric in metrics:
        assert np.isnan(report.value(metric))
    assert report.undefined("brier") == "no example"


def test_one_group_without_weight():
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    weights = np.array([1, 1, 0, 0, 1, 1, 0, 0])
    report = hostile(scores, weights=weights, **ALL_METRICS)
    alone = evaluate([np.array(scores)[weights > 0]], [0, 1, 0, 1], metrics=CALIBRATION)
    for metric in CALIBRATION:
        assert report.value(metric, "a")[0] == pytest.approx(alone.value(metric)[0])
        assert np.isnan(report.value(metric, "b"))


def test_a_class_missing_in_one_group():
    report = hostile([0.1, 0.2, 0.3, 0.4] * 2, labels=(0, 1, 0, 0) * 2, **ALL_METRICS)
    assert report.undefined("ap", "b") == "no positive example in group b"
    assert report.undefined("equalized_odds_difference") == "no positive example in group b"
    assert not np.isnan(report.value("demographic_parity_difference"))
    assert not np.isnan(report.value("score_distance"))


def test_nan_is_refused_where_it_lies():
    scores = jax.device_put(np.array([[0.1, 0.2], [0.3, np.nan]], np.float32))
    for given in (scores, np.asarray(scores), Tensor(np.asarray(scores))):
        with pytest.raises(InputError, match="variant 'y' at row 1 is NaN, and 0 more"):
            evaluate(given, [0, 1], names=["x", "y"], metrics=PRECISION)
