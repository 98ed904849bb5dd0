"""A tiny dataset and study in memory: a red patch shows the target, a blue one the group."""

import numpy as np
import pandas as pd

from jaxbias.data.dataset import Dataset
from jaxbias.study import Study, make_study


def tiny_dataset(count: int = 400, size: int = 8, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    group = rng.random(count) < 0.5
    target = rng.random(count) < np.where(group, 0.3, 0.6)
    other = rng.random(count) < 0.5
    images = rng.integers(0, 120, (count, size, size, 3), np.uint8)
    images[target, :3, :3, 0] += 100
    images[group, -3:, :, 2] += 100
    images[other, :3, -3:, 1] += 100
    split = np.array(["pretrain", "finetune", "validation", "test"])[np.arange(count) % 4]
    table = pd.DataFrame(
        {"id": [f"{i:04d}" for i in range(count)], "split": split, "stratum": ""}
    ).assign(
        target=pd.array(target, dtype="boolean"),
        other=pd.array(other, dtype="boolean"),
        group=pd.Categorical(np.where(group, "b", "a")),
    )
    return Dataset("tiny", images, table, fingerprint=f"tiny{count}{seed}")


def tiny_config(**changes) -> dict:
    return {
        "name": "tiny",
        "data": {"name": "tiny", "image_size": 8},
        "targets": ("target",),
        "group": {"column": "group", "values": ("a", "b"), "names": ("a", "b")},
        "bases": {
            "Grouped": {"role": "studied", "target": "group", "curation": "class_balanced"},
            "Control": {"role": "control", "target": "other"},
            "Scratch": {"role": "scratch"},
        },
        "model": {"widths": (4,)},
        "pretrain": {"n": 40, "epochs": 1, "batch": 16},
        "finetune": {"n": (20,), "epochs": 1, "batch": 16, "seeds": 2},
        "curations": {"correlation": {"levels": (2, 5)}},
        "answer": {"replicates": 20},
        "grid": {"pack_width": 4, "devices": 2},
        **changes,
    }


def tiny_study(**changes) -> Study:
    return make_study(tiny_config(**changes))
