"""From the data settings to a dataset: read, derive, split, decode once, fingerprint."""

import hashlib
import json
from collections.abc import Callable

import numpy as np
import pandas as pd

from jaxbias.data import fairface, folder, splits
from jaxbias.data.dataset import Dataset
from jaxbias.data.source import Source
from jaxbias.data.store import Store, open_store
from jaxbias.data.table import add_derived
from jaxbias.errors import InputError, nearest
from jaxbias.study import DataSpec

# Bad images a note names; the rest are in the store's own record.
_NAMED = 20


def load(data: DataSpec, verify: bool = False) -> Dataset:
    """Reads a dataset, decoding its images the first time and reusing them afterwards.

    Args:
      data: where images and labels come from and how they are split.
      verify: checksum the stored pixels whatever their size; small stores always are.

    Returns:
      The dataset. Its images are a read-only memory map, so it costs little memory.

    Raises:
      InputError: an unknown dataset, something wrong with its files, labels or splits.
    """
    if data.name not in _READERS:
        raise InputError(
            f"config.data.name='{data.name}' is no dataset; {nearest(data.name, _READERS)}"
        )
    source = _READERS[data.name](data)
    twice = source.table["id"][source.table["id"].duplicated()]
    if len(twice):
        raise InputError(f"{source.name} has {len(twice):,} ids twice, such as '{twice.iloc[0]}'")
    # All that can be wrong with the table is found before the images are decoded.
    table = add_derived(_complete(source.table), data.derived, source.unusable)
    table["split"] = splits.assign(table, data.splits, data.seed)
    store = open_store(source, data.image_size, data.on_bad_image, verify)
    table = _kept(table, store.rows)
    return Dataset(
        name=source.name,
        images=store.images,
        table=table,
        fingerprint=fingerprint(store.checksum, table),
        frequencies=source.frequencies,
        group_share=source.group_share,
        notes=_notes(store),
        unusable=source.unusable,
        built=store.built,
    )


def fingerprint(checksum: str, table: pd.DataFrame) -> str:
    """Returns the sha256 hex of the pixels' checksum and all that the table says."""
    digest = hashlib.sha256(checksum.encode())
    for name in table.columns:
        column = table[name]
        digest.update(json.dumps([name, bool(column.dtype == "boolean")]).encode())
        if column.dtype == "boolean":
            digest.update(column.astype("Int8").fillna(-1).to_numpy(np.int8).tobytes())
        else:
            text = column.astype(object).where(column.notna(), None)
            digest.update(json.dumps(text.tolist()).encode())
    return digest.hexdigest()


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with its fixed columns first, as plain strings."""
    table = table.reset_index(drop=True)
    stratum = table.pop("stratum") if "stratum" in table else ""
    table.insert(2, "stratum", stratum)
    return table


def _kept(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Returns the rows that have an image; a category that only the others had is gone."""
    table = table.iloc[rows].reset_index(drop=True)
    for name in table.select_dtypes("category"):
        table[name] = table[name].cat.remove_unused_categories()
    return table


def _notes(store: Store) -> tuple[str, ...]:
    if not store.skipped:
        return ()
    count = len(store.skipped)
    named = ", ".join(f"{bad['id']} ({bad['reason']})" for bad in store.skipped[:_NAMED])
    more = f" and {count - _NAMED:,} more" if count > _NAMED else ""
    return (f"{count:,} bad image{'s' if count > 1 else ''} skipped: {named}{more}",)


def _faces(data: DataSpec) -> Source:
    from jaxbias.data import faces  # Brings in the renderer and TFDS, which no other dataset needs.

    return faces.read(data)


_READERS: dict[str, Callable[[DataSpec], Source]] = {
    "faces": _faces,
    "fairface": fairface.read,
    "folder": folder.read,
}
