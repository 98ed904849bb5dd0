"""A disk that is full or read-only in the middle: one line, and nothing half-written is used."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jaxbias.cli import command as cli
from jaxbias.data import readers
from jaxbias.errors import InputError
from jaxbias.files import pack_files
from jaxbias.stages import train
from jaxbias.study import make_study
from jaxbias.workdir.results import ResultDirectory
from tests.disks import mounted
from tests.tiny import tiny_config

pytestmark = pytest.mark.usefixtures("in_memory")

CONFIG = """
from ml_collections import ConfigDict
from tests.tiny import tiny_config
def get_config(arg=''):
    return ConfigDict(tiny_config())
"""


@pytest.fixture
def expected(finished):
    """Scores on a disk with room."""
    return ResultDirectory(finished[0]).scores()


@pytest.fixture
def disk(tmp_path):
    """A small file system of our own."""
    with mounted(tmp_path / "disk", "16k") as disk:
        yield disk


def check_all_packs(workdir):
    """Whatever counts as finished is whole."""
    directory = ResultDirectory(workdir)
    plan = directory.plan()
    packs = [p for p in (*plan.bases, *plan.finetunes) if directory.has(p)] if plan else []
    for pack in packs:
        directory.read_pack(pack)
    return len(packs)


def assert_equal(workdir, expected):
    got = ResultDirectory(workdir).scores()
    np.testing.assert_array_equal(got.test, expected.test)
    np.testing.assert_array_equal(got.validation, expected.validation)


def test_a_disk_that_fills_up_anywhere(disk, expected, capsys):
    """Ever more room: each run stops with one line a little later, the last one ends."""
    study, workdir = make_study(tiny_config()), disk.path / "run"
    directory, stops = ResultDirectory(workdir), []

    def run(stage=""):
        try:
            train.train(study, workdir, stage)
        except InputError as error:
            stops.append(str(error))
        return check_all_packs(workdir)

    for size in (16, 24, 32, 48):  # The plan, or the first base.
        disk.remount(f"size={size}k")
        assert run() == 0
    assert len(stops) == 4
    disk.remount("size=4m")
    run("pretrain")
    assert len(stops) == 4
    used = shutil.disk_usage(disk.path).used // 1024
    finished = []
    for room in (4, 16, 32, 64, 2048):
        disk.remount(f"size={used + room}k")
        finished.append(run("finetune") - len(directory.plan().bases))
    assert finished == sorted(finished)
    assert (finished[0], finished[-1]) == (0, len(directory.plan().finetunes))
    assert len(stops) >= 7
    for stop in stops:
        assert "no space left on the disk" in stop, stop
        assert len(stop.splitlines()) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert_equal(workdir, expected)
    assert [path for path in workdir.rglob("*") if ".part" in path.name] == []


def test_a_disk_that_turns_read_only(disk, expected, tmp_path, monkeypatch, capsys):
    disk.remount("size=4m")
    (tmp_path / "config.py").write_text(CONFIG)
    monkeypatch.setitem(readers.READERS, "tiny", "tests.tiny")  # It is loaded as tests load it.
    workdir = disk.path / "run"
    write_pack = ResultDirectory.write_pack

    def write_then_lock(self, pack, rows):
        if check_all_packs(workdir) == 3:
            disk.remount("ro")
        write_pack(self, pack, rows)

    words = ["jaxbias", "run", f"--config={tmp_path}/config.py", f"--workdir={workdir}"]
    with monkeypatch.context() as patch:
        patch.setattr(ResultDirectory, "write_pack", write_then_lock)
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
    assert stop.value.code == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("jaxbias:")]
    assert len(told) == 1
    assert "Read-only file system" in told[0]
    assert check_all_packs(workdir) == 3
    disk.remount("rw")
    train.train(make_study(tiny_config()), workdir)
    assert_equal(workdir, expected)


def test_a_write_that_fails_leaves_no_pack(tmp_path, expected, monkeypatch):
    """As above where no disk can be mounted: the third Parquet file does not fit."""
    write_table, count = pq.write_table, 0

    def fill(table, where):
        nonlocal count
        count += 1
        if count == 4:
            Path(where).write_bytes(b"PAR1 half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        write_table(table, where)

    study = make_study(tiny_config())
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", fill)
        with pytest.raises(InputError, match=r"no space left on the disk\); free some and run"):
            train.train(study, tmp_path)
    assert check_all_packs(tmp_path) == 2  # The first file is of the examples.
    assert sorted(path.suffix for path in (tmp_path / "packs").iterdir()) == [".parquet"] * 2
    train.train(study, tmp_path)
    assert_equal(tmp_path, expected)


ROWS = [
    {"variant": f"v{i}", "n": i, "loss": i / 3, "ids": np.arange(i + 1, dtype=np.int32),
     "test_scores": np.linspace(0, 1, 50, dtype=np.float32)}
    for i in range(4)
]  # fmt: skip


COST = "only this pack, of 4 trainings, is redone"


def test_a_pack_is_read_back_as_it_was(tmp_path):
    pack_files.write(tmp_path / "p.parquet", ROWS)
    table = pack_files.read(tmp_path / "p.parquet", COST)
    for got, row in zip(table.to_pylist(), ROWS, strict=True):
        for name, value in row.items():
            np.testing.assert_array_equal(got[name], value)


def test_every_cut_is_noticed(tmp_path):
    path = tmp_path / "p.parquet"
    pack_files.write(path, ROWS)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(
            InputError, match=r"p\.parquet is damaged .* delete it and run again: only"
        ):
            pack_files.read(path, COST)


def test_an_altered_byte_is_noticed_or_alters_nothing(tmp_path):
    path = tmp_path / "p.parquet"
    pack_files.write(path, ROWS)
    content = path.read_bytes()
    whole = pack_files.read(path, COST)
    noticed = 0
    for place in range(0, len(content), 13):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        try:
            assert pack_files.read(path, COST).equals(whole), place
        except InputError:
            noticed += 1
    assert noticed > 50


def test_other_rows_under_the_same_checksum_are_noticed(tmp_path):
    path = tmp_path / "p.parquet"
    pack_files.write(path, ROWS)
    table = pq.read_table(path)
    for changed in (
        table.slice(0, 3),
        table.take([1, 0, 2, 3]),
        table.set_column(1, "n", pa.array([0, 1, 2, 4])),
        table.rename_columns(["variant", "k", "loss", "ids", "test_scores"]),
    ):
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
        with pytest.raises(InputError, match="is damaged"):
            pack_files.read(path, COST)
    pack_files.write(path, ROWS)
    path.rename(tmp_path / "q.parquet")
    with pytest.raises(InputError, match="pack: p recorded, q found"):
        pack_files.read(tmp_path / "q.parquet", COST)
