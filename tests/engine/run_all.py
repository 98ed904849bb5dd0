"""A whole plan, run pack by pack as a command would, without a result directory."""

from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.plan.packs import Plan, extend_plan
from jaxbias.plan.variants import expand
from tests.tiny import tiny_dataset, tiny_study


def run_all(width, study=None, devices=2, shuffle=False, mode="map", dataset=None, **layout):
    """Pretrains and finetunes everything; returns rows by variant id, and the runner."""
    study, dataset = study or tiny_study(), dataset or tiny_dataset()
    params = {}
    layout = Layout(mode, devices, **layout)
    runner = Runner(study, dataset, layout, lambda base, _: params[base.id])
    variants = expand(study, dataset.fingerprint)
    if shuffle:
        variants = variants[::-1]
    signatures = runner.catalog.signatures(variants)
    plan = extend_plan(Plan(dataset.fingerprint), variants, signatures, lambda member: width)
    for pack in plan.bases:
        rows, trained = runner.pretrain(pack)
        params |= {row["id"]: p for row, p in zip(rows, trained, strict=True)}
    rows = [row for pack in plan.finetunes for row in runner.finetune(pack)]
    return {row["variant"]: row for row in rows}, runner
