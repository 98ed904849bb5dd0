"""Example scores: how much each finetuning example hurts, as a table says that a user brings.

Data-attribution methods give one number per training example. Here the larger, the more it hurts:
`drop` leaves out those with the largest of a natural draw.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias.curation.cells import Cells
from jaxbias.data.attach import beside
from jaxbias.data.dataset import Dataset
from jaxbias.data.table_file import ID, read_table
from jaxbias.errors import InputError
from jaxbias.files.content import bytes_id
from jaxbias.files.digits import real
from jaxbias.study import Study
from jaxbias.words import count

SCORE = "score"


def table_path(study: Study, name: str) -> Path:
    """Returns the file of a table of example scores.

    Args:
      study: names it in config.curations.drop.tables.
      name: of the table there.

    Raises:
      InputError: the path leaves the folder it is relative to, or there is no such file.
    """
    setting = f"config.curations.drop.tables.{name}"
    given = study.curations.drop.tables[name]
    if not given or (not Path(given).is_absolute() and ".." in Path(given).parts):
        raise InputError(
            f"{setting}='{given}' must be a file in config.data.path or below the folder that "
            "jaxbias is run in, or a whole path"
        )
    path = beside(given, study.data.path, setting)
    if not path.is_file():
        raise InputError(f"{setting}: there is no file {path}")
    return path


def digests(study: Study) -> dict[str, str]:
    """Returns the name of each table of example scores -> a hash of its file's content.

    Raises:
      InputError: a file is not there.
    """
    tables = study.curations.drop.tables
    return {name: bytes_id(table_path(study, name).read_bytes()) for name in tables}


def read_example_scores(path: Path, dataset: Dataset) -> np.ndarray:
    """Reads a table of example scores.

    Args:
      path: CSV, TSV or Parquet, columns `id` and `score`.
      dataset: whose examples they are.

    Returns:
      float64[N], NaN where the table has no row.

    Raises:
      InputError: no such column, an id that the data does not have or that is there twice, or a
        score that is no finite number.
    """
    table = read_table(path)
    ids = table.column(ID, "the example's id").str.strip()
    scores = table.column(SCORE, "how much the example hurts")
    places = pd.Index(dataset.table["id"]).get_indexer(ids)
    unknown = np.flatnonzero(places < 0)
    if len(unknown):
        raise InputError(
            f"{len(unknown):,} of the {len(ids):,} ids of {path} are not in {dataset.name}; the "
            f"first is '{ids.iloc[unknown[0]]}', where the data has "
            f"'{dataset.table['id'].iloc[0]}'"
        )
    twice = np.flatnonzero(pd.Series(places).duplicated())
    if len(twice):
        raise InputError(f"{table.where(int(twice[0]))}: this id is there twice")
    numbers = [real(text.strip()) for text in scores]
    wrong = next((row for row, number in enumerate(numbers) if number is None), None)
    if wrong is not None:
        raise InputError(
            f"{table.where(wrong)}: the score '{scores.iloc[wrong]}' is no finite number"
        )
    found = np.full(len(dataset.table), np.nan)
    found[places] = np.array(numbers, np.float64)
    return found


def check_scored(harm: np.ndarray, path: Path, cells: Cells, pool: np.ndarray) -> None:
    """Refuses a table that lacks examples that may be drawn.

    Args:
      harm: float64[N], as `read_example_scores` returns it.
      path: its file.
      cells: of the task.
      pool: bool[N], the examples that may be drawn.

    Raises:
      InputError: with how many, and one of them.
    """
    missing = np.flatnonzero(pool & (cells.codes >= 0) & np.isnan(harm))
    if len(missing):
        first = cells.dataset.table["id"].iloc[missing[0]] if cells.dataset else missing[0]
        raise InputError(
            f"{path} has no score of {count(len(missing), 'finetuning example')} of task "
            f"'{cells.task}', such as '{first}'; give every one a score"
        )
