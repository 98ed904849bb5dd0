"""Scores of every variant on the validation and test splits, with the examples they are of."""

import dataclasses

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class Scores:
    """Every finished variant with its scores.

    Attributes:
      variants: V rows: settings, realised counts, status. `n` is what the study asks for and
        `realised_n` what was trained on: under curations.on_shortage="shrink" it may be less (with
        add_minority it is n + k). `quotas` is JSON: name of a cell -> images of it, adding up to
        `realised_n`; of models trained elsewhere it is "{}" and `realised_n` is their n.
      validation: V arrays float32[N_val · T], scores in the order of `examples` with split
        "validation": of a task of several outputs T after T, else one each. A matrix where all
        have as many.
      test: likewise for "test".
      examples: id, split, stratum and labels of every example.
    """

    variants: pd.DataFrame
    validation: np.ndarray
    test: np.ndarray
    examples: pd.DataFrame

    @property
    def validated(self) -> bool:
        """Whether there are validation examples."""
        return bool((self.examples["split"] == "validation").any())

    def matrix(self, split: str, chosen: np.ndarray) -> np.ndarray:
        """Returns the scores of variants of one task on a split, float32[v, N · T].

        Args:
          split: "validation" or "test".
          chosen: bool[V].
        """
        rows = getattr(self, split)[chosen]
        return np.stack(list(rows)) if rows.dtype == object else rows

    def only(self, kept: np.ndarray) -> "Scores":
        """Returns the variants for which kept: bool[V] is true."""
        return dataclasses.replace(
            self,
            variants=self.variants[kept].reset_index(drop=True),
            validation=self.validation[kept],
            test=self.test[kept],
        )
