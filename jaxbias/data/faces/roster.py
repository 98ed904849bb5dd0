"""Which images a study's faces are: the population of each split, and top-ups of rare cells."""

import dataclasses

import numpy as np
import pandas as pd

from jaxbias import study
from jaxbias.data.faces.attributes import (
    ATTRIBUTES,
    GROUP,
    Pool,
    check_attribute,
    draw_labels,
    frequencies,
)
from jaxbias.errors import InputError


@dataclasses.dataclass(frozen=True)
class Rows:
    """The images of one pool.

    Attributes:
      pool: where they come from.
      keys: uint32[N, 2], one per image.
      labels: bool[N, A] in the order of ATTRIBUTES.
    """

    pool: Pool
    keys: np.ndarray
    labels: np.ndarray

    def table(self) -> pd.DataFrame:
        """Returns 'id', 'split', 'stratum' and one 'boolean' column per attribute."""
        about = {
            "id": [f"{self.pool.name}/{index}" for index in range(len(self.labels))],
            "split": self.pool.split,
            "stratum": self.pool.stratum,
        }
        labels = {
            name: pd.array(column, dtype="boolean")
            for name, column in zip(ATTRIBUTES, self.labels.T, strict=True)
        }
        return pd.DataFrame({**about, **labels})


def enroll(data: study.DataSpec) -> list[Rows]:
    """Lists every image: for each split its population, then its top-ups.

    A top-up brings each (attribute value, gender) cell of a stratum to the split's cell minimum,
    counting the population's images; whatever is not forced follows its frequency given gender.

    Args:
      data: seed and settings of the faces.

    Returns:
      Pools in a fixed order, none empty. An image's id, labels and key depend on the seed, the
      frequencies and its place in its pool, not on how large any pool is.

    Raises:
      InputError: settings that name no attribute, or ask for no image.
    """
    spec = data.faces
    table = frequencies(spec)

    def draw(pool: Pool, count: int) -> Rows:
        keys, uniforms = pool.draws(data.seed, count)
        return Rows(pool, keys, draw_labels(uniforms, pool.forced, table, spec.male_share))

    rows = []
    for split in study.SPLITS:
        population = draw(Pool(split), spec.population.get(split, 0))
        rows.append(population)
        for attribute in spec.strata.get(split, ()):
            check_attribute(f"config.data.faces.strata.{split}", attribute)
            minimum = spec.cell_minimum.get(split, 0)
            for pool, present in _cells(split, attribute, population.labels):
                rows.append(draw(pool, max(0, minimum - present)))
    rows = [part for part in rows if len(part.labels)]
    if not rows:
        raise InputError("config.data.faces.population asks for no image in any split")
    return rows


def _cells(split: str, attribute: str, labels: np.ndarray) -> list[tuple[Pool, int]]:
    """The (value, gender) cells of an attribute, and how many of `labels` lie in each."""
    cells = []
    for value in (True, False):
        for male in (False, True):
            forced = {attribute: value, GROUP: male} if attribute != GROUP else {GROUP: value}
            if attribute == GROUP and male:
                continue  # The group's own cells are its two values.
            inside = np.ones(len(labels), bool)
            for name, wanted in forced.items():
                inside &= labels[:, ATTRIBUTES.index(name)] == wanted
            cells.append((Pool(split, attribute, tuple(forced.items())), int(inside.sum())))
    return cells
