"""The tiny dataset with a column of three classes, and labels of which some are unknown."""

import dataclasses

import numpy as np
import pandas as pd

from jaxbias.study import make_study
from tests.tiny import tiny_config, tiny_dataset

KINDS = ("round", "square", "thin")


def several_dataset(count=400, seed=0):
    """`kind` is shown by a green patch of three brightnesses; `mark` is known of two thirds."""
    dataset = tiny_dataset(count, seed=seed)
    rng = np.random.default_rng(100 + seed)
    group = (dataset.table["group"] == "b").to_numpy()
    kind = np.where(rng.random(count) < np.where(group, 0.5, 0.2), 0, 1 + rng.integers(0, 2, count))
    images = dataset.images.copy()
    images[:, 4:6, :4, 1] = (10 + 100 * kind)[:, None, None]
    mark = pd.array(kind == 2, dtype="boolean")
    mark[rng.random(count) < 1 / 3] = pd.NA
    table = dataset.table.assign(
        kind=pd.Categorical.from_codes(kind, KINDS), mark=mark, round=pd.array(kind == 0, "boolean")
    )
    return dataclasses.replace(
        dataset, images=images, table=table, fingerprint=f"several{count}{seed}"
    )


def several_config(**changes):
    """One task of each kind that is not a pair."""
    return tiny_config(
        **{
            "targets": (),
            "classes": ("kind",),
            "labels": {"looks": ("mark", "round", "other")},
            "bases": {
                "Grouped": {"role": "studied", "target": "group", "curation": "class_balanced"},
                "Scratch": {"role": "scratch"},
            },
            "curations": {"group_balanced": True},
            **changes,
        }
    )


def several_study(**changes):
    return make_study(several_config(**changes))
