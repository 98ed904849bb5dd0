"""Signatures and sizes told from counts: as the draws themselves, and without drawing."""

import pytest

from jaxbias.curation import draws
from jaxbias.engine.layout import Layout
from jaxbias.engine.runner import Runner
from jaxbias.errors import InputError
from jaxbias.plan.variants import expand
from tests.tiny import tiny_dataset, tiny_study

CURATIONS = {
    "correlation": {"levels": (0, 3, 10), "prevalence": "natural"},
    "reduce_only": {"levels": (0, 3), "start": 2},
    "source_mix": {"levels": (0, 3), "column": "other"},
    "group_balanced": True,
    "add_minority": (4,),
    "replace_minority": (2,),
    "dfr": True,
}


def runner_of(study):
    return Runner(study, tiny_dataset(), Layout("map", 1), lambda base, _: {})


@pytest.mark.parametrize("on_shortage", ["error", "shrink"])
def test_sizes_are_those_of_the_draws(on_shortage):
    n = 20 if on_shortage == "error" else 90
    study = tiny_study(
        curations=CURATIONS | {"on_shortage": on_shortage},
        finetune={"n": (n,), "epochs": 1, "seeds": 1},
    )
    runner = runner_of(study)
    variants = expand(study, "d")
    signatures = runner.catalog.signatures(variants)
    sizes = {v.curation.name: signatures[v.id][0].n for v in variants}
    assert sizes == {v.curation.name: len(runner.curator.finetune(v).ids) for v in variants}
    assert len(set(sizes.values())) > 1
    for base in {v.base for v in variants if v.base.role != "scratch"}:
        assert signatures[base.id][0].n == len(runner.curator.pretrain(base).ids)


def test_signatures_draw_nothing(monkeypatch):
    monkeypatch.setattr(draws, "_order", lambda *_: pytest.fail("drawn"))
    study = tiny_study(curations=CURATIONS)
    runner_of(study).catalog.signatures(expand(study, "d"))


def test_a_shortage_is_refused_as_the_draw_refuses_it():
    study = tiny_study(finetune={"n": (90,), "epochs": 1, "seeds": 1})
    runner, variants = runner_of(study), expand(study, "d")
    with pytest.raises(InputError) as told:
        runner.catalog.signatures(variants)
    with pytest.raises(InputError) as drawn:
        for variant in variants:
            runner.curator.finetune(variant)
    assert str(told.value) == str(drawn.value)


def test_a_base_beyond_the_data_is_named():
    study = tiny_study(pretrain={"n": 99, "epochs": 1})
    with pytest.raises(InputError, match="base 'Control': curation 'group_balanced' at n=99"):
        runner_of(study).catalog.signatures(expand(study, "d"))
