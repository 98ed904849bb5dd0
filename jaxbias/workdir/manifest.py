"""The manifest: which examples every variant was finetuned on."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from jaxbias.files.atomic import write_parquet
from jaxbias.scores.scores import Scores


def write(path: Path, scores: Scores) -> Path:
    """Writes the examples of every variant, by the source's own ids.

    Args:
      path: of the file; its columns are variant, and its example ids as a list.
      scores: every finished variant.
    """
    names = pa.array(scores.examples["id"].to_numpy(dtype=object), pa.string())
    ids = scores.variants["ids"].tolist()
    offsets = np.cumsum([0, *map(len, ids)])
    examples = names.take(pa.array(np.concatenate(ids))).dictionary_encode()
    table = pa.table(
        {
            "variant": scores.variants["variant"].tolist(),
            "examples": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), examples),
        }
    )
    return write_parquet(path, table)
