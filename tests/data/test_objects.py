import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jaxbias.data import objects
from jaxbias.data.source import check
from jaxbias.study import DataSpec


@pytest.fixture(scope="module")
def source():
    return objects.read(DataSpec(name="objects", image_size=32))


def picture(source, row):
    return np.asarray(Image.open(io.BytesIO(source.read(row))))


def test_what_a_source_must_hold(source):
    check(source)
    table = source.table
    assert len(table) == 12_000
    assert table["source"].value_counts().to_dict() == {"catalogue": 6000, "home": 6000}
    assert len(objects.MAKES) == 12
    one_of = table[list(objects.MAKES)].sum(axis=1)
    assert (one_of == 1).all()
    for name in objects.MAKES:
        assert (table[name] == (table["object"] == name)).all()


def test_income_is_of_homes_and_its_bin_is_dollar_streets(source):
    homes = source.table["source"] == "home"
    for name in ("region", "income", "income_bin"):
        assert (source.table[name].notna() == homes).all()
    theirs = source.table[homes]
    income = theirs["income"].astype(float)
    assert (theirs["income_bin"].astype(int) == (np.log(income) / 3).round()).all()
    # Every class in every bin of incomes, and in every region.
    for name in ("income_bin", "region"):
        assert pd.crosstab(theirs["object"], theirs[name]).to_numpy().min() > 80
    richer = income.groupby(theirs["region"], observed=True).median()
    assert richer.loc[list(objects.REGIONS)].is_monotonic_increasing


def test_classes_say_nothing_of_sources_regions_and_incomes(source):
    from scipy.stats import chi2_contingency

    homes = source.table[source.table["source"] == "home"]
    for rows, name in ((source.table, "source"), (homes, "region"), (homes, "income_bin")):
        counts = pd.crosstab(rows["object"], rows[name])
        assert chi2_contingency(counts).pvalue > 0.01


def test_an_image_is_a_function_of_seed_size_and_number(source):
    again = objects.read(DataSpec(name="objects", image_size=32))
    other = objects.read(DataSpec(name="objects", image_size=32, seed=1))
    assert picture(source, 6001).shape == (32, 32, 3)
    np.testing.assert_array_equal(picture(source, 6001), picture(again, 6001))
    assert (picture(source, 6001) != picture(other, 6001)).any()
    assert again.key == source.key
    assert other.key != source.key
    assert objects.read(DataSpec(name="objects", image_size=64)).key != source.key


def test_poverty_is_none_at_the_top_and_whole_at_the_bottom():
    assert objects.poverty("10000") == 0
    assert objects.poverty("27") == pytest.approx(1)
    middle = np.exp((np.log(27) + np.log(10_000)) / 2)
    assert objects.poverty(str(middle)) == pytest.approx(0.5)


def test_catalogues_teach_the_less_the_poorer_the_home(source):
    """The edges of a picture beside those of catalogues' mean pictures."""

    def edges(row):
        grey = picture(source, row).astype(float).mean(axis=2)
        steep = np.hypot(*np.gradient(grey))
        blurred = sum(
            np.roll(steep, (i, j), (0, 1)) for i in range(-2, 3) for j in range(-2, 3)
        ).ravel()
        return (blurred - blurred.mean()) / blurred.std()

    table, names = source.table, list(objects.MAKES)
    taught = np.stack(
        [
            np.mean([edges(row) for row in np.flatnonzero(table["object"][:6000] == name)[:60]], 0)
            for name in names
        ]
    )

    def right(rows):
        guessed = [names[np.argmax(taught @ edges(row))] for row in rows]
        return np.mean(np.array(guessed) == table["object"].iloc[rows])

    by_bin = [right(np.flatnonzero(table["income_bin"] == each)[:150]) for each in "321"]
    known = right(np.arange(5850, 6000))
    assert known > 0.5
    assert known > by_bin[0] > by_bin[2]
