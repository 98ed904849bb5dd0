import pytest

from jaxbias.data.readers import imagenet_det
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.pictures import paint, values

XML = """<annotation>
\t<folder>n02958343</folder>
\t<filename>n02958343_1</filename>
\t<source><database>ILSVRC_2013</database><name>not an object</name></source>
\t<size><width>20</width><height>16</height></size>
{}
</annotation>
"""
OBJECT = """\t<object><name>{}</name>
\t\t<bndbox><xmin>1</xmin><xmax>9</xmax><ymin>1</ymin><ymax>9</ymax></bndbox>
\t\t<part><name>no class</name></part></object>"""
FILES = {
    "train/ILSVRC2013_train/n02958343/n02958343_1": ("n02958343", "n02958343"),
    "train/ILSVRC2014_train_0000/ILSVRC2014_train_00000001": ("n00007846", "n02958343"),
    "val/ILSVRC2012_val_00000001": (),
}
SPLITS = ["train", "train", "val"]


@pytest.fixture
def spec(tmp_path):
    root = tmp_path / "det" / "ILSVRC"
    for number, (name, classes) in enumerate(FILES.items()):
        paint(root / "Data" / "DET" / f"{name}.JPEG", number)
        path = root / "Annotations" / "DET" / f"{name}.xml"
        path.parent.mkdir(parents=True)
        path.write_text(XML.format("\n".join(OBJECT.format(name) for name in classes)))
    paint(root / "Data" / "DET" / "train" / "ILSVRC2013_train_extra0" / "x.JPEG", 9)
    return DataSpec(name="imagenet_det", path=str(tmp_path / "det"))


def test_contract(spec, tmp_path, holds_contract):
    source = holds_contract(spec, [0, 1, 2], SPLITS)
    assert list(source.table.columns[2:]) == ["n00007846", "n02958343"]
    assert values(source, "n02958343") == [True, True, False]
    assert values(source, "n00007846") == [False, True, False]
    assert source.notes == ("1 image of ImageNet DET without an annotation left out.",)
    words = "n02958343 37 car\nn00007846 124 person\nn02672831 1 accordion\n"
    (tmp_path / "det" / "ILSVRC" / "map_det.txt").write_text(words)
    named = imagenet_det.read(spec)
    assert sorted(named.table.columns[2:]) == ["accordion", "car", "person"]
    assert values(named, "car") == [True, True, False]
    assert values(named, "accordion") == [False] * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
            "document type",
        ),
        (
            '<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><annotation>&y;</annotation>',
            "document type",
        ),
        ("<annotation><object>", "is no XML"),
        ("", "is no XML"),
        ("<annotation>" + " " * 5_000_000 + "</annotation>", "larger than"),
    ],
)
def test_hostile_annotations_are_refused(tmp_path, text, words):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"a\.xml .*{words}"):
        imagenet_det.classes(path)
