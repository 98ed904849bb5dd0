"""The sweep algebra: sizes, order, strictness; and experiments as the variants of a study."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbias import InputError, default_config, make_study
from jaxbias.plan.variants import Recipe, expand, expand_by_experiment
from jaxbias.study import sweep, to_dict
from tests.tiny import tiny_config, tiny_study

VALUES = {
    "n": st.integers(1, 50),
    "seed": st.integers(0, 5),
    "epochs": st.integers(1, 4),
    "base": st.sampled_from(["Grouped", "Control", "Scratch"]),
    "curation": st.sampled_from(["natural", "correlation 3", "correlation 3 at natural"]),
    "learning_rate": st.sampled_from([0.1, 0.01, 1.0]),
}


def axis_values(names):
    """Distinct values for each of some axes."""
    return st.fixed_dictionaries(
        {name: st.lists(VALUES[name], min_size=1, max_size=4, unique=True) for name in names}
    )


ONE, OTHER = axis_values(["n", "base"]), axis_values(["seed", "curation", "learning_rate"])
SWEEPS = ONE.map(lambda axes: sweep.product(**axes))


@given(ONE, OTHER)
def test_a_product_has_every_combination_once_the_last_axis_fastest(one, other):
    points = sweep.product(sweep.product(**one), **other)
    axes = {**one, **other}
    expected = [{}]
    for axis, values in axes.items():
        expected = [{**point, axis: value} for point in expected for value in values]
    assert list(points) == expected
    assert points == sweep.product(sweep.product(**one), sweep.product(**other))


@given(st.lists(st.tuples(VALUES["n"], VALUES["seed"]), min_size=1, unique_by=(lambda t: t[0],)))
def test_zipped_goes_in_lockstep(rows):
    sizes, seeds = (sweep.product(n=[n for n, _ in rows]), tuple({"seed": s} for _, s in rows))
    assert [(p["n"], p["seed"]) for p in sweep.zipped(sizes, seeds)] == rows


@given(SWEEPS, SWEEPS, SWEEPS)
def test_chain_is_a_union_in_order_of_first_appearance(a, b, c):
    both = sweep.chain(a, b)
    assert both[: len(a)] == a
    assert list(both[len(a) :]) == [point for point in b if point not in a]
    assert sweep.chain(sweep.chain(a, b), c) == sweep.chain(a, sweep.chain(b, c))
    assert sweep.chain(a, a) == sweep.chain(a) == a


@given(SWEEPS, SWEEPS)
def test_where_keeps_the_order_and_goes_through_chain_and_product(a, b):
    def small(point):
        return point["n"] < 25

    kept, dropped = sweep.where(a, small), sweep.where(a, lambda p: not small(p))
    assert len(kept) + len(dropped) == len(a)
    assert sweep.where(sweep.chain(a, b), small) == sweep.chain(kept, sweep.where(b, small))
    seeds = sweep.product(seed=range(2))
    assert sweep.where(sweep.product(a, seeds), small) == sweep.product(kept, seeds)


@given(SWEEPS)
def test_a_sweep_is_json(points):
    assert tuple(json.loads(json.dumps(points))) == points


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sweep.product(bases="x"), r"no such axis 'bases'; did you mean 'base'"),
        (lambda: sweep.product(n="many"), r"n must be int, got 'many'"),
        (lambda: sweep.product(n=(1, True)), r"n must be int, got True"),
        (lambda: sweep.product(n=(8, 8)), r"n has 8 twice"),
        (lambda: sweep.product(learning_rate=(1, 1.0)), r"learning_rate has 1\.0 twice"),
        (lambda: sweep.product(sweep.product(n=1), n=2), r"n is an axis of two factors"),
        (lambda: sweep.product({"n": 1}), r"combines sweeps.* got \{'n': 1\}"),
        (lambda: sweep.zipped(n=(1, 2), seed=0), r"factors of one length, got lengths 2, 1"),
        (lambda: sweep.chain(5), r"combines sweeps.* got 5"),
        (lambda: sweep.levels((11,)), r"'correlation 11' has a level that is not in 0\.\.10"),
        (lambda: sweep.levels((1,), kind="corelation"), r"did you mean 'correlation'"),
        (lambda: sweep.product(seed=itertools.count()), r"product of more than 200,000 points"),
        (lambda: sweep.product(n=range(1, 999), seed=range(999)), r"more than 200,000 points"),
        (lambda: sweep.levels(itertools.count(), "add_minority"), r"levels of more than 200,000"),
        (lambda: sweep.levels(("²",)), r"'correlation ²' must be written like 'correlation 3'"),
        (lambda: sweep.levels((2**63,), "add_minority"), r"must be written like 'add_minority 3'"),
        (lambda: sweep.levels((10**12,), "add_minority"), r"has more than 100,000,000 images"),
        (lambda: sweep.where(sweep.product(n=1), lambda p: p["seeds"]), r"did you mean 'seed'"),
        (lambda: sweep.where(sweep.product(n=1), lambda p: p["seed"]), r"leaves out seed"),
    ],
)
def test_wrong_sweeps_name_what_is_near(make, message):
    with pytest.raises(InputError, match=message):
        make()


def with_points(*points, **changes):
    return tiny_study(experiments={"E": points}, **changes)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"tasks": "target"}, r"experiments\.E\[0\]: no such axis 'tasks'; did you mean 'task'"),
        ({"task": "targe"}, r"E\[0\]: task 'targe' is not in the study; did you mean 'target'"),
        ({"base": "Groupd"}, r"base 'Groupd' is not in the study; did you mean 'Grouped'"),
        ({"curation": "corelation 3"}, r"'corelation 3' is unknown; did you mean 'correlation'"),
        ({"curation": "correlation 11"}, r"a level that is not in 0\.\.10"),
        ({"curation": "correlation 3 at half"}, r"neither 'natural' nor a share"),
        (
            {"curation": "pair_mix 3"},
            r"'pair_mix 3' is for tasks of config\.pairs, not for 'target'",
        ),
        ({3: 1}, r"E\[0\]: no such axis '3'; valid: "),
        ({"task": ["target"]}, r"E\[0\]: task must be str, got \['target'\]"),
        ({"curation": "correlation ²"}, r"'correlation ²' must be written like 'correlation 3'"),
        ({"curation": "correlation 3 at ٠.٥"}, r"neither 'natural' nor a share"),
        ({"curation": f"correlation {'9' * 4000}"}, r"'correlation 9{67}…' must be written"),
        ({"n": 0}, r"E\[0\]: n=0 must be in 1"),
        ({"n": 8.0}, r"n must be int, got 8\.0"),
        ({"seed": -1}, r"seed=-1 must be in 0"),
        ({"mode": "heads"}, r"E\[0\]: mode='heads' is unknown; did you mean 'head'"),
        ({"epochs": 0}, r"epochs=0 must be in 1"),
        ({"momentum": 2.0}, r"momentum=2\.0 must be in 0\.\.1"),
        ({"learning_rate": float("nan")}, r"learning_rate=nan must be in"),
        ({"solver": "lbfgs"}, r"E\[0\]: .*fits heads alone"),
        ({"optimizer": "adam"}, r"E\[0\]: optimizer='adam' is unknown; did you mean 'adamw'"),
        ({"warmup": 2}, r"E\[0\]: warmup=2 must be in 0\.\.1"),
        ({"solver": "lbfgs", "mode": "head", "curation": "group_dro"}, r"shifts weights between"),
        ("target", r"E\[0\] must map axes to values"),
    ],
)
def test_points_that_do_not_fit_the_study_are_named(point, message):
    with pytest.raises(InputError, match=message):
        with_points(point)


def test_experiments_are_sweeps():
    with pytest.raises(InputError, match=r"config\.experiments must map names to sweeps"):
        tiny_study(experiments=[{}])
    with pytest.raises(InputError, match=r"config\.experiments\.E must be a sweep of at least one"):
        tiny_study(experiments={"E": ()})


def test_every_axis_of_a_recipe_is_one_of_its_settings():
    recipe = set(sweep.AXES) - {"task", "base", "curation", "n", "seed"}
    assert recipe <= set(Recipe.__dataclass_fields__)


def test_an_empty_point_is_the_whole_grid_with_its_ids():
    whole = expand(tiny_study(), "data")
    assert expand(with_points({}), "data") == whole
    by_axis = sweep.product(
        task="target",
        n=20,
        seed=range(2),
        base=("Control", "Grouped", "Scratch"),
        curation=("natural", *sweep.levels((2, 5))),
    )
    assert expand(with_points(*by_axis), "data") == whole


POINTS = st.lists(
    st.fixed_dictionaries({}, optional={**VALUES, "mode": st.sampled_from(["full", "head"])}),
    min_size=1,
    max_size=6,
)


@given(POINTS, POINTS, st.permutations(["A", "B", "C"]))
def test_ids_depend_on_no_experiments_name_nor_order(first, second, names):
    def ids(experiments):
        return [v.id for v in expand(tiny_study(experiments=experiments), "data")]

    split = ids({"A": first, "B": second})
    assert len(split) == len(set(split))
    assert set(split) == set(ids({names[0]: second[::-1], names[1]: first}))
    assert set(split) == set(ids({names[2]: [*first, *second]}))
    # Each alone gives the same ids as beside the other.
    assert set(split) == set(ids({"A": first})) | set(ids({"B": second}))


def test_a_shared_variant_is_trained_once_and_counted_in_both():
    study = tiny_study(experiments={"A": [{"seed": 0}], "B": [{"seed": 0}, {"seed": 1}]})
    each = expand_by_experiment(study, "d")
    assert {name: len(variants) for name, variants in each.items()} == {"A": 9, "B": 18}
    assert len(expand(study, "d")) == 18


def test_a_point_changes_the_recipe_it_names():
    (variant,) = expand(
        with_points({"base": "Scratch", "curation": "natural", "seed": 0, "learning_rate": 1}), "d"
    )
    plain = next(v for v in expand(tiny_study(), "d") if v.base.name == "Scratch")
    assert variant.recipe.learning_rate == 1.0
    assert variant.id != plain.id
    same = {"base": "Scratch", "curation": "natural", "seed": 0, "learning_rate": 0.02}
    assert expand(with_points(same), "d") == [plain]


def test_optimisers_are_axes_and_leave_the_ids_of_the_others():
    plain = expand(tiny_study(), "d")
    axes = sweep.product(optimizer=("sgd", "adamw"), schedule=("step", "cosine"), warmup=(0, 0.1))
    swept = expand(with_points(*axes), "d")
    assert swept[: len(plain)] == plain
    assert len(swept) == len({variant.id for variant in swept}) == 8 * len(plain)
    assert not {"optimizer", "schedule", "warmup"} & plain[0].recipe.content.keys()
    assert len({variant.recipe.shape for variant in swept}) == 4  # Warm-up is a number.


def test_experiments_live_in_a_config_and_in_json():
    config = default_config()
    config.update(tiny_config())
    config.experiments.S6 = sweep.product(curation=sweep.levels(range(11)), n=(8, 20))
    study = make_study(config)
    assert len(study.experiments["S6"]) == 22
    assert make_study(json.loads(json.dumps(to_dict(study)))) == study
    with pytest.raises(TypeError):
        study.experiments["S6"][0]["n"] = 3
