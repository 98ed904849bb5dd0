"""Layout: the packs that follow from a study and the results of its search so far."""

from jaxbias.grid.plan import Plan, extend_plan
from jaxbias.grid.runner import Runner
from jaxbias.grid.search import Results, follow
from jaxbias.grid.variants import Maker, Variant, expand_by_experiment
from jaxbias.study import Study


def extend(plan: Plan, runner: Runner, results: Results) -> Plan:
    """Returns a plan with packs for all that it lacks and that is known by now.

    Args:
      plan: so far.
      runner: of its layout and study.
      results: of the trials that are done.

    Raises:
      InputError: a curation needs examples that the data does not have, or a search failed.
    """
    study, course = runner.study, follow(runner.study, plan.data, results)
    every = [*course.trials, *course.variants]
    if course.searches:
        every += course.finetunes
    widths = study.grid.pack_width, runner.heads_width(every)
    bases = [variant.base for variant in course.variants]
    # Rungs are planned once all before are done: where a search is cut must not change its packs.
    under_way = any(results(trial) is None for pack in plan.rungs for trial in pack.members)
    trials = [] if under_way else course.trials
    return extend_plan(plan, course.finetunes, runner.signatures(every), *widths, trials, bases)


def experiments(study: Study, data: str, results: Results) -> dict[str, list[Variant]]:
    """Returns the variants of each experiment, with the recipes that the search chose."""
    course, maker = follow(study, data, results), Maker(study, data)
    named = expand_by_experiment(study, data)
    return {name: course.chosen(variants, maker) for name, variants in named.items()}
