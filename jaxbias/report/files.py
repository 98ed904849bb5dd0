"""The answer's frames as tables on disk."""

from pathlib import Path

from jaxbias.analysis import Answer
from jaxbias.files.atomic import write_bytes, write_csv, write_text
from jaxbias.plan.criteria import MEASURES

# Frames of the answer that become a CSV of the same name.
FRAMES = (
    "inherited",
    "inherited_verdicts",
    "excess",
    "curves",
    "overwritten",
    "smallest_fix",
    "screen",
    "screen_verdicts",
    "underrepresentation",
    "matching_share",
    "search",
    "choices",
    "bases",
    "variants",
    "metrics",
)


def write_tables(answer: Answer, directory: Path) -> list[Path]:
    """Writes the answer in words and every frame of it.

    Args:
      answer: the `Answer`.
      directory: an existing directory.

    Returns:
      The written files: summary.txt, counts.csv, metrics.parquet, and one CSV per frame that the
      study has; a CSV without a single column could not be read back.
    """
    summary = "".join(f"{sentence}\n" for sentence in answer.sentences)
    frames = {name: getattr(answer, name) for name in FRAMES} | {"counts": answer.dataset["counts"]}
    # Learning curves are lists, which a CSV does not hold; search.parquet has them.
    frames["search"] = frames["search"].drop(columns=list(MEASURES), errors="ignore")
    for name, frame in frames.items():
        if not len(frame.columns):
            (directory / f"{name}.csv").unlink(missing_ok=True)
    return [
        write_text(directory / "summary.txt", summary),
        *(
            write_csv(directory / f"{name}.csv", frame)
            for name, frame in frames.items()
            if len(frame.columns)
        ),
        write_bytes(directory / "metrics.parquet", answer.metrics.to_parquet(index=False)),
    ]
