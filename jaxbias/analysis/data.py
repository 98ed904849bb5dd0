"""What the data of a study hold: its cells, and how many examples every split has in each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxbias.curation import Cells, task_cells
from jaxbias.data.dataset import Dataset
from jaxbias.study import SPLITS, Study


def cells_of(study: Study, dataset: Dataset, variants: pd.DataFrame) -> dict[str, Cells]:
    """Returns task -> its cells, of the tasks that variants were finetuned for."""
    tried = set(variants["task"])
    return {task: task_cells(study, dataset, task) for task in study.tasks if task in tried}


def training_counts(dataset: Dataset, cells: Cells) -> np.ndarray:
    """Returns int64[C], the natural examples of every cell in the finetuning split."""
    table = dataset.table
    natural = (table["split"] == "finetune") & (table["stratum"] == "")
    return np.asarray(cells.available(natural.to_numpy()))


def described(dataset: Dataset, cells: Mapping[str, Cells]) -> dict[str, Any]:
    """Returns name, fingerprint, notes, and counts: a row per split, task and cell."""
    split = dataset.table["split"].to_numpy()
    rows = [
        row
        for name in SPLITS
        for task, own in cells.items()
        for row in _counted(name, task, own, own.available(split == name))
    ]
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "counts": pd.DataFrame(rows),
        "notes": list(dataset.notes),
    }


def _counted(split: str, task: str, cells: Cells, counts: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "split": split,
            "task": task,
            "cell": cell,
            "target": int(cells.targets[i]),
            "group": cells.group_names[cells.groups[i]] if cells.groups[i] >= 0 else "both",
            "count": int(counts[i]),
            "share": counts[i] / max(counts.sum(), 1),
            "population_share": float(np.round(cells.shares[i], 6)),
        }
        for i, cell in enumerate(cells.names)
    ]
