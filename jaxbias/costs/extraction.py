"""Extraction: what frozen bases and trunks are yet to be asked, and what that costs."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable

from jaxbias.costs.prediction import predicted_seconds
from jaxbias.costs.timing import Timed, program_flops
from jaxbias.engine.executor import Executor
from jaxbias.engine.passes import Extraction
from jaxbias.engine.programs import BLOCK
from jaxbias.engine.starts import Starts
from jaxbias.engine.unattached import UnattachedExecutor
from jaxbias.models import Network
from jaxbias.plan.packs import Plan
from jaxbias.plan.variants import Base


def to_extract(
    starts: Starts, plan: Plan, seen: Iterable[tuple[Base, str]], has: Callable[[str], bool]
) -> Counter[Extraction]:
    """Returns what is yet to be extracted, in brief, each with how many images."""
    found: Counter[Extraction] = Counter()

    def add(model: Network, base: Base, images: int, trunk: bool = False) -> None:
        count, *rest = starts.store_shape(model, base)
        found[Extraction(model, (min(count, BLOCK), *rest), trunk)] += images

    for base, solver in seen:
        if not has(starts.features_name(base, solver)):
            model = starts.trained(starts.finetuned(base), base, "last_block")
            add(model, base, len(starts.rows))
    trunks = {base.trunk: base for base in plan.every_base if starts.trunks and base.trunk}
    for base in trunks.values():
        if not has(starts.trunk_name(base)):
            add(starts.finetuned(base), base, len(starts.trunk_asked()[0]), trunk=True)
    return found


def extraction_seconds(executor: Executor, program: Extraction) -> float:
    """Returns the seconds per image of extracting what a program does."""
    if isinstance(executor, UnattachedExecutor):
        flops = BLOCK * extraction_flops(program)
        return predicted_seconds(executor, program, flops) / (executor.mesh.size * BLOCK)
    blocks = 4 * executor.mesh.size
    return Timed(executor, program, blocks).seconds() / (blocks * BLOCK)


def extraction_flops(program: Extraction) -> float:
    """Returns the floating-point operations of extracting what a program does of one image."""
    whole = dataclasses.replace(program, store=(BLOCK, *program.store[1:]))
    return program_flops(whole) / BLOCK
