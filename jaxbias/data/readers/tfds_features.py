"""What the features of a TFDS dataset are as label columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.data.dataset import FIXED_COLUMNS
from jaxbias.data.table import Labels, labels
from jaxbias.errors import InputError


def parse(record: bytes, paths: Iterable[str]) -> list[Sequence[Any]]:
    """Returns features of an example as it is stored, each as the list of its numbers or bytes.

    TFDS's own decoding of an example takes longer than decoding its JPEG.
    """
    from tensorflow_datasets.proto import tf_example_pb2

    stored = tf_example_pb2.Example.FromString(record).features.feature
    found = []
    for path in paths:
        feature = stored[path] if path in stored else tf_example_pb2.Feature()
        kind = feature.WhichOneof("kind")
        found.append(getattr(feature, kind).value if kind else ())
    return found


def label_columns(
    values: Mapping[str, list[Sequence[Any]]],
    features: Mapping[str, Any],
    wanted: Mapping[str, str],
    missing_values: Sequence[str],
) -> Labels:
    """Returns the label columns of a dataset; a sequence of classes becomes a column per class.

    Args:
      values: feature -> of every example, the list of its numbers or bytes.
      features: what TFDS knows of each.
      wanted: column -> feature.
      missing_values: words that are unknown.

    Raises:
      InputError: a class number that is not whole, or has no name.
    """
    made: dict[str, Any] = {}
    unusable, plain, classes = {}, {}, {}
    for column, path in wanted.items():
        feature, here = features[path], values[path]
        inner = getattr(feature, "feature", feature)  # Of a sequence.
        names = getattr(inner, "names", None)
        if column in FIXED_COLUMNS:
            unusable[column] = "is a name jaxbias uses itself; name it otherwise in data.columns"
        elif inner is not feature and not names:
            unusable[column] = "is a sequence of something else than classes"
        elif inner is not feature:
            made |= _present(here, names, path)
        elif getattr(feature, "shape", ()) != ():
            unusable[column] = f"is an array of shape {feature.shape}"
        elif names:
            first = [value[0] if len(value) else -1 for value in here]
            classes[column] = _class_numbers(first, names, path), names
            made[column] = None
        elif feature.np_dtype == np.bool_:
            known = [bool(value[0]) if len(value) else None for value in here]
            made[column] = pd.Series(known, dtype="boolean")
        else:
            plain[column] = [as_text(value) for value in here]
            made[column] = None
    found, neither, notes = labels(pd.DataFrame(plain), missing_values, classes)
    made |= {name: found[name] for name in made if name in found}
    kept = {name: column for name, column in made.items() if column is not None}
    return Labels(pd.DataFrame(kept), {**unusable, **neither}, notes)


def _present(values: list[Sequence[Any]], names: Sequence[str], path: str) -> dict[str, pd.Series]:
    rows = np.repeat(np.arange(len(values)), [len(found) for found in values])
    numbers = _class_numbers([number for found in values for number in found], names, path)
    present = np.zeros((len(values), len(names)), bool)
    present[rows[numbers >= 0], numbers[numbers >= 0]] = True
    return {name: pd.Series(present[:, i], dtype="boolean") for i, name in enumerate(names)}


def _class_numbers(numbers: list[Any], names: Sequence[str], path: str) -> np.ndarray:
    found = np.array(numbers) if numbers else np.zeros(0, np.int64)
    if found.dtype.kind not in "iu":
        odd = next(number for number in numbers if not isinstance(number, int))
        raise InputError(f"feature '{path}' has class names, but holds {odd!r}, no whole number")
    wrong = np.flatnonzero((found < -1) | (found >= len(names)))
    if len(wrong):
        raise InputError(
            f"feature '{path}' has the class number {found[wrong[0]]}, which has no name: there are"
            f" {len(names):,}"
        )
    return found.astype(np.int64)


def flat(features: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every feature with its path; a sequence of dicts is a dict of sequences."""
    import tensorflow_datasets as tfds

    for name, feature in features.items():
        path = f"{prefix}{name}"
        inner = getattr(feature, "feature", None)
        if isinstance(feature, tfds.features.FeaturesDict):
            yield from flat(feature, f"{path}/")
        elif isinstance(inner, tfds.features.FeaturesDict):
            for part, connector in flat(inner, f"{path}/"):
                yield part, tfds.features.Sequence(connector)
        else:
            yield path, feature


def short(paths: set[str]) -> dict[str, str]:
    """Names columns by the last part of their path where that is unique."""
    last = [path.rsplit("/", 1)[-1] for path in paths]
    return {
        (name if last.count(name) == 1 else path): path
        for path, name in sorted(zip(paths, last, strict=True))
    }


def as_text(values: Sequence[Any]) -> str:
    """Returns a stored scalar as a string, '' where there is none."""
    value = values[0] if len(values) else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
