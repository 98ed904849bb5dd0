"""Attributing a gap: how much each finetuning example adds to it, by heads on frozen bases."""

from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias.curation import SCORE, Cells, Sample, harms
from jaxbias.data.dataset import Dataset
from jaxbias.data.table_file import ID
from jaxbias.engine.identities import identities
from jaxbias.engine.starts import Starts
from jaxbias.errors import InputError
from jaxbias.files.claims import Claims
from jaxbias.plan.variants import Base, expand
from jaxbias.stages.planning import Planner, load_data
from jaxbias.stages.train import train
from jaxbias.study import Study
from jaxbias.workdir.results import ResultDirectory


def attribute(study: Study, workdir: str | Path, base: str, target: str) -> pd.DataFrame:
    """Returns how much every finetuning example adds to the gap of a target on a base.

    A head is fitted to the whole finetuning split, weighted to its natural shares, on the frozen
    features of every checkpoint of the base; the score of an example is the mean over checkpoints.
    Bases that are not pretrained yet are.

    Args:
      study: the study; config.finetune.C is the strength of the penalty.
      workdir: its result directory.
      base: one of its bases.
      target: a binary column.

    Returns:
      Columns id and score, from the example that hurts most to the one that hurts least: by how
      much |gap| on validation, of probabilities and not of decisions, falls without it.

    Raises:
      InputError: nothing starts from the base, one of its checkpoints diverged, or as of `train`.
    """
    train(study, workdir, "pretrain")
    directory = ResultDirectory(workdir)
    with directory.place.named():
        dataset = load_data(study, directory)
        claims = Claims(directory.place.objects("claims"))
        starts = Planner(study, dataset, directory, claims).runner.starts
        cells = starts.curator.cells(target)
        rows = _labelled(cells, starts.curator.pools["finetune"])
        scores = np.mean(
            [
                _of_checkpoint(starts, checkpoint, cells, rows)
                for checkpoint in _checkpoints(study, dataset, directory, base)
            ],
            axis=0,
        )
    order = np.argsort(-scores, kind="stable")
    return pd.DataFrame({ID: dataset.table["id"].to_numpy()[rows[order]], SCORE: scores[order]})


def _checkpoints(
    study: Study, dataset: Dataset, directory: ResultDirectory, name: str
) -> list[Base]:
    """The checkpoints of a base that variants start from."""
    variants = expand(study, dataset.fingerprint, identities(study))
    found = {each.base.id: each.base for each in variants if each.base.name == name}
    if not found:
        raise InputError(f"--base={name}: the study finetunes nothing from it")
    rows = directory.base_rows(directory.plan())
    for row in rows.itertuples() if len(rows) else ():
        if row.id in found and row.status != "ok":
            raise InputError(f"--base={name}: its checkpoint of seed {row.seed} {row.status}")
    return list(found.values())


def _labelled(cells: Cells, pool: np.ndarray) -> np.ndarray:
    return np.flatnonzero(pool & (cells.codes >= 0))


def _of_checkpoint(starts: Starts, base: Base, cells: Cells, rows: np.ndarray) -> np.ndarray:
    """float64[N], of the finetuning examples in these rows."""
    values = starts.features(base, "lbfgs").values
    curator = starts.curator

    def sample(rows: np.ndarray) -> Sample:
        codes = cells.codes[rows]
        features = np.asarray(values[starts.places(rows)], np.float64)
        return Sample(features, cells.targets[codes], cells.groups[codes])

    codes = cells.codes[rows]
    # As a natural draw has them, whatever a split was topped up with.
    weights = (cells.shares / np.maximum(np.bincount(codes, minlength=len(cells.names)), 1))[codes]
    weights *= len(rows) / weights.sum()
    validation = _labelled(cells, curator.pools["validation"])
    return harms(sample(rows), weights, sample(validation), curator.study.finetune.C)
