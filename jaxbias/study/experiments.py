"""Experiments: points in the axes of a variant, and whether they fit a study.

A point is a plain mapping from axes (task, base, curation, n, seed and the fields of a recipe) to
values, so it is JSON and lives in a config and in study.json.
"""

import itertools
import math
import types
from collections.abc import Hashable, Mapping
from typing import Any

from jaxbias.errors import InputError, echo, nearest
from jaxbias.study.checks import refuse_solver
from jaxbias.study.rule import curations_of, parse_curation, suits
from jaxbias.study.search import SEARCHED, refuse_unsearchable
from jaxbias.study.specs import TASKS, FinetuneSpec, Point, Study, Sweep
from jaxbias.values import Images, Seed, build, fields_of
from jaxbias.words import count

_RECIPE = {
    name: kind for name, kind in fields_of(FinetuneSpec).items() if name not in ("n", "seeds")
}
AXES: dict[str, Any] = {
    "task": str,
    "base": str,
    "curation": str,
    "n": Images,
    "seed": Seed,
    **_RECIPE,
}
# Nobody waits for more, and planning them alone would take minutes.
MOST_VARIANTS = 200_000
# Axes that are checked together.
_TOGETHER = ("task", "curation", "mode", "solver", "schedule", "warmup")


def check_experiments(experiments: Any, study: Study) -> dict[str, Sweep]:
    """Returns experiments, sorted by name, whose points all fit a study.

    Args:
      experiments: name -> points.
      study: the study, without them.

    Raises:
      InputError: naming the experiment, the point's place, and the nearest of what is valid.
    """
    if not isinstance(experiments, Mapping):
        raise InputError(f"config.experiments must map names to sweeps, got {echo(experiments)}")
    tasks = study.tasks
    valid = {"task": frozenset(tasks), "base": frozenset(study.bases)}
    # There are few different values and tens of thousands of points.
    good: dict[tuple[str, type, Any], Any] = {}
    fit: set[tuple] = set()
    checked = {}
    for name, points in experiments.items():
        if not isinstance(name, str):
            raise InputError(f"config.experiments: the name {echo(name)} must be text")
        name = build(str, name, "config.experiments")
        place = f"config.experiments.{echo(name)}"
        if not isinstance(points, tuple | list) or not points:
            raise InputError(f"{place} must be a sweep of at least one point, got {echo(points)}")
        typed = []
        for i, point in enumerate(points):
            if not isinstance(point, Mapping):
                raise InputError(f"{place}[{i}] must map axes to values, got {echo(point)}")
            values = {}
            for axis, value in point.items():
                known = (axis, type(value), value)
                if not isinstance(value, Hashable) or known not in good:
                    good[known] = _checked(axis, value, f"{place}[{i}]", valid, study)
                values[axis] = good[known]
            together = tuple(map(values.get, _TOGETHER))
            if together not in fit:
                _refuse_together(values, f"{place}[{i}]", study)
                fit.add(together)
            typed.append(types.MappingProxyType(values))
        checked[name] = tuple(typed)
    return dict(sorted(checked.items()))


def refuse_too_many(study: Study) -> None:
    """Refuses a study of more variants than can be planned, before any is made.

    Raises:
      InputError: with the number, and the factors it is the product of.
    """
    tasks = tuple(study.tasks)
    tried = {task: len(curations_of(study, task)) for task in tasks}
    sizes = {"base": len(study.bases), "n": len(study.finetune.n), "seed": study.finetune.seeds}

    def variants(point: Point) -> int:
        asked = (point["task"],) if "task" in point else tasks
        curations = len(asked) if "curation" in point else sum(tried[task] for task in asked)
        return curations * math.prod(size for axis, size in sizes.items() if axis not in point)

    points = itertools.chain.from_iterable(study.experiments.values())
    whole = variants({})
    found = sum(map(variants, points)) if study.experiments else whole
    factors = (
        f"{count(sizes['base'], 'base')} × {count(sum(tried.values()), 'curation')} of all tasks "
        f"× {count(sizes['n'], 'n', 'n')} × config.finetune.seeds={sizes['seed']:,}"
    )
    if study.experiments:
        factors = f"by config.experiments; what a point leaves out takes all of {factors}"
    if found > MOST_VARIANTS:
        raise InputError(
            f"config asks for {found:,} variants ({factors}), more than {MOST_VARIANTS:,}; "
            "lower config.finetune.seeds, or make several studies of it"
        )
    search = study.search
    pairs = max(1, len(search.learning_rates)) * max(1, len(search.weight_decays))
    trials = pairs * search.repeats * sizes["base"] * len(tasks) * sizes["n"]
    if search.on and trials > MOST_VARIANTS:
        raise InputError(
            f"config.search asks for {trials:,} trials, more than {MOST_VARIANTS:,}; lower "
            "config.search.repeats, or try fewer learning_rates and weight_decays"
        )


def _checked(axis: str, value: Any, place: str, valid: dict[str, Any], study: Study) -> Any:
    """Returns one value of a point, checked by itself."""
    value = typed(axis, value, place)
    if study.screen.on and axis in _RECIPE:
        raise InputError(
            f"{place}: {axis} makes several recipes, and config.screen.on confirms "
            "config.finetune's alone; leave it out, or give each recipe a config and workdir"
        )
    if axis in valid and value not in valid[axis]:
        raise InputError(
            f"{place}: {axis} '{echo(value)}' is not in the study; {nearest(value, valid[axis])}"
        )
    if axis == "curation":
        table, tables = parse_curation(value, place).table, study.curations.drop.tables
        if table is not None and table not in tables:
            raise InputError(
                f"{place}: curation '{value}': '{echo(table)}' is not in "
                f"config.curations.drop.tables; {nearest(table, tables)}"
            )
    elif axis in SEARCHED and study.search.on:
        raise InputError(
            f"{place}: {axis} is chosen by config.search; leave it out of the point, or "
            "leave config.search empty"
        )
    return value


def _refuse_together(values: Point, place: str, study: Study) -> None:
    """Checks what a point's values say of one another; what it leaves out is the study's."""
    tasks = (values["task"],) if "task" in values else tuple(study.tasks)
    curation = parse_curation(values["curation"], place) if "curation" in values else None
    for task in tasks if curation else ():
        kind = study.tasks[task]
        if not suits(curation.kind, kind):
            fitting = " or ".join(f"config.{name}" for name in TASKS if suits(curation.kind, name))
            raise InputError(
                f"{place}: curation '{curation.name}' is for tasks of {fitting}, not for "
                f"'{echo(task)}' of config.{kind}"
            )
    recipe = {axis: values.get(axis, getattr(study.finetune, axis)) for axis in ("mode", "solver")}
    dro = curation.kind == "group_dro" if curation else study.curations.group_dro
    several = [task for task in tasks if task in study.several]
    refuse_solver(recipe["mode"], recipe["solver"], dro, f"{place}: ", several)
    if study.screen.on:
        refuse_solver("head", study.screen.solver, dro, f"{place}: ", several, "screen")
    refuse_unsearchable(study, values, f"{place}: ")


def typed(axis: str, value: Any, place: str) -> Any:
    """Returns a value as its axis has it; a whole number does for a real one.

    Raises:
      InputError: beginning with `place`; no such axis, or a value of another type or out of range.

    >>> typed("learning_rate", 1, "")
    1.0
    """
    if axis not in AXES:
        shown = axis if isinstance(axis, str) else repr(axis)
        raise InputError(f"{place}: no such axis '{echo(shown)}'; {nearest(shown, AXES)}")
    return build(AXES[axis], value, f"{place}: {axis}")
