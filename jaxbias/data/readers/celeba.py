"""CelebA, aligned and cropped: its official text files, their CSV form, or TFDS `celeb_a`.

Liu, Luo, Wang & Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias.data import files
from jaxbias.data.delimited import shown
from jaxbias.data.readers import tfds
from jaxbias.data.source import Source
from jaxbias.data.table_file import read_table
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
        source = tfds.read_prepared(prepared, "CelebA", data.missing_values)
        return _only_attributes(source)
    attributes, claim = _table(root, "list_attr_celeba", (-1, 1), counted=True)
    if claim and data.on_missing == "error":
        raise InputError(
            f"{root}: {claim}; is it whole? config.data.on_missing='skip' takes what it has"
        )
    partition = _table(root, "list_eval_partition", (0, 1, 2), counted=False)[0].iloc[:, 0]
    notes = _differ(root, attributes.index, partition.index, data.on_missing)
    attributes = attributes[partition.index.get_indexer(attributes.index) >= 0]
    if attributes.empty:
        raise InputError(f"list_attr_celeba and list_eval_partition of {root} share no image")
    partition = partition.loc[attributes.index].to_numpy()
    # The archive of some mirrors holds the folder twice.
    folder = "img_align_celeba"
    if (root / folder / folder).is_dir():
        folder = f"{folder}/{folder}"
    return files.source(
        "CelebA",
        "celeba",
        data,
        root,
        {"list_attr_celeba": [f"{folder}/{name}" for name in attributes.index]},
        np.array(_SPLITS)[partition].tolist(),
        {name: (attributes[name] == 1).astype("boolean") for name in attributes},
        numbers=pd.Series(attributes.index, dtype=str),
        notes=(*([f"{claim}."] if claim else []), *notes),
    )


def _differ(
    root: Path, attributes: pd.Index, partition: pd.Index, on_missing: str
) -> tuple[str, ...]:
    """Returns what the report says of images that one of the two files lacks, or refuses them."""
    notes = []
    for here, there, name, other in (
        (attributes, partition, "list_attr_celeba", "list_eval_partition"),
        (partition, attributes, "list_eval_partition", "list_attr_celeba"),
    ):
        alone = here.difference(there)
        if len(alone):
            notes.append(
                f"{len(alone):,} of the {len(here):,} images of {name} are not in {other}, such as"
                f" '{alone[0]}'"
            )
    if notes and on_missing == "error":
        raise InputError(
            f"{root}: {'; '.join(notes)}; config.data.on_missing='skip' takes those that both have"
        )
    return tuple(f"{note}: left out." for note in notes)


def _table(
    root: Path, name: str, allowed: tuple[int, ...], counted: bool
) -> tuple[pd.DataFrame, str]:
    """Reads NAME.txt (blanks between columns; perhaps a count and a header) or NAME.csv.

    Returns:
      The table; and what its first line says of it that is not so, "" where it is.
    """
    claim = ""
    path = next((p for p in (root / f"{name}.txt", root / f"{name}.csv") if p.is_file()), None)
    if path is None:
        raise InputError(f"{root} has no {name}.txt; it must be the folder that {_LAYOUT}")
    if path.suffix == ".csv":
        read = read_table(path)
        images, *columns = read.text.columns
        lines, rows = read.lines, read.text.itertuples(index=False, name=None)
    else:
        try:
            text = path.read_text("utf-8-sig").rstrip().split("\n")
        except ValueError:
            raise InputError(f"{path} is not as published: it is no UTF-8") from None
        head = [line.split() for line in text[:2]] if counted else [[], ["split"]]
        images, columns, skipped = "image", head[-1], 2 if counted else 0
        if counted and head[0] != [str(len(text) - skipped)]:
            claim = (
                f"{path.name} says in its first line that it has {shown(text[0])[1:-1]} images, but"
                f" has {len(text) - skipped:,}"
            )
        lines = range(1 + skipped, 1 + len(text))
        rows = (line.split() for line in text[skipped:])
    known = {str(number): number for number in allowed}
    names, values = [], np.zeros((len(lines), len(columns)), np.int8)
    for row, (line, fields) in enumerate(zip(lines, rows, strict=True)):
        if len(fields) != 1 + len(columns):
            raise InputError(
                f"{path} line {line} is not as published, a name and {len(columns)} numbers:"
                f" {shown(' '.join(fields))}"
            )
        wrong = next((at for at, field in enumerate(fields[1:]) if field not in known), None)
        if wrong is not None:
            raise InputError(
                f"{path} line {line} ('{fields[0]}'): {columns[wrong]} is"
                f" {shown(fields[1 + wrong])}, not {', '.join(list(known)[:-1])} or {allowed[-1]}"
            )
        names.append(fields[0])
        values[row] = [known[field] for field in fields[1:]]
    table = pd.DataFrame(values, pd.Index(names, name=images, dtype=str), columns)
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise InputError(f"{path} has the image '{twice}' twice")
    return table, claim


def _only_attributes(source: Source) -> Source:
    """TFDS also has landmarks and the person's number, which are no labels of a study."""
    table = source.table
    kept = [name for name in table if name in ("id", "split") or table[name].dtype == "boolean"]
    return dataclasses.replace(source, table=table[kept], unusable={})
