"""Putting the studies of two result directories side by side."""

from pathlib import Path

from jaxbias.analysis.beside import Beside, beside
from jaxbias.analysis.sides import Side, refuse_apart
from jaxbias.report import beside as page
from jaxbias.stages.train import answered
from jaxbias.workdir.results import ResultDirectory


def compare(first: str, second: str, out: Path) -> tuple[Beside, Path]:
    """Compares the studies of two directories and draws the page.

    Args:
      first: a result directory, or its URL.
      second: the other.
      out: the page's directory.

    Returns:
      What was found, and the page's path.

    Raises:
      InputError: a directory holds no study or no finished variant, or they cannot be compared.
    """
    names = (first, second)
    mine, theirs = (ResultDirectory(name) for name in names)
    with mine.place.named(), theirs.place.named():
        studies = tuple(one.stored_study()["study"] for one in (mine, theirs))
        # Whatever can be refused is, before minutes go into either answer.
        refuse_apart(names, studies)
        scores = [one.scores() for one in (mine, theirs)]
        sides = [
            Side(name, study, one.dataset(), finished, answered(one, study, finished))
            for name, study, one, finished in zip(
                names, studies, (mine, theirs), scores, strict=True
            )
        ]
        found = beside(*sides)
    return found, page.write(found, out)
