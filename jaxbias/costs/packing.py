"""Packing: the packs that follow from a study and the results of its search so far."""

import functools
from collections.abc import Sequence

from jaxbias.engine.catalog import Catalog
from jaxbias.engine.identities import identities
from jaxbias.plan.packs import Plan, extend_plan, most_members
from jaxbias.plan.search import Results, follow
from jaxbias.plan.variants import Maker, Variant, expand_by_experiment
from jaxbias.study import Study


def extend(
    plan: Plan, catalog: Catalog, results: Results, finetunes: Sequence[Variant] | None = None
) -> Plan:
    """Returns a plan with packs for all that it lacks and that is known by now.

    Args:
      plan: so far.
      catalog: of its study.
      results: of the trials that are done.
      finetunes: those to plan; None: all that follow from the results.

    Raises:
      InputError: a curation needs examples that the data does not have, or a search failed.
    """
    study = catalog.study
    course = follow(study, plan.data, results, identities(study))
    finetunes = course.finetunes if finetunes is None else finetunes
    # Rungs are planned once all before are done: where a search is cut must not change its packs.
    under_way = any(results(trial) is None for pack in plan.rungs for trial in pack.members)
    return extend_plan(
        plan,
        finetunes,
        # Those of a search that has not ended too: what cannot be drawn is refused now.
        catalog.signatures([*course.trials, *course.variants, *finetunes]),
        functools.partial(most_members, study),
        trials=[] if under_way else course.trials,
        bases=[variant.base for variant in course.variants],
    )


def experiments(study: Study, data: str, results: Results) -> dict[str, list[Variant]]:
    """Returns the variants of each experiment, with the recipes that the search chose."""
    weights = identities(study)
    course, maker = follow(study, data, results, weights), Maker(study, data)
    named = expand_by_experiment(study, data, weights)
    return {name: course.chosen(variants, maker) for name, variants in named.items()}
