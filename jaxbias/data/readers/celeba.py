"""CelebA, aligned and cropped: its official text files, their CSV form, or TFDS `celeb_a`.

Liu, Luo, Wang & Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias.data import files
from jaxbias.data.readers import tfds
from jaxbias.data.source import Source, with_labels
from jaxbias.errors import InputError
from jaxbias.study import DataSpec

_SPLITS = ("train", "val", "test")
_LAYOUT = (
    "holds img_align_celeba/, list_attr_celeba.txt and list_eval_partition.txt, or celeb_a/ as TFDS"
    " prepares it (docs/datasets.md)"
)


def read(data: DataSpec) -> Source:
    """Reads CelebA from `data.path`: 40 binary attributes; splits 'train', 'val' and 'test'.

    Raises:
      InputError: what of the layout is missing, or a line that is not as published.
    """
    root = files.folder(data.path, _LAYOUT)
    prepared = tfds.prepared(root, "celeb_a")
    if prepared is not None:
        source = tfds.read_prepared(prepared, "CelebA")
        return _only_attributes(source)
    attributes = _table(root, "list_attr_celeba", counted=True)
    wrong = np.argwhere(~np.isin(attributes.to_numpy(), (-1, 1)))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{root}/list_attr_celeba: {attributes.columns[column]} of"
            f" '{attributes.index[row]}' is {attributes.iat[row, column]}, not -1 or 1"
        )
    partition = _table(root, "list_eval_partition", counted=False).iloc[:, 0]
    missing = attributes.index.difference(partition.index)
    if len(missing) or len(partition) != len(attributes):
        raise InputError(
            f"list_eval_partition of {root} has {len(partition):,} images and list_attr_celeba"
            f" {len(attributes):,}" + (f"; '{missing[0]}' is not in it" if len(missing) else "")
        )
    partition = partition.loc[attributes.index].to_numpy()
    if not np.isin(partition, (0, 1, 2)).all():
        raise InputError(f"list_eval_partition of {root} has a split that is not 0, 1 or 2")
    # The archive of some mirrors holds the folder twice.
    folder = "img_align_celeba"
    if (root / folder / folder).is_dir():
        folder = f"{folder}/{folder}"
    ids, key = files.find(
        root, [f"{folder}/{name}" for name in attributes.index], "list_attr_celeba"
    )
    found = {name: (attributes[name] == 1).astype("boolean") for name in attributes}
    return Source(
        name="CelebA",
        key=f"celeba/{key}",
        table=with_labels(ids, np.array(_SPLITS)[partition].tolist(), found),
        read=files.Reader(root, ids),
        numbers=pd.Series(attributes.index, dtype=str),
    )


def _table(root: Path, name: str, counted: bool) -> pd.DataFrame:
    """Reads NAME.txt (blanks between columns; perhaps a count and a header) or NAME.csv."""
    for path in (root / f"{name}.txt", root / f"{name}.csv"):
        if path.is_file():
            break
    else:
        raise InputError(f"{root} has no {name}.txt; it must be the folder that {_LAYOUT}")
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, index_col=0).astype(np.int64)
        with path.open(encoding="utf-8-sig") as file:
            head = [file.readline().split() for _ in range(2)] if counted else [[], ["split"]]
        table = pd.read_csv(
            path,
            sep=r"\s+",
            header=None,
            index_col=0,
            skiprows=2 if counted else 0,
            names=["image", *head[1]],
            encoding="utf-8-sig",
        ).astype(np.int64)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise InputError(f"{path} is not as published: {' '.join(str(error).split())}") from error
    if counted and head[0] != [str(len(table))]:
        raise InputError(
            f"{path} says in its first line that it has {' '.join(head[0])} images, but has"
            f" {len(table):,}: is it whole?"
        )
    return table


def _only_attributes(source: Source) -> Source:
    """TFDS also has landmarks and the person's number, which are no labels of a study."""
    table = source.table
    kept = [name for name in table if name in ("id", "split") or table[name].dtype == "boolean"]
    return dataclasses.replace(source, table=table[kept], unusable={})
