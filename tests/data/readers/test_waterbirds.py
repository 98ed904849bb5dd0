import pytest

from jaxbias.data.readers import waterbirds
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.pictures import paint, values

ROWS = """\
img_id,img_filename,y,split,place,place_filename
1,001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg,1,0,1,/o/ocean/00002152.jpg
2,001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg,1,2,0,/b/bamboo_forest/00000132.jpg
12,018.Spotted_Catbird/Spotted_Catbird_0001_796797.jpg,0,1,0,/b/bamboo_forest/00000147.jpg
"""


@pytest.fixture
def spec(tmp_path):
    root = tmp_path / "waterbird_complete95_forest2water2"
    for number, line in enumerate(ROWS.splitlines()[1:]):
        paint(root / line.split(",")[1], number)
    (root / "metadata.csv").write_text(ROWS)
    return DataSpec(name="waterbirds", path=str(root))


def test_contract(spec, holds_contract):
    source = holds_contract(spec, [0, 1, 2], ["train", "test", "val"])
    assert values(source, "waterbird") == [True, True, False]
    assert values(source, "water") == [True, False, False]


def test_a_split_that_is_none(spec, tmp_path):
    path = tmp_path / "waterbird_complete95_forest2water2" / "metadata.csv"
    path.write_text(ROWS.replace(",1,2,0,", ",1,3,0,"))
    with pytest.raises(InputError, match=r"metadata\.csv line 3 \('.*\.jpg'\): split '3'"):
        waterbirds.read(spec)
