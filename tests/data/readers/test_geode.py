import pytest

from jaxbias.data.readers import geode
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.pictures import paint, values

ROWS = """\
,script_name,file_path,object,region,ip_country
0,bag,Africa/bag/0_bag.jpg,bag,Africa,Nigeria
1,stove,Europe/stove/1_stove.JPG,stove,Europe,Romania
2,hairbrush comb,SouthEastAsia/hairbrush_comb/2 comb.jpg,hairbrush comb,SouthEastAsia,
"""


@pytest.fixture
def root(tmp_path):
    for number, line in enumerate(ROWS.splitlines()[1:]):
        paint(tmp_path / "geode" / "images" / line.split(",")[2], number)
    (tmp_path / "geode" / "index.csv").write_text(ROWS)
    return tmp_path / "geode"


def test_contract(root, holds_contract):
    spec = DataSpec(name="geode", path=str(root))
    source = holds_contract(spec, [0, 1, 2], ["all"] * 3)
    assert values(source, "object") == ["bag", "stove", "hairbrush comb"]
    assert values(source, "region") == ["Africa", "Europe", "SouthEastAsia"]
    assert source.table["id"][0] == "images/Africa/bag/0_bag.jpg"
    assert "ip_country" in source.table or "ip_country" in source.unusable
    (root / "index.csv").write_text(
        ROWS.replace(",Africa/", ",images/Africa/")
        .replace(",Europe/", ",images/Europe/")
        .replace(",SouthEastAsia/", ",images/SouthEastAsia/")
    )
    assert geode.read(spec).table.equals(source.table)


def test_words_for_unknown(root):
    (root / "index.csv").write_text(ROWS.replace(",bag,Africa,", ",none,-,"))
    source = geode.read(DataSpec(name="geode", path=str(root)))
    assert values(source, "object")[0] is values(source, "region")[0] is None
    assert source.notes[-1].endswith("'object' 1 × 'none'; 'region' 1 × '-'.")


def test_an_index_of_another_kind(root):
    (root / "index.csv").write_text(ROWS.replace("region", "area"))
    with pytest.raises(InputError, match=r"no column 'region' \(as published\)"):
        geode.read(DataSpec(name="geode", path=str(root)))
