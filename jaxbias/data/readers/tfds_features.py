"""What the features of a TFDS dataset are as label columns."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.data.table import labels, named


def label(values: list[Any], feature: Any, path: str) -> Any:
    """Returns a label column, a dict of them, or the reason there is none."""
    inner = getattr(feature, "feature", feature)  # Of a sequence.
    classes = getattr(inner, "names", None)
    if inner is not feature:
        if not classes:
            return "is a sequence of something else than classes"
        present = np.zeros((len(values), len(classes)), bool)
        for row, found in enumerate(values):
            present[row, np.asarray(found, dtype=int)] = True
        return {name: pd.Series(present[:, i], dtype="boolean") for i, name in enumerate(classes)}
    if getattr(feature, "shape", ()) != ():
        return f"is an array of shape {feature.shape}"
    if classes:
        return named(np.array(values), classes)
    if feature.np_dtype == np.bool_:
        return pd.Series(np.array(values, bool), dtype="boolean")
    found, unusable = labels(pd.DataFrame({path: [as_text(value) for value in values]}))
    return unusable.get(path) or found[path]


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


def at(example: Mapping[str, Any], path: str) -> Any:
    """Looks a path up; a name may itself hold the separator, as 'image/filename' of COCO does."""
    if path in example:
        return example[path]
    first, _, rest = path.partition("/")
    return at(example[first], rest)


def as_text(value: Any) -> str:
    """Returns a scalar as a string; TFDS gives texts as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
