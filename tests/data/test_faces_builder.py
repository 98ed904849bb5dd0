import io
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from jaxbias import study
from jaxbias.data import faces
from jaxbias.data.faces import builder as builder_module
from jaxbias.data.faces.attributes import ATTRIBUTES, salience
from jaxbias.data.faces.render import render
from jaxbias.data.faces.roster import enroll
from jaxbias.errors import InputError

DATA = study.DataSpec(
    image_size=32,
    faces=study.FacesSpec(
        population={"finetune": 30, "test": 20},
        cell_minimum={"finetune": 8},
        strata={"finetune": ("Wearing_Earrings",)},
    ),
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path))
    return tmp_path


def test_what_is_read_back_is_what_was_rendered(home, capfd):
    source = faces.read(DATA)
    parts = enroll(DATA)
    row = 0
    for part in parts:
        images = np.asarray(render(part.keys, part.labels, salience(DATA.faces), 32))
        for image in images[: len(part.labels)]:
            decoded = np.asarray(Image.open(io.BytesIO(source.read(row))))
            np.testing.assert_array_equal(decoded, image)
            row += 1
    assert row == len(source.table)
    assert capfd.readouterr().out == ""  # TFDS's own words stay away from the user's results.


def test_the_files_hold_the_labels_of_the_table(home):
    source = faces.read(DATA)
    stored = builder_module.build(DATA, home / "datasets")
    assert list(stored.info.metadata["attributes"]) == list(ATTRIBUTES)
    examples = [e for split in ("finetune", "test") for e in stored.as_data_source(split)]
    assert [e["id"] for e in examples] == source.table["id"].str.encode("utf-8").tolist()
    np.testing.assert_array_equal(
        np.stack([e["attributes"] for e in examples]),
        source.table[list(ATTRIBUTES)].to_numpy(bool),
    )


def test_the_source_describes_itself(home):
    source = faces.read(DATA)
    assert source.table.columns.tolist() == ["id", "split", "stratum", *ATTRIBUTES]
    assert all(source.table[name].dtype == "boolean" for name in ATTRIBUTES)
    assert source.table["split"].unique().tolist() == ["finetune", "test"]
    assert source.table["id"][0] == "finetune/population/0"
    assert source.group_share == 0.419
    assert source.frequencies.loc["Blond_Hair"].tolist() == [0.242, 0.020]


def test_nothing_is_rendered_before_an_image_is_asked_for(home):
    source = faces.read(DATA)
    assert not list(home.iterdir())
    source.prepare()
    assert len(list(home.rglob("dataset_info.json"))) == 1


def test_a_second_call_reads_what_is_there(home, monkeypatch):
    first = faces.read(DATA)
    first.prepare()

    def fail(*_):
        raise AssertionError("rendered again")

    monkeypatch.setattr(builder_module, "render", fail)
    second = faces.read(DATA)
    assert second.key == first.key
    assert second.read(3) == first.read(3)


def test_an_interrupted_generation_is_not_taken_for_finished(home, monkeypatch):
    encode, count = builder_module.encode, iter(range(1000))

    def interrupted(image):
        if next(count) == 25:
            raise KeyboardInterrupt
        return encode(image)

    with monkeypatch.context() as patch:
        patch.setattr(builder_module, "encode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            faces.read(DATA).prepare()
    assert not list(home.rglob("dataset_info.json"))
    source = faces.read(DATA)
    assert len(source.read(len(source.table) - 1)) > 100


def test_what_a_killed_generation_left_long_ago_is_removed(home):
    folder = home / "datasets" / "jaxbias_faces" / builder_module.FacesConfig.of(DATA).name
    for name, age in (("incomplete.OLD_1.0.0", 2 * 86400), ("incomplete.NEW_1.0.0", 0)):
        (folder / name).mkdir(parents=True)
        (folder / name / "shard").write_bytes(b"x")
        for path in (folder / name / "shard", folder / name):
            os.utime(path, (time.time() - age,) * 2)
    faces.read(DATA).prepare()
    assert sorted(p.name for p in folder.iterdir()) == ["1.0.0", "incomplete.NEW_1.0.0"]


def test_when_another_process_finishes_first_its_files_are_used(home, monkeypatch):
    prepare = builder_module.JaxbiasFaces.download_and_prepare

    def overtaken(self):
        prepare(builder_module._open(DATA, home / "datasets"))
        raise OSError("Directory not empty")  # What renaming onto a full directory says.

    monkeypatch.setattr(builder_module.JaxbiasFaces, "download_and_prepare", overtaken)
    assert len(faces.read(DATA).read(0)) > 100


@pytest.mark.parametrize(
    "other",
    [
        {"image_size": 32},
        {"seed": 1},
        {"faces": study.FacesSpec(salience={"Bangs": 2.0})},
        {"faces": study.FacesSpec(population={"test": 1})},
        {"faces": study.FacesSpec(frequencies={"Bangs": (0.5, 0.5)})},
    ],
)
def test_other_settings_are_other_files(other):
    names = {builder_module.FacesConfig.of(study.DataSpec(**other)).name for other in ({}, other)}
    assert len(names) == 2


def test_wrong_settings_write_nothing(home):
    wrong = study.DataSpec(faces=study.FacesSpec(salience={"Beard": 1.0}))
    with pytest.raises(InputError, match="no attribute 'Beard'"):
        faces.read(wrong)
    assert not list(home.iterdir())


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXBIAS_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write the rendered faces in .*JAXBIAS_HOME"):
        faces.read(DATA).prepare()


@pytest.mark.parametrize("limit", [2**10, 2**16])
def test_a_data_directory_that_fills_up_while_faces_render_is_one_line(home, monkeypatch, limit):
    """Files may not grow beyond a limit here: the same writes stop as on a disk without room."""
    faces.read(DATA).prepare()  # What is compiled is written without a limit.
    monkeypatch.setenv("JAXBIAS_HOME", str(home / "full"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(InputError) as error:
            faces.read(DATA).prepare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = str(error.value)
    assert said.startswith(f"cannot write the rendered faces in {home / 'full'}")
    assert said.endswith(
        " (File too large); set JAXBIAS_HOME to a folder with room that can be written"
    )
    assert not list((home / "full").rglob("*.array_record*"))
    assert faces.read(DATA).prepare()(0)  # With room the same call makes them.


def test_no_tensorflow_is_imported():
    code = "import sys, jaxbias.data.faces; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
