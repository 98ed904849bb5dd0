"""What a study asks, and of which models."""

import dataclasses
from collections.abc import Mapping

import pandas as pd

from jaxbias.analysis.data import cells_of
from jaxbias.analysis.design import with_status
from jaxbias.analysis.recipe import apart, of_one_recipe, planned_of
from jaxbias.analysis.screened import ScreenedHeads
from jaxbias.curation import Cells
from jaxbias.data.dataset import Dataset
from jaxbias.data.groupings import Grouping, groupings_of, refuse_empty
from jaxbias.errors import InputError
from jaxbias.scores.scores import Scores
from jaxbias.study import Study
from jaxbias.words import count


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is asked, and of which models.

    Attributes:
      study: the study.
      dataset: its labels.
      finished: the variants that answer; those that diverged too.
      sound: those that did not: no statement rests on scores of a last finite step.
      heads: of its screen.
      planned: every variant planned, with what became of it.
      cells: task -> its cells.
      groupings: name -> more groups of all examples.
      aside: what was set aside, in sentences.
    """

    study: Study
    dataset: Dataset
    finished: Scores
    sound: Scores
    heads: ScreenedHeads
    planned: pd.DataFrame
    cells: Mapping[str, Cells]
    groupings: Mapping[str, Grouping]
    aside: list[str]

    @classmethod
    def of(
        cls, study: Study, dataset: Dataset, scores: Scores, planned: pd.DataFrame | None
    ) -> "Asked":
        """Tells what answers from what does not.

        Raises:
          InputError: no variant is left to answer from.
        """
        heads, scores = apart(study, scores)
        if scores.variants.empty:
            raise InputError(
                f"the {len(heads.variants)} finished variants are heads of a screen and none is "
                "confirmed yet; run `jaxbias run` again"
            )
        finished, aside = of_one_recipe(study, scores)
        if planned is not None:
            planned = planned_of(study, planned)
        cells = cells_of(study, dataset, finished.variants)
        groupings = groupings_of(dataset, study)
        test = (dataset.table["split"] == "test").to_numpy()
        binary = {
            task: cells[task].labels() for task in (*study.targets, *study.pairs) if task in cells
        }
        refuse_empty(groupings, binary, test)
        targets = [target for target in study.targets if target in cells]
        validated = tuple(targets) if finished.validated else ()
        return cls(
            study=study,
            dataset=dataset,
            finished=finished,
            sound=_sound(finished),
            heads=ScreenedHeads.of(heads, validated),
            planned=with_status(planned, finished.variants),
            cells=cells,
            groupings=groupings,
            aside=aside,
        )


def _sound(finished: Scores) -> Scores:
    """What did not diverge."""
    ok = (finished.variants["status"] == "ok").to_numpy()
    if not ok.any():
        first = finished.variants.iloc[0]
        raise InputError(
            f"all {count(len(ok), 'model')} diverged (the first, {first['base']} on "
            f"{first['curation']}: {first['status']}); lower config.finetune.learning_rate and use "
            "a new workdir"
        )
    return finished if ok.all() else finished.only(ok)
