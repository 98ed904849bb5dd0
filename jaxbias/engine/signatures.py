"""Signatures: what must agree within a pack."""

from collections.abc import Sequence
from typing import Any

from jaxbias.engine.curator import Curator
from jaxbias.engine.starts import Starts
from jaxbias.plan.variants import Variant
from jaxbias.study import by_loop


def signatures(curator: Curator, starts: Starts, variants: Sequence[Variant]) -> dict[str, Any]:
    """Returns, per variant and base id, the static shapes that must agree within a pack.

    Raises:
      InputError: a curation needs examples that the data does not have.
    """
    bases = {v.base.id: v.base for v in variants if v.base.trained_here}
    found: dict[str, Any] = {
        id: (
            starts.network_of(base).outputs,
            curator.pretrain_size(base),
            by_loop(curator.study, base),
            base.objective,
            curator.labels(base).shape[1] > 1,
        )
        for id, base in bases.items()
    }
    for variant in variants:
        shape = (
            variant.recipe.shape,
            variant.objective,
            len(curator.cells(variant.task).names),
        )
        size = curator.size(variant.task, variant.curation, variant.n)
        found[variant.id] = (1, size, *shape)
        if variant.base.role == "imported":
            found[variant.id] += (starts.finetuned(variant.base),)
        if variant.recipe.mode == "head":  # Heads of a pack share features and batch orders.
            shared = (variant.recipe.solver, variant.base.id, variant.seed)
            found[variant.id] += shared
    return found
