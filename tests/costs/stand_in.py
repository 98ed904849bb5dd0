"""Studies planned for two chips that stand in for those of a target."""

import jax

from jaxbias.costs.estimate import estimate
from jaxbias.costs.texts import prediction_text
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.variants import expand, expand_by_experiment
from jaxbias.targets import Unattached
from tests.tiny import tiny_dataset, tiny_study

# What XLA's compiler for CPUs says stands for what one of accelerators would.
LAYOUT = Layout("map", 2)
SCRATCH = {"bases": {"Scratch": {"role": "scratch"}}, "curations": {"correlation": {"levels": ()}}}


class StandIn(Unattached):
    compiled = True
    devices = lambda self, process=None: jax.local_devices()[:2]  # noqa: E731


def planned(width, changes):
    study, dataset = tiny_study(**changes), tiny_dataset()
    runner = Runner(study, dataset, LAYOUT, lambda base, _: {})
    variants = expand(study, dataset.fingerprint)
    signatures = runner.catalog.signatures(variants)
    plan = extend_plan(Plan(dataset.fingerprint), variants, signatures, lambda member: width)
    return runner, plan, expand_by_experiment(study, dataset.fingerprint)


def found_on(at, price=0.0, width=4, **changes):
    runner, plan, experiments = planned(width, changes)
    found = estimate(runner.catalog, plan, experiments)
    return runner, found, prediction_text(found, at, runner.layout, price)
