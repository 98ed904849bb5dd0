"""One recipe at a time: models trained otherwise are no repeats of one another.

Where hyperparameters are searched, the choice of a base, task and n is its recipe: points cannot
set what is searched, so what is left to vary (the mode, say) is all that tells recipes apart.
"""

import numpy as np
import pandas as pd

from jaxbias.errors import InputError
from jaxbias.scores.scores import Scores
from jaxbias.study import Study

# How heads alone are solved.
_SOLVING = ("solver", "C", "tolerance")


def apart(study: Study, scores: Scores) -> tuple[Scores, Scores]:
    """Parts heads of a screen from the variants that answer.

    Args:
      study: whatever its screen is now, heads answer only where config.finetune trains heads.
      scores: every finished variant.

    Returns:
      The heads of the present screen, and all variants but heads.

    Raises:
      InputError: only heads are finished, and nothing is screened.
    """
    table = scores.variants
    if study.finetune.mode == "head" or not {"mode", *_SOLVING} <= set(table.columns):
        return scores.only(np.zeros(len(table), bool)), scores
    heads = (table["mode"] == "head").to_numpy()
    present = np.all([table[name] == getattr(study.screen, name) for name in _SOLVING], axis=0)
    if heads.all() and not study.screen.on:
        raise InputError(
            f"all {len(table)} finished variants are heads, and config.finetune.mode='"
            f"{study.finetune.mode}'; run `jaxbias run` with this config first, or set it to 'head'"
        )
    return scores.only(heads & present & study.screen.on), scores.only(~heads)


def of_one_recipe(study: Study, scores: Scores) -> tuple[Scores, list[str]]:
    """Keeps the variants that one recipe trained.

    Args:
      study: where its experiments vary the recipe, or a directory also has variants of another
        mode, config.finetune's is kept.
      scores: every finished variant.

    Returns:
      The scores to answer from, and what was set aside, in sentences.

    Raises:
      InputError: several recipes, none of them config.finetune's.
    """
    table = scores.variants
    varied = _varied(study, table)
    one = not varied or len(table[varied].drop_duplicates()) < 2
    if one and not _of_other_modes(study, table):
        return scores, []
    own = {axis: getattr(study.finetune, axis) for axis in varied}
    kept = _own(study, table)
    named = ", ".join(f"{axis}={value}" for axis, value in own.items())
    if not kept.any():
        raise InputError(
            f"the report answers for config.finetune's recipe ({named}), and no finished variant "
            "is of it: give each recipe its own workdir, or add points of this one"
        )
    aside = table[~kept]
    diverged = int((aside["status"] != "ok").sum())
    return scores.only(kept), [
        f"Answered for config.finetune's recipe ({named}): {len(aside)} variants of other recipes, "
        f"{diverged} of them failed, are stored and no part of it."
    ]


def planned_of(study: Study, planned: pd.DataFrame) -> pd.DataFrame:
    """Returns what is planned of the variants that answer: no heads of a screen, of one recipe."""
    if study.finetune.mode != "head":
        planned = planned[planned["mode"] != "head"]
    return planned[_own(study, planned)].reset_index(drop=True)


def _varied(study: Study, table: pd.DataFrame) -> list[str]:
    """What the study's experiments vary of the recipe, and the mode where the table has others."""
    axes = _axes(study) | _of_other_modes(study, table)
    varied = sorted(axes & set(table.columns))
    return [axis for axis in varied if hasattr(study.finetune, axis) and axis != "n"]


def _axes(study: Study) -> set[str]:
    return {axis for sweep in study.experiments.values() for point in sweep for axis in point}


def _of_other_modes(study: Study, table: pd.DataFrame) -> set[str]:
    """By which settings of the mode some variants differ from config.finetune's."""
    settings = ("mode", *_SOLVING) if study.finetune.mode == "head" else ("mode",)
    return {
        name
        for name in set(settings) & set(table.columns) - _axes(study)
        if (table[name] != getattr(study.finetune, name)).any()
    }


def _own(study: Study, table: pd.DataFrame) -> np.ndarray:
    """bool[V], whether a variant is of config.finetune's recipe in all that varies."""
    kept = np.ones(len(table), bool)
    for axis in _varied(study, table):
        kept &= (table[axis] == getattr(study.finetune, axis)).to_numpy()
    return kept
