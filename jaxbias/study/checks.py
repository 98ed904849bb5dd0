"""Checks: what the settings of a study say together; what each may be by itself is its type."""

import collections
import functools
import re
from collections.abc import Sequence

from jaxbias.errors import echo, nearest, require
from jaxbias.study.bases import check_bases
from jaxbias.study.groupings import check_groupings
from jaxbias.study.rule import (
    curations_of,
    parse_curation,
    parse_prevalence,
    refuse_untried,
)
from jaxbias.study.search import check_search
from jaxbias.study.specs import STUDIED, TASKS, Study
from jaxbias.words import count

# Stages of the convnet; each halves the side of its images.
_MOST_STAGES = 16


def check_study(study: Study) -> None:
    """Refuses settings that are wrong, or that contradict one another.

    Raises:
      InputError: naming the setting.
    """
    fine = study.finetune
    _check_tasks(study)
    refuse_solver(fine.mode, fine.solver, study.curations.group_dro, "", study.several)
    if study.screen.on:
        require(
            not study.search.on,
            "config.screen.on and config.search choose what to train by results of their own; run "
            "the search first, put its choice into config.finetune and screen in a new workdir",
        )
        require(
            fine.mode != "head",
            "config.screen.on confirms in another mode what it screened as heads, but "
            "config.finetune.mode='head'; set that to 'full' or 'last_block', or screen.on=False",
        )
        dro = study.curations.group_dro
        refuse_solver("head", study.screen.solver, dro, "", study.several, "screen")
    for source, shares in study.data.splits.items():
        total = sum(shares.values())
        require(
            total < 1 + 1e-9, f"config.data.splits.{echo(source)} adds up to {total:g}, more than 1"
        )
    for field in ("values", "names"):
        two = getattr(study.group, field)
        require(
            len(two) == 2 == len(set(two)),
            f"config.group.{field}={echo(two)} must be two different values",
        )
    check_groupings(study)
    require(bool(study.bases), "config.bases is empty: add at least one, such as a scratch base")
    check_bases(study)
    require(bool(study.finetune.n), "config.finetune.n is empty")
    stages = len(study.model.widths)
    require(stages > 0, "config.model.widths is empty")
    require(
        stages <= _MOST_STAGES,
        f"config.model.widths has {stages:,} stages, more than {_MOST_STAGES}",
    )
    _refuse_twice(study)
    for name in ("correlation", "pair_mix", "reduce_only", "mixture"):
        spec = getattr(study.curations, name)
        parse_prevalence(f"curations.{name}.prevalence", spec.prevalence)
    drop = study.curations.drop
    require(
        not drop.k or bool(drop.tables),
        "config.curations.drop.k drops images by tables of example scores, and there is none; name "
        "one in config.curations.drop.tables",
    )
    for name in drop.tables:
        require(
            bool(re.fullmatch(r"[^\s:]+", name)),
            f"config.curations.drop.tables: the name '{echo(name)}' must be one word",
        )
    for task in study.tasks:
        for curation in curations_of(study, task):  # Numbers may be wrong together.
            parse_curation(curation.name, f"config.curations.{curation.kind}")
    for name, evaluation in study.evaluations.items():
        parse_prevalence(f"evaluations.{name}.prevalence", evaluation.prevalence)
    check_search(study)
    require(
        study.answer.gaps[:1] == ("fpr_gap",),
        "config.answer.gaps must begin with 'fpr_gap', which is asked about",
    )
    relative = study.answer.relative_to
    others = [name for name, base in study.bases.items() if base.role not in STUDIED]
    require(
        not relative or relative in others,
        f"config.answer.relative_to='{echo(relative)}' is no control and no scratch; "
        f"{nearest(relative, others)}",
    )
    population = study.answer.population
    require(
        population in study.evaluations,
        f"config.answer.population='{echo(population)}' is unknown; "
        f"{nearest(population, study.evaluations)}",
    )


def _check_tasks(study: Study) -> None:
    """Refuses tasks that are none, or that are named twice."""
    require(
        bool(study.tasks),
        f"config.{', '.join(TASKS[:-1])} and {TASKS[-1]} are all empty: name what to finetune for",
    )
    for pair in study.pairs:
        require(
            len(pair.split("|")) == 2 and all(pair.split("|")),
            f"config.pairs entry '{echo(pair)}' must be two columns joined by '|', such as "
            "'child|older'",
        )
    for task, columns in study.labels.items():
        require(
            len(columns) > 1,
            f"config.labels.{echo(task)} has {count(len(columns), 'column')}; labels learnt "
            "together are two or more, and a single one is for config.targets",
        )
    named = [task for kind in TASKS for task in dict.fromkeys(getattr(study, kind))]
    twice = next((task for task, times in collections.Counter(named).items() if times > 1), "")
    kinds = " and ".join(f"config.{kind}" for kind in TASKS if twice in getattr(study, kind))
    require(not twice, f"{kinds}: '{echo(twice)}' is named twice; a task is of one kind")
    refuse_untried(study)


def refuse_solver(
    mode: str,
    solver: str,
    group_dro: bool,
    place: str,
    several: Sequence[str],
    group: str = "finetune",
) -> None:
    """Refuses to fit to convergence what is no head, or what has no fixed loss.

    Args:
      mode: which parameters are trained.
      solver: how.
      group_dro: whether weights shift between steps.
      place: what the error begins with.
      several: tasks of several outputs that are trained so.
      group: the settings that the solver is of.

    Raises:
      InputError: the solver fits no such thing.
    """
    if solver != "lbfgs":
        return
    require(
        mode == "head",
        f"{place}config.{group}.solver='lbfgs' fits heads alone, but config.finetune.mode="
        f"'{mode}'; set it to 'head'",
    )
    require(
        not several,
        f"{place}config.{group}.solver='lbfgs' fits heads of one output, and task "
        f"'{echo(several[0]) if several else ''}' has several; use 'sgd'",
    )
    require(
        not group_dro,
        f"{place}config.curations.group_dro shifts weights between steps of SGD and cannot be "
        f"fitted with config.{group}.solver='lbfgs'; use 'sgd' or leave it out",
    )


def _refuse_twice(study: Study) -> None:
    """A variant that is listed twice would count as two repeats."""
    listed = {
        path: functools.reduce(getattr, path.split("."), study)
        for path in (
            "targets",
            "pairs",
            "classes",
            "finetune.n",
            "search.learning_rates",
            "search.weight_decays",
            "curations.correlation.levels",
            "curations.pair_mix.levels",
            "curations.source_mix.levels",
            "curations.reduce_only.levels",
            "curations.mixture.levels",
            "curations.mixture.shares",
            "curations.drop.k",
            "curations.add_minority",
            "curations.replace_minority",
        )
    }
    listed |= {f"labels.{echo(task)}": columns for task, columns in study.labels.items()}
    for path, values in listed.items():
        twice = next((v for v, times in collections.Counter(values).items() if times > 1), None)
        require(twice is None, f"config.{path} has {echo(twice)} twice")
