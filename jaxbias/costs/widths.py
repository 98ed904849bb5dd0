"""Widths: how many members a pack may have, from the memory of its own compiled program."""

import dataclasses
import functools
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxbias.engine.members import fit_shapes, head_shapes, inputs_of, network_shapes, schedule_of
from jaxbias.engine.memory import widest
from jaxbias.engine.programs import advanced, fitted_heads, heads, networks
from jaxbias.engine.runner import Runner
from jaxbias.models import Head
from jaxbias.plan.variants import Variant
from jaxbias.training import Step

# Wider packs gain nothing: devices are busy, and a pack is what an interruption costs.
MOST_NETWORKS = 64
# Nor here: their product with the features is at full speed.
MOST_HEADS = 1024


@dataclasses.dataclass(frozen=True)
class _Program:
    """A program and the shapes of its arguments.

    Attributes:
      kind: what else but n its memory depends on.
      n: examples of a member; the memory grows with it.
      maker: as the executor takes it.
      member: shapes of one member.
      shared: shapes of what members share.
      beside: bytes on the devices that are no argument of it.
    """

    kind: tuple
    n: int
    maker: tuple
    member: Any
    shared: Any
    beside: int


def pack_widths(runner: Runner, groups: Sequence[Sequence[Variant]]) -> list[int]:
    """Returns how many members the packs of each group may have.

    `config.grid.pack_width` says so for whole networks, unless it is 0. Otherwise, and for heads
    always, the widest pack is taken that is of use and fits the memory. Of programs that differ in
    n alone only the largest is asked.

    Args:
      runner: of the plan's layout.
      groups: variants of one signature each.

    Raises:
      InputError: not even the smallest pack fits.
    """
    given = runner.study.grid.pack_width
    widths = [given] * len(groups)
    automatic = [i for i, group in enumerate(groups) if _is_head(group[0]) or not given]
    found = {i: _program(runner, groups[i][0]) for i in automatic}
    by_kind: dict[tuple, list[int]] = {}
    for i in automatic:
        by_kind.setdefault(found[i].kind, []).append(i)
    for places in by_kind.values():
        most = max(min(_most(groups[i][0]), len(groups[i])) for i in places)
        largest = max((found[i] for i in places), key=lambda program: program.n)
        unit = runner.plan.unit(_is_head(groups[places[0]][0]))
        width = _widest(runner, largest, -(-most // unit) * unit, unit)
        for i in places:
            widths[i] = width
    return widths


def _is_head(variant: Variant) -> bool:
    return variant.recipe.mode == "head"


def _most(variant: Variant) -> int:
    return MOST_HEADS if _is_head(variant) else MOST_NETWORKS


def _widest(runner: Runner, program: _Program, wanted: int, unit: int) -> int:
    executor = runner.executor
    asked = (program.maker, program.member, program.shared)
    brief = (_brief(program.maker), *asked[1:])
    width = executor.room and widest(
        wanted,
        unit,
        executor.room.budget - program.beside,
        functools.partial(executor.analysed_bytes, *asked),
        functools.partial(executor.measured_bytes, *brief),
    )
    if width is None:
        print(
            f"how much memory packs need cannot be told here, so they hold {unit}; "
            "config.grid.pack_width makes them wider",
            file=sys.stderr,
        )
    return width or unit


def _brief(maker: tuple) -> tuple:
    """A program of one epoch: it holds what a longer one does."""
    return tuple(
        dataclasses.replace(part, epochs=1) if hasattr(part, "epochs") else part for part in maker
    )


def _program(runner: Runner, variant: Variant) -> _Program:
    recipe, objective = variant.recipe, variant.objective
    n = runner.curator.size(variant.task, variant.curation, variant.n)
    cells = len(runner.curator.cells(variant.task).names)
    schedule = schedule_of(recipe, objective, n, cells)
    network = runner.starts.finetuned(variant.base)
    scored = _shape((len(runner.validation) + len(runner.test),), np.int32)
    images = runner.curator.dataset.images
    kind = (recipe.shape, recipe.solver, objective, cells)
    parts = runner.plan.data_devices
    if not _is_head(variant) and runner.feed:
        params, *rest = network_shapes(network, n)
        state = jax.eval_shape(Step(network, schedule).begin, params)
        batch = _shape((1, recipe.batch), np.int32)
        step = _shape((1, recipe.batch, *images.shape[1:]), images.dtype)
        return _Program(
            kind,
            n,
            (advanced, network, schedule, False, parts),
            (state, *rest, batch, step),
            _shape((), np.int32),
            beside=int(2 * runner.feed.chunk_bytes),
        )
    if not _is_head(variant):
        return _Program(
            kind,
            n,
            (networks, network, schedule, False, parts),
            network_shapes(network, n),
            (scored, _shape(images.shape, images.dtype)),
            beside=0,
        )
    inputs = inputs_of(network)
    head, features = Head(inputs), _shape((len(runner.rows), inputs), np.float32)
    if recipe.solver == "lbfgs":
        shared = (scored, features, _shape((inputs,), np.float32))
        maker, member = (fitted_heads, head, objective), fit_shapes(n)
    else:
        shared = (scored, features, _shape((2,), np.uint32))
        maker, member = (heads, head, schedule), head_shapes(head, n)
    return _Program(kind, n, maker, member, shared, beside=0 if runner.feed else images.nbytes)


def _shape(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, np.dtype(dtype))
