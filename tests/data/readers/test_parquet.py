import dataclasses
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import jaxbias.data
from jaxbias.data.decode import BadImageError
from jaxbias.data.readers import parquet
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from tests.data.readers.pictures import shade, values

PARTS = {
    "train-00000-of-00002": [0, 1, 2, 3],
    "train-00001-of-00002": [4],
    "test-00000-of-00001": [5],
}
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}


def encoded(number):
    file = io.BytesIO()
    Image.new("RGB", (9, 9), (shade(number),) * 3).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def spec(tmp_path):
    """As `datasets` writes them: images as structs, class names in the schema's metadata."""
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for name, numbers in PARTS.items():
        table = pa.table(
            {
                "image": [{"bytes": encoded(i), "path": f"{i}.png"} for i in numbers],
                "label": pa.array([i % 2 if i < 5 else -1 for i in numbers], pa.int64()),
                "hat": pa.array([i < 3 for i in numbers], pa.bool_()),
                "score": pa.array([i / 7 for i in numbers]),
                "embedding": [[0.5, i] for i in numbers],
            }
        )
        info = json.dumps({"info": {"features": FEATURES}})
        table = table.replace_schema_metadata({"huggingface": info})
        pq.write_table(table, tmp_path / "hub" / "data" / f"{name}.parquet", row_group_size=2)
    return DataSpec(name="parquet", path=str(tmp_path / "hub"))


def test_contract(spec, holds_contract):
    source = holds_contract(spec, [5, 0, 1, 2, 3, 4], ["test"] + ["train"] * 5)
    assert values(source, "label") == [None, "cat", "dog", "cat", "dog", "cat"]
    assert values(source, "hat") == [False, True, True, True, False, False]
    assert source.table["id"][5] == "data/train-00001-of-00002.parquet#0000000"
    assert "distinct numbers" in source.unusable["score"]
    assert "list" in source.unusable["embedding"]


def test_one_file_with_plain_bytes_and_chosen_columns(spec, tmp_path):
    path = tmp_path / "mine.parquet"
    table = {"jpg": [encoded(i) for i in range(4)], "hat": [1, 0, 1, 0], "coat": [0, 0, 1, 1]}
    pq.write_table(pa.table(table), path)
    chosen = DataSpec(name="parquet", path=str(path), image_column="jpg", columns={"cap": "hat"})
    source = parquet.read(chosen)
    assert list(source.table.columns) == ["id", "split", "cap"]
    assert source.table["split"].unique().tolist() == ["mine"]
    assert source.read(3) == encoded(3)
    with pytest.raises(InputError, match=r"columns\.cap='hut' is no column .*'hat'"):
        parquet.read(dataclasses.replace(chosen, columns={"cap": "hut"}))
    with pytest.raises(InputError, match=r"image_column='image' is no column"):
        parquet.read(dataclasses.replace(chosen, image_column="image"))


def test_numbered_files_in_a_folder_per_split(tmp_path):
    for number, split in enumerate(("test", "train")):
        (tmp_path / "default" / split).mkdir(parents=True)
        table = pa.table({"image": [encoded(number)], "split": [0]})
        pq.write_table(table, tmp_path / "default" / split / "0000.parquet")
    source = parquet.read(DataSpec(name="parquet", path=str(tmp_path)))
    assert source.table["split"].tolist() == ["test", "train"]
    assert source.table["id"].tolist()[1] == "default/train/0000.parquet#0000000"
    assert source.read(1) == encoded(1)
    assert "jaxbias uses itself" in source.unusable["split"]


def test_a_row_without_bytes_is_a_bad_image(tmp_path):
    images = [{"bytes": encoded(0), "path": ""}, {"bytes": None, "path": "/elsewhere.png"}]
    pq.write_table(pa.table({"image": images, "hat": [1, 0]}), tmp_path / "train.parquet")
    spec = DataSpec(name="parquet", path=str(tmp_path), image_size=8)
    with pytest.raises(InputError, match=r"train\.parquet#0000001' .* holds no bytes"):
        jaxbias.data.load(spec)
    dataset = jaxbias.data.load(dataclasses.replace(spec, on_bad_image="skip"))
    assert len(dataset.images) == 1


def test_files_that_do_not_belong_together_or_are_none(spec, tmp_path):
    pq.write_table(pa.table({"image": [b""]}), tmp_path / "hub" / "data" / "z.parquet")
    with pytest.raises(InputError, match=r"z\.parquet has other columns"):
        parquet.read(spec)
    (tmp_path / "hub" / "data" / "a.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"a\.parquet cannot be read as Parquet"):
        parquet.read(spec)


def test_torn_pages_of_labels_are_one_line_and_those_of_images_bad_images(tmp_path):
    (tmp_path / "torn").mkdir()
    path = tmp_path / "torn" / "train.parquet"
    table = {"image": [encoded(i) for i in range(4)], "hat": [1, 0, 1, 0]}
    checked = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    pq.write_table(pa.table(table), path, row_group_size=2, **checked)
    whole = path.read_bytes()

    def tear(column, group):
        chunk = pq.read_metadata(io.BytesIO(whole)).row_group(group).column(column)
        end = chunk.data_page_offset + chunk.total_compressed_size - 2
        path.write_bytes(whole[: end - 8] + b"\xff" * 8 + whole[end:])

    spec = DataSpec(name="parquet", path=str(tmp_path / "torn"), image_size=8)
    tear(1, 0)
    with pytest.raises(InputError, match=r"train\.parquet cannot be read as Parquet: .*"):
        parquet.read(spec)
    tear(0, 1)
    with pytest.raises(InputError, match=r"#0000002' .* cannot be read as Parquet"):
        jaxbias.data.load(spec)
    dataset = jaxbias.data.load(dataclasses.replace(spec, on_bad_image="skip"))
    assert dataset.table["id"].tolist() == ["train.parquet#0000000", "train.parquet#0000001"]
    read = parquet.read(spec).read
    assert read(0) == encoded(0)
    with pytest.raises(BadImageError):
        read(2)
    assert read(1) == encoded(1)  # The group before is read again.


def test_class_labels_of_floats_and_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "train.parquet"
    table = pa.table({"image": [encoded(0)], "label": [0.5]})
    info = json.dumps({"info": {"features": FEATURES}})
    pq.write_table(table.replace_schema_metadata({"huggingface": info}), path)
    spec = DataSpec(name="parquet", path=str(tmp_path))
    with pytest.raises(InputError, match="has class names, but holds double, not whole"):
        parquet.read(spec)
    pq.write_table(pa.table([[encoded(0)], [1], [0]], names=["image", "hat", "hat"]), path)
    with pytest.raises(InputError, match="more than one column 'hat'"):
        parquet.read(spec)
