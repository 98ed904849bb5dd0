"""Cells of made-up tasks: of a target and a group, and of a pair."""

import numpy as np

from jaxbias.curation import Cells


def four_cells(negative_first, negative_second, positive_first, positive_second):
    """Cells with these natural counts."""
    counts = np.array([negative_first, negative_second, positive_first, positive_second], float)
    return Cells(
        task="T",
        names=("T=0, f", "T=0, m", "T=1, f", "T=1, m"),
        targets=np.array([0, 0, 1, 1], np.int32),
        groups=np.array([0, 1, 0, 1], np.int32),
        group_names=("f", "m"),
        codes=np.repeat(np.arange(4), counts.astype(int)).astype(np.int32),
        shares=counts / counts.sum(),
    )


def pair():
    return Cells(
        task="A|B",
        names=("neither", "A only", "B only"),
        targets=np.array([0, 1, 1], np.int32),
        groups=np.array([-1, 0, 1], np.int32),
        group_names=("A", "B"),
        codes=np.repeat(np.arange(3), [60, 30, 10]).astype(np.int32),
        shares=np.array([0.6, 0.3, 0.1]),
    )


CELLS = four_cells(40, 38, 17, 5)
