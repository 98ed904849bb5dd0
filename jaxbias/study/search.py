"""The search's settings: what they may be, and the curation at which is searched."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jaxbias.errors import InputError
from jaxbias.study.rule import Curation, parse_curation, parse_prevalence
from jaxbias.study.specs import Point, Study, to_dict

# Fields of a recipe that a search chooses, or, like the last, keeps out of play.
SEARCHED = ("learning_rate", "weight_decay", "epochs", "drop_at")


def searched_curation(study: Study, task: str) -> Curation:
    """Returns the curation at which a task's hyperparameters are searched.

    Args:
      study: names it in config.search.curation (pair_curation for a pair); where it does not, it
        is the middle of the study's levels, and the natural draw where there are none, as of
        tasks of several outputs always.
      task: one of the study's.
    """
    if task in study.several:
        return Curation("natural")
    pair = task in study.pairs
    named = study.search.pair_curation if pair else study.search.curation
    if named:
        return parse_curation(named, "config.search.curation")
    kind = "pair_mix" if pair else "correlation"
    spec = getattr(study.curations, kind)
    if not spec.levels:
        return Curation("natural")
    prevalence = parse_prevalence(f"curations.{kind}.prevalence", spec.prevalence)
    return Curation(kind, level=_middle(spec.levels), prevalence=prevalence)


def search_basis(study: Study) -> dict[str, Any]:
    """Returns by name what a study's choices of hyperparameters rest on, besides its data."""
    if not study.search.on:
        return {}
    named = ("curation", "pair_curation")
    fields = {k: v for k, v in to_dict(study.search).items() if k not in named}
    population = study.answer.population
    return {
        **{f"search.{name}": value for name, value in fields.items()},
        **{
            f"the searched curation of {task}": searched_curation(study, task).name
            for task in study.tasks
        },
        "the evaluation population": to_dict(study.evaluations[population]),
        **(
            {"answer.epsilon": study.answer.epsilon}
            if study.search.criterion == "val_gap_constrained"
            else {}
        ),
    }


def _middle(levels: Sequence[int]) -> int:
    """Returns the level to search at: the median, the lower of two.

    Of all eleven levels it is 4, where Wang & Russakovsky (ICCV 2023) search.

    >>> _middle((9, 1, 5)), _middle((2, 5)), _middle(range(11))
    (5, 2, 4)
    """
    if sorted(levels) == list(range(11)):
        return 4
    return sorted(levels)[(len(levels) - 1) // 2]


def check_search(study: Study) -> None:
    """Refuses a search that contradicts itself or the study.

    Raises:
      InputError: naming the setting.
    """
    search = study.search
    refuse_unsearchable(study, {}, "")
    if search.first_epochs > search.max_epochs:
        raise InputError(
            f"config.search.first_epochs={search.first_epochs} is more than "
            f"config.search.max_epochs={search.max_epochs}; the first rung is the shortest"
        )
    if search.on and study.several and search.criterion != "val_loss":
        raise InputError(
            f"config.search.criterion='{search.criterion}' is measured of binary tasks, and "
            f"'{study.several[0]}' has several outputs; set it to 'val_loss'"
        )
    for field, other in (("curation", "pair_mix"), ("pair_curation", "correlation")):
        name = getattr(search, field)
        if not name:
            continue
        curation = parse_curation(name, f"config.search.{field}")
        if curation.kind == other:
            where = "pair_curation" if other == "pair_mix" else "curation"
            raise InputError(
                f"config.search.{field}='{name}' is for other tasks; set config.search.{where}"
            )
        kind = "pairs" if field == "pair_curation" else "targets"
        if not getattr(study, kind):
            raise InputError(
                f"config.search.{field}='{name}' is where {kind} are searched, and there are none; "
                "leave it empty (tasks of classes and labels are searched at natural draws)"
            )
        if curation.kind == "drop":
            raise InputError(
                f"config.search.{field}='{name}' is searched at a whole set; search at another "
                "curation, such as 'natural'"
            )
        if curation.objective != "erm":  # Its trials would say little of the other curations'.
            raise InputError(
                f"config.search.{field}='{name}' is trained otherwise than by the plain loss; "
                "search at another curation, such as 'natural'"
            )


def refuse_unsearchable(study: Study, point: Point, place: str) -> None:
    """Refuses to search what L-BFGS does not have, or by trials that are no beginning of others.

    Args:
      study: what the point leaves out is of its config.finetune.
      point: of an experiment.
      place: what an error begins with.

    Raises:
      InputError: the point cannot be searched.
    """
    if not study.search.on:
        return
    fine = dataclasses.asdict(study.finetune) | dict(point)
    if fine["schedule"] != "step" or fine["warmup"]:
        raise InputError(
            f"{place}config.search cuts trials at rungs, and with config.finetune.schedule="
            f"'{fine['schedule']}' and warmup={fine['warmup']:g} a shorter trial is not the "
            "beginning of a longer one; set them to 'step' and 0, or leave config.search empty"
        )
    if fine["solver"] == "lbfgs":
        raise InputError(
            f"{place}config.search tries learning rates and weight decays, and "
            "config.finetune.solver='lbfgs' has neither; use 'sgd', or leave config.search empty "
            "and set config.finetune.C"
        )
