"""The answer's frames as tables on disk."""

import dataclasses
from pathlib import Path

import pandas as pd

from jaxbias.analysis import Answer
from jaxbias.files.atomic import write_bytes, write_csv, write_text
from jaxbias.plan.criteria import MEASURES

# Frames of the answer become a CSV of the same name.
FRAMES = tuple(each.name for each in dataclasses.fields(Answer) if each.type is pd.DataFrame)


def write_tables(answer: Answer, directory: Path) -> None:
    """Writes summary.txt, counts.csv, metrics.parquet, and a CSV per frame that the study has.

    A CSV without a single column could not be read back; one of an earlier answer is removed.
    """
    summary = "".join(f"{sentence}\n" for sentence in answer.sentences)
    frames = {name: getattr(answer, name) for name in FRAMES} | {"counts": answer.dataset["counts"]}
    # Learning curves are lists, which a CSV does not hold; search.parquet has them.
    frames["search"] = frames["search"].drop(columns=list(MEASURES), errors="ignore")
    write_text(directory / "summary.txt", summary)
    for name, frame in frames.items():
        if len(frame.columns):
            write_csv(directory / f"{name}.csv", frame)
        else:
            (directory / f"{name}.csv").unlink(missing_ok=True)
    write_bytes(directory / "metrics.parquet", answer.metrics.to_parquet(index=False))
