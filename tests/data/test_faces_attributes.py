import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbias import study
from jaxbias.data.faces import attributes, roster
from jaxbias.data.faces.attributes import ATTRIBUTES, CELEBA, HAIR, Pool, draw_labels
from jaxbias.errors import InputError
from jaxbias.values import build

N = 40_000
COLUMN = {name: position for position, name in enumerate(ATTRIBUTES)}


def faces(**settings_):
    return build(study.FacesSpec, settings_, "config.data.faces")


def labels(forced=(), spec=None, count=N, seed=0):
    spec = spec or faces()
    table = attributes.frequencies(spec)
    _, uniforms = Pool("test").draws(seed, count)
    return draw_labels(uniforms, tuple(forced), table, spec.male_share)


@pytest.fixture(scope="module")
def population():
    return labels()


def within_binomial_error(share, chance, count):
    return abs(share - chance) < 4.5 * np.sqrt(chance * (1 - chance) / count) + 1e-12


def test_the_share_of_males_is_as_declared(population):
    assert within_binomial_error(population[:, 0].mean(), 0.419, N)


@pytest.mark.parametrize("name", CELEBA)
@pytest.mark.parametrize("male", [False, True])
def test_frequencies_given_gender_are_celebas(population, name, male):
    inside = population[population[:, 0] == male, COLUMN[name]]
    assert within_binomial_error(inside.mean(), CELEBA[name][male], len(inside))


def test_a_face_has_at_most_one_hair_colour(population):
    count = population[:, [COLUMN[name] for name in HAIR]].sum(axis=1)
    assert set(np.unique(count)) == {0, 1}


def test_attributes_are_independent_given_gender(population):
    for male in (False, True):
        inside = population[population[:, 0] == male].astype(float)
        correlations = np.corrcoef(inside[:, 1:].T)
        for first in range(1, len(ATTRIBUTES)):
            for second in range(1, first):
                both_hair = {ATTRIBUTES[first], ATTRIBUTES[second]} <= set(HAIR)
                if not both_hair:
                    limit = 4.5 / np.sqrt(len(inside))
                    assert abs(correlations[first - 1, second - 1]) < limit


def test_pooled_over_gender_attributes_are_correlated(population):
    earrings, bags = population[:, COLUMN["Wearing_Earrings"]], population[:, COLUMN["Young"]]
    assert np.corrcoef(earrings, bags)[0, 1] > 0.05


@given(
    name=st.sampled_from([*ATTRIBUTES]),
    value=st.booleans(),
    male=st.booleans(),
)
@settings(max_examples=20)
def test_a_forced_cell_is_exact_and_the_rest_keeps_its_frequency(name, value, male):
    forced = {name: value, "Male": male} if name != "Male" else {"Male": male}
    drawn = labels(forced.items(), count=4000)
    for attribute, wanted in forced.items():
        assert (drawn[:, COLUMN[attribute]] == wanted).all()
    assert (drawn[:, [COLUMN[hair] for hair in HAIR]].sum(axis=1) <= 1).all()
    for other in ("Smiling", "Bangs"):
        if other not in forced:
            share = drawn[:, COLUMN[other]].mean()
            assert within_binomial_error(share, CELEBA[other][male], 4000)


def test_forbidding_a_hair_colour_scales_the_others_up():
    drawn = labels({"Blond_Hair": False, "Male": False}.items())
    share = drawn[:, COLUMN["Brown_Hair"]].mean()
    assert within_binomial_error(share, 0.241 / (1 - 0.242), N)


def test_forbidding_the_only_possible_hair_colour_leaves_another_colour():
    only = {name: (float(name == "Gray_Hair"),) * 2 for name in HAIR}
    drawn = labels({"Gray_Hair": False, "Male": True}.items(), faces(frequencies=only), 100)
    assert not drawn[:, [COLUMN[name] for name in HAIR]].any()


def test_frequencies_can_be_overridden():
    drawn = labels(spec=faces(frequencies={"Smiling": (0.0, 1.0)}), count=2000)
    np.testing.assert_array_equal(drawn[:, COLUMN["Smiling"]], drawn[:, 0])


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"frequencies": {"Smilling": (0.1, 0.2)}}, "did you mean 'Smiling'"),
        ({"frequencies": {"Smiling": (0.1, 1.2)}}, "frequencies.Smiling"),
        ({"frequencies": {"Smiling": (0.1,)}}, "must be 2 values"),
        ({"frequencies": {"Male": (0.1, 0.2)}}, "male_share"),
        ({"frequencies": {"Black_Hair": (0.199, 0.9)}}, "male faces add up to 1.159"),
        ({"population": {"test": -1}}, "population.test=-1"),
        ({"cell_minimum": {"test": -1}}, "cell_minimum.test=-1"),
        ({"population": {}}, "no image"),
        ({"male_share": 1.0}, "male_share=1"),
        ({"strata": {"test": ("Earings",)}}, "strata.test"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings_, words):
    with pytest.raises(InputError, match=words):
        roster.enroll(study.DataSpec(faces=faces(**settings_)))


@pytest.mark.parametrize("value", [-0.1, 99.0, float("nan")])
def test_a_salience_out_of_range_is_refused(value):
    with pytest.raises(InputError, match=r"salience\.Bangs"):
        attributes.salience(faces(salience={"Bangs": value}))
    with pytest.raises(InputError, match="did you mean 'Bangs'"):
        attributes.salience(faces(salience={"Bang": 1.0}))


@pytest.mark.parametrize("attribute", ["Wearing_Earrings", "Blond_Hair", "Chubby"])
def test_every_cell_reaches_its_minimum_and_no_more_than_needed(attribute):
    spec = faces(
        population={"finetune": 300},
        cell_minimum={"finetune": 90},
        strata={"finetune": (attribute,)},
    )
    parts = roster.enroll(study.DataSpec(faces=spec))
    drawn = np.concatenate([part.labels for part in parts])
    for value in (False, True):
        for male in (False, True):
            cell = (drawn[:, COLUMN[attribute]] == value) & (drawn[:, 0] == male)
            here = (parts[0].labels[:, COLUMN[attribute]] == value) & (
                parts[0].labels[:, 0] == male
            )
            assert cell.sum() == max(90, here.sum())
    assert {part.pool.stratum for part in parts} == {"", attribute}


def test_the_groups_own_cells_are_its_two_values():
    spec = faces(population={"test": 20}, cell_minimum={"test": 50}, strata={"test": ("Male",)})
    parts = roster.enroll(study.DataSpec(faces=spec))
    drawn = np.concatenate([part.labels for part in parts])
    assert drawn[:, 0].sum() == 50
    assert len(drawn) == 100


def test_a_larger_pool_appends_and_changes_nothing():
    def table(population, minimum):
        spec = faces(
            population={"test": population},
            cell_minimum={"test": minimum},
            strata={"test": ("Bangs",)},
        )
        parts = roster.enroll(study.DataSpec(faces=spec))
        keys = np.concatenate([part.keys for part in parts])
        ids = [name for part in parts for name in part.table()["id"]]
        drawn = np.concatenate([part.labels for part in parts])
        assert len(set(ids)) == len(ids)
        return dict(zip(ids, np.concatenate([keys, drawn], axis=1), strict=True))

    small = table(40, 30)
    for large in (table(60, 30), table(40, 50)):
        shared = small.keys() & large.keys()
        assert len(shared) >= 40
        for name in shared:
            np.testing.assert_array_equal(small[name], large[name])
    assert small.keys() < table(40, 50).keys()


def test_another_seed_gives_other_people():
    assert (labels(count=100) != labels(count=100, seed=1)).any()
