"""Pictures that are in two splits: a model would be tested on what it was trained on."""

import numpy as np
import pandas as pd

from jaxbias.data.dataset import Dataset
from jaxbias.progress import progress
from jaxbias.study import SPLITS

_GRID = 16
# Bits of 256 in which the hashes of a picture and its copy may differ. FairFace photographs saved
# again at 48² and quality 70 differ in 10 (half of them) to 35, other photographs in 72 or more.
# Sorting by each of 16 bands of 16 bits finds a pair when one band is equal: surely up to 15 bits.
_BITS = 40
# Mean difference of two thumbnails, of 255, that copies stay below.
_DIFFERENCE = 6.0
# Neighbours in the order of a band that are compared: a guard against a million equal pictures.
_NEIGHBOURS = 8
_CHUNK = 256
_NAMED = 3  # Pairs of two splits in a text.


def near_duplicates(dataset: Dataset) -> pd.DataFrame:
    """Finds pictures that are the same, or nearly (saved again, resized), in two splits.

    Pictures are reduced to 16 × 17 areas; a hash of 256 bits says where the grey value rises to
    the right, and pairs whose hashes differ in few bits are copies if their thumbnails agree. It
    is a warning, not a proof: cropped or mirrored copies are not found, and pictures from one
    camera that does not move are.

    Args:
      dataset: the dataset; examples in no split are left out.

    Returns:
      One row per pair: 'id' and 'split' of both ('_a' in the earlier split), and whether all
      pixels are equal.
    """
    splits = dataset.table["split"].to_numpy(object)
    rows = np.flatnonzero(splits != "")
    hashes, thumbnails = _reduce(dataset.images, rows)
    pairs = _candidates(hashes)
    order = {name: place for place, name in enumerate(SPLITS)}
    places = np.array([order[split] for split in splits[rows]], np.int8)
    pairs = pairs[places[pairs[:, 0]] != places[pairs[:, 1]]]
    difference = np.abs(thumbnails[pairs[:, 0]].astype(int) - thumbnails[pairs[:, 1]])
    pairs = pairs[difference.mean((1, 2, 3)) <= _DIFFERENCE]
    swapped = places[pairs[:, 0]] > places[pairs[:, 1]]
    pairs[swapped] = pairs[swapped][:, ::-1]
    pairs = rows[np.unique(pairs, axis=0)]
    ids = dataset.table["id"].to_numpy(object)
    return pd.DataFrame(
        {
            "id_a": ids[pairs[:, 0]],
            "split_a": splits[pairs[:, 0]],
            "id_b": ids[pairs[:, 1]],
            "split_b": splits[pairs[:, 1]],
            "exact": [np.array_equal(dataset.images[a], dataset.images[b]) for a, b in pairs],
        }
    )


def duplicates_text(pairs: pd.DataFrame) -> str:
    """Returns the pairs as a paragraph: counts per pair of splits, and the first few."""
    if pairs.empty:
        return "near-duplicates across splits: none found"
    lines = [f"near-duplicates across splits: {len(pairs):,}"]
    for (a, b), part in pairs.groupby(["split_a", "split_b"], sort=False):
        some = ", ".join(f"{r.id_a} = {r.id_b}" for r in part.head(_NAMED).itertuples())
        exact = int(part["exact"].sum())
        lines.append(f"  {a} and {b}: {len(part):,}, {exact:,} of them exact ({some})")
    return "\n".join(lines)


def _reduce(images: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns uint64[M, 4] hashes and uint8[M, 16, 17, 3] thumbnails."""
    down, across = _areas(images.shape[1], _GRID), _areas(images.shape[2], _GRID + 1)
    hashes = np.empty((len(rows), 4), np.uint64)
    thumbnails = np.empty((len(rows), _GRID, _GRID + 1, 3), np.uint8)
    with progress(len(rows), "hashing images", "images") as advance:
        for start in range(0, len(rows), _CHUNK):
            here = slice(start, start + _CHUNK)
            pixels = images[rows[here]].astype(np.float32)
            small = np.einsum("as,nstc,bt->nabc", down, pixels, across, optimize=True)
            grey = small.mean(-1)
            bits = np.packbits((grey[:, :, 1:] > grey[:, :, :-1]).reshape(len(small), -1), axis=1)
            hashes[here] = bits.view(np.uint64)
            thumbnails[here] = np.round(small)
            advance(len(small))
    return hashes, thumbnails


def _areas(size: int, parts: int) -> np.ndarray:
    """Returns float32[parts, size]: which share of a part each pixel covers; rows add up to 1."""
    edges = np.linspace(0, size, parts + 1)
    low = np.maximum(edges[:-1, None], np.arange(size))
    high = np.minimum(edges[1:, None], np.arange(1, size + 1))
    return (np.maximum(high - low, 0) * parts / size).astype(np.float32)


def _candidates(hashes: np.ndarray) -> np.ndarray:
    """Returns int64[P, 2], pairs whose hashes differ in at most _BITS bits."""
    bands = hashes.view(np.uint16)
    found = [np.zeros((0, 2), np.int64)]
    for band in range(bands.shape[1]):
        order = np.lexsort((*hashes.T, bands[:, band]))
        for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            a, b = order[:-step], order[step:]
            same = bands[a, band] == bands[b, band]
            a, b = a[same], b[same]
            near = np.bitwise_count(hashes[a] ^ hashes[b]).sum(1) <= _BITS
            found.append(np.stack([a[near], b[near]], axis=1))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
