import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import matthews_corrcoef

from jaxbias.data.dataset import Dataset
from jaxbias.data.describe import contact_sheet, describe, phi
from jaxbias.errors import InputError
from jaxbias.study import GroupSpec

GROUP = GroupSpec(column="Male", values=("0", "1"), names=("female", "male"))


def make_dataset(count=400, seed=0, size=8) -> Dataset:
    rng = np.random.default_rng(seed)
    boolean = {
        name: pd.array(
            np.where(rng.random(count) < 0.05, None, rng.random(count) < share), "boolean"
        )
        for name, share in (("Male", 0.4), ("Hat", 0.3), ("Bangs", 0.3))
    }
    table = pd.DataFrame(
        {
            "id": [str(i) for i in range(count)],
            "split": rng.choice(["finetune", "test", ""], count),
            "stratum": np.where(rng.random(count) < 0.2, "Hat", ""),
            **boolean,
            "race": pd.Categorical(rng.choice(["x", "y", "z"], count)),
        }
    )
    images = rng.integers(0, 256, (count, size, size, 3), np.uint8)
    return Dataset(name="toy", images=images, table=table, fingerprint="", notes=("a note",))


def test_cells_are_a_crosstab():
    dataset = make_dataset()
    description = describe(dataset, GROUP, ["Hat"])
    table = dataset.table
    expected = table.groupby(["split", "Hat", "Male"]).size()
    for row in description.cells.itertuples():
        split = "" if row.split == "(none)" else row.split
        key = (split, row.cell == "positive", row.group == "male")
        assert row.count == expected[key]
    drawn = table[table["stratum"] == ""].groupby(["split", "Hat", "Male"]).size()
    assert description.cells["population"].sum() == drawn.sum()


def test_splits_and_groups():
    dataset = make_dataset()
    splits = describe(dataset, GROUP, []).splits.set_index("split")
    assert splits["examples"].sum() == 400
    assert splits.index.tolist() == ["finetune", "test", "(none)"]
    assert splits["male"].sum() == (dataset.table["Male"] == True).sum()  # noqa: E712


def test_correlation_of_draws_from_the_population():
    dataset = make_dataset()
    row = describe(dataset, GROUP, ["Hat"]).correlations.set_index("split").loc["test"]
    known = dataset.table.query("split == 'test' and stratum == ''").dropna(subset=["Male", "Hat"])
    female, hat = ~known["Male"].astype(bool), known["Hat"].astype(bool)
    assert row["phi"] == pytest.approx(matthews_corrcoef(female, hat))
    assert row["female"] == pytest.approx(hat[female].mean())
    assert row["male"] == pytest.approx(hat[~female].mean())


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
@settings(max_examples=50)
def test_phi_is_pearsons_correlation(pairs):
    x, y = np.array(pairs, dtype=bool).reshape(-1, 2).T
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert np.isnan(phi(x, y))
    else:
        assert phi(x, y) == pytest.approx(stats.pearsonr(x.astype(float), y.astype(float))[0])


def test_pairs_and_categories_have_their_own_cells():
    dataset = make_dataset()
    description = describe(dataset, GROUP, ["Hat|Bangs", "race"])
    cells = description.cells.groupby(["target", "cell"])["count"].sum()
    known = dataset.table.dropna(subset=["Male", "Hat", "Bangs"])
    hat, bangs = known["Hat"].astype(bool), known["Bangs"].astype(bool)
    assert cells["Hat|Bangs", "Hat only"] == (hat & ~bangs).sum()
    assert cells["Hat|Bangs", "Bangs only"] == (bangs & ~hat).sum()
    assert cells["Hat|Bangs", "neither"] == (~hat & ~bangs).sum()
    assert cells["Hat|Bangs", "both"] == (hat & bangs).sum()
    assert cells["race"].sum() == dataset.table["Male"].notna().sum()
    assert set(description.correlations["target"]) == {"Hat|Bangs"}


def test_the_text_has_every_part():
    text = str(describe(make_dataset(), GROUP, ["Hat", "race", "Hat|Bangs"]))
    for part in ("toy", "finetune", "Hat only", "positive", "phi", "a note"):
        assert part in text
    assert "nan" not in text.lower()


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="did you mean 'Hat'"):
        describe(make_dataset(), GROUP, ["Hats"])
    with pytest.raises(InputError, match="has no value 'female'; it has '0', '1'"):
        describe(make_dataset(), GroupSpec("Male", ("female", "male")), ["Hat"])
    with pytest.raises(InputError, match="has the values 'x', 'y', 'z'"):
        contact_sheet(make_dataset(), GROUP, "race|Hat")


def test_a_contact_sheet_has_a_row_per_cell_and_is_seeded():
    dataset = make_dataset(size=8)
    sheet = contact_sheet(dataset, GROUP, "Hat", columns=5)
    assert sheet.mode == "RGB"
    width, height = sheet.size
    assert width == 5 * (64 + 4) + 4
    assert height % 4 == 0
    again = contact_sheet(dataset, GROUP, "Hat", columns=5)
    np.testing.assert_array_equal(np.asarray(sheet), np.asarray(again))
    other = contact_sheet(dataset, GROUP, "Hat", columns=5, seed=1)
    assert (np.asarray(sheet) != np.asarray(other)).any()


def test_the_images_of_a_row_belong_to_its_cell():
    dataset = make_dataset(size=64)
    colours = {(0, 1): 10, (0, 0): 60, (1, 1): 110, (1, 0): 160, None: 250}
    male, hat = dataset.binary("Male"), dataset.binary("Hat")
    used = dataset.table["split"] != ""
    images = np.stack(
        [
            np.full((64, 64, 3), colours[(m, h) if u and m >= 0 and h >= 0 else None], np.uint8)
            for m, h, u in zip(male, hat, used, strict=True)
        ]
    )
    painted = Dataset(name="toy", images=images, table=dataset.table, fingerprint="")
    sheet = np.asarray(contact_sheet(painted, GROUP, "Hat", columns=4))
    rows = [row[18:82] for row in np.split(sheet, 4)]  # Below the caption.
    for row, colour in zip(rows, (10, 60, 110, 160), strict=True):
        assert (row == colour).all(axis=-1).sum() == 4 * 64 * 64


def test_an_empty_cell_keeps_its_row():
    dataset = make_dataset(12)
    table = dataset.table.assign(Hat=pd.array([False] * 12, dtype="boolean"))
    empty = Dataset(name="toy", images=dataset.images, table=table, fingerprint="")
    full = contact_sheet(dataset, GROUP, "Hat")
    assert contact_sheet(empty, GROUP, "Hat").size == full.size


def test_every_attribute_and_the_group():
    dataset = make_dataset()
    found = describe(dataset, GROUP, []).attributes.set_index("attribute")
    assert found.index.tolist() == ["Hat", "Bangs", "race"]
    used = dataset.table[(dataset.table["split"] != "") & (dataset.table["stratum"] == "")]
    assert found["missing"].to_dict() == used[["Hat", "Bangs", "race"]].isna().sum().to_dict()
    known = used[used["Male"].notna()]
    hat = known[known["Hat"].notna()]
    female = ~hat["Male"].to_numpy(bool)
    expected = matthews_corrcoef(hat["Hat"].to_numpy(bool), female)
    assert found.loc["Hat", "association"] == pytest.approx(expected)
    table = pd.crosstab(known["Male"].astype(int), known["race"].astype(str)).to_numpy()
    cramer = stats.contingency.association(table, method="cramer")
    assert found.loc["race", "association"] == pytest.approx(cramer)
    assert "every attribute and the group" in str(describe(dataset, GROUP, []))
