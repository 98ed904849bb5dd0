"""From the data settings to a dataset: read, derive, split, decode once, fingerprint."""

import dataclasses
import hashlib
import json
from collections.abc import Callable

import numpy as np
import pandas as pd

from jaxbias import words
from jaxbias.data import splits
from jaxbias.data.attach import attach
from jaxbias.data.dataset import Dataset
from jaxbias.data.exclusions import without_split
from jaxbias.data.readers import read
from jaxbias.data.remote import here
from jaxbias.data.source import only
from jaxbias.data.store import Store, open_store
from jaxbias.data.table import add_derived
from jaxbias.study import DataSpec

# Bad images a note names; the rest are in the store's own record.
_NAMED = 20


def load(
    data: DataSpec, check: Callable[[Dataset], None] | None = None, verify: bool = False
) -> Dataset:
    """Reads a dataset, decoding its images the first time and reusing them afterwards.

    Args:
      data: where images and labels come from and how they are split.
      check: refuses labels that will not do, by an InputError. It is given the dataset without
        images before any is decoded, and again where some were skipped.
      verify: checksum the stored pixels whatever their size; small stores always are.

    Returns:
      The dataset. Its images are a read-only memory map, so it costs little memory.

    Raises:
      InputError: an unknown dataset, something wrong with its files, labels or splits.
    """
    data = here(data)
    source = read(data)
    # All that can be wrong with the table is found before the images are decoded.
    source, soft = attach(source, data)
    table = add_derived(_complete(source.table), data.derived, source.unusable)
    sources = table["split"]
    table["split"] = splits.assign(table, data.splits, data.seed)
    unsplit = without_split(sources, table["split"].to_numpy(object))
    labelled = Dataset(
        name=source.name,
        images=np.zeros((0, data.image_size, data.image_size, 3), np.uint8),
        table=table,
        fingerprint="",
        soft=soft,
        frequencies=source.frequencies,
        group_share=source.group_share,
        notes=(*source.notes, *unsplit),
        unusable=source.unusable,
    )
    if check is not None:
        check(labelled)
    store = open_store(source, data.image_size, data.on_bad_image, verify)
    table = only(table, store.rows)
    soft = soft.iloc[store.rows].reset_index(drop=True)
    dataset = dataclasses.replace(
        labelled,
        images=store.images,
        table=table,
        fingerprint=fingerprint(store.checksum, table, soft),
        soft=soft,
        notes=(*labelled.notes, *_notes(store)),
        built=store.built,
    )
    if check is not None and store.skipped:
        check(dataset)
    return dataset


def fingerprint(checksum: str, table: pd.DataFrame, soft: pd.DataFrame) -> str:
    """Returns the sha256 hex of the pixels' checksum and all that the tables say."""
    digest = hashlib.sha256(checksum.encode())
    for name in table.columns:
        column = table[name]
        digest.update(json.dumps([name, bool(column.dtype == "boolean")]).encode())
        if column.dtype == "boolean":
            digest.update(column.astype("Int8").fillna(-1).to_numpy(np.int8).tobytes())
        else:
            text = column.astype(object).where(column.notna(), None)
            digest.update(json.dumps(text.tolist()).encode())
    for name in soft.columns:
        digest.update(json.dumps([name, "soft"]).encode())
        digest.update(soft[name].to_numpy(np.float32).tobytes())
    return digest.hexdigest()


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with its fixed columns first, as plain strings."""
    table = table.reset_index(drop=True)
    stratum = table.pop("stratum") if "stratum" in table else ""
    table.insert(2, "stratum", stratum)
    return table


def _notes(store: Store) -> tuple[str, ...]:
    if not store.skipped:
        return ()
    count = len(store.skipped)
    named = ", ".join(f"{bad['id']} ({bad['reason']})" for bad in store.skipped[:_NAMED])
    more = f" and {count - _NAMED:,} more" if count > _NAMED else ""
    return (f"{words.count(count, 'bad image')} skipped: {named}{more}",)
