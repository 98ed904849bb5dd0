"""Widths: how many members a pack may have, from the memory of its own compiled program."""

import functools
import sys
from collections.abc import Sequence

from jaxbias.engine.catalog import Catalog
from jaxbias.engine.memory import widest
from jaxbias.engine.programs import Training
from jaxbias.plan.variants import Variant

# Wider packs gain nothing: devices are busy, and a pack is what an interruption costs.
_MOST_NETWORKS = 64
# Nor here: their product with the features is at full speed.
_MOST_HEADS = 1024


def pack_widths(catalog: Catalog, groups: Sequence[Sequence[Variant]]) -> list[int]:
    """Returns how many members the packs of each group may have.

    `config.grid.pack_width` says so for whole networks, unless it is 0. Otherwise, and for heads
    always, the widest pack is taken that is of use and fits the memory. Of programs that differ in
    n alone only the largest is asked.

    Args:
      catalog: of the study.
      groups: variants of one signature each.

    Raises:
      InputError: not even the smallest pack fits.
    """
    given = catalog.study.grid.pack_width
    widths, alike = [given] * len(groups), {}
    for i, group in enumerate(groups):
        if group[0].recipe.mode == "head" or not given:
            program = catalog.finetune(group[0])
            alike.setdefault(program.resized(0), []).append((program, i))
    for programs in alike.values():
        most = max(min(_most(groups[i][0]), len(groups[i])) for _, i in programs)
        width = _widest(catalog, max((p for p, _ in programs), key=lambda p: p.n), most)
        for _, i in programs:
            widths[i] = width
    return widths


def _most(variant: Variant) -> int:
    return _MOST_HEADS if variant.recipe.mode == "head" else _MOST_NETWORKS


def _widest(catalog: Catalog, program: Training, most: int) -> int:
    executor = catalog.executor
    unit = executor.mesh.size
    held, beside = catalog.held(program)
    # One epoch holds what more do.
    brief, _ = catalog.held(program.resized(program.n, 1))
    width = executor.room and widest(
        -(-most // unit) * unit,
        unit,
        executor.room.budget - beside,
        functools.partial(executor.analysed_bytes, held),
        functools.partial(executor.measured_bytes, brief),
    )
    if width is None:
        print(
            f"how much memory packs need cannot be told here, so they hold {unit}; "
            "config.grid.pack_width makes them wider",
            file=sys.stderr,
        )
    return width or unit
