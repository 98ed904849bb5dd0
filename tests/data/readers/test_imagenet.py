import dataclasses

import pytest

from jaxbias.data.readers import imagenet
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.imagenet_files import write
from tests.data.readers.pictures import values
from tests.data.readers.tfds_writer import prepare

SOLUTION = """\
ImageId,PredictionString
ILSVRC2012_val_00000002,n02012849 85 1 499 272
ILSVRC2012_val_00000001,n01440764 131 0 499 254 n01440764 1 2 3 4
"""
WORDS = "n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n"
SPLITS = ["train"] * 3 + ["val"] * 2
LABELS = ["n01440764", "n02012849", "n03126707", "n01440764", "n02012849"]


@pytest.mark.parametrize("layout", ["folders", "archive"])
def test_contract(tmp_path, holds_contract, layout):
    root = tmp_path / "imagenet"
    if layout == "folders":
        write(root, flat=False)
    else:
        write(root / "ILSVRC" / "Data" / "CLS-LOC", flat=True)
        (root / "LOC_val_solution.csv").write_text(SOLUTION)
        (root / "LOC_synset_mapping.txt").write_text(WORDS)
    (next(root.rglob("n01440764")) / ".DS_Store").write_text("")
    spec = DataSpec(name="imagenet", path=str(root))
    source = holds_contract(
        spec, [0, 1, 2, 3, 4], SPLITS, missing=None if layout == "folders" else 3
    )
    assert values(source, "label") == LABELS
    if layout == "archive":
        crane = "crane (n02012849)"
        assert values(source, "name") == ["tench", crane, "crane (n03126707)", "tench", crane]


def test_what_is_missing(tmp_path):
    spec = DataSpec(name="imagenet", path=str(tmp_path))
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match=r"has no folder train/; it must be the folder that"):
        imagenet.read(spec)
    write(tmp_path, flat=True)
    with pytest.raises(InputError, match=r"flat: put LOC_val_solution\.csv there"):
        imagenet.read(spec)
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(SOLUTION.splitlines()[:2]))
    with pytest.raises(InputError, match=r"no row for 1 image, such as .*_00000001\.JPEG"):
        imagenet.read(spec)


def test_tfds(tmp_path, holds_contract):
    def example(i):
        return {"file_name": f"n_{i}.JPEG", "label": i}

    prepare("imagenet2012", tmp_path / "data", {"train": [0, 1], "validation": [2]}, example)
    spec = DataSpec(name="imagenet", path=str(tmp_path / "data"))
    source = holds_contract(spec, [0, 1, 2], ["train"] * 2 + ["validation"])
    assert values(source, "label") == ["n01440764", "n01443537", "n01484850"]
    assert len(source.table["label"].cat.categories) == 1000
    assert source.numbers.tolist() == ["n_0.JPEG", "n_1.JPEG", "n_2.JPEG"]
    assert dataclasses.is_dataclass(source.read)
