"""JSON that is damaged, endless or too deep is one line, for every reader of records."""

import json
import re

import pytest

from jaxbias.costs import mode_table
from jaxbias.data.json_arrays import elements
from jaxbias.engine import features
from jaxbias.errors import InputError
from jaxbias.files import claims, json_files
from jaxbias.files.json_files import read_json
from jaxbias.files.objects import Objects

DEEP = "[" * 100_000


def test_a_record_is_read_whatever_wrote_it(tmp_path):
    path = tmp_path / "r.json"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text(json.dumps({"ö": [1, None]}, ensure_ascii=False), encoding=encoding)
        assert read_json(path, "") == {"ö": [1, None]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (DEEP, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('{"a": 1', "Expecting ',' delimiter: line 1 column 8 (char 7)"),
        (b'{"a": "\xff"}', "not UTF-8"),
        ("9" * 5000, "Exceeds the limit (4300 digits) for integer string conversion"),
    ],
)
def test_what_is_damaged_is_one_line(tmp_path, content, reason):
    path = tmp_path / "r.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        read_json(path, "write it again")
    said = str(error.value)
    assert said.startswith(f"{path} is damaged ({reason}")
    assert said.endswith("; write it again")
    assert "\n" not in said


def test_files_that_are_too_large_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    with pytest.raises(InputError, match=r"cannot be read \(No such file or directory\); run it"):
        read_json(path, "run it")
    with path.open("wb") as file:
        file.truncate(3 * 2**30)  # Without a byte on the disk.
    with pytest.raises(InputError, match=re.escape("(3.0 GiB, at most 1 GiB is read); run it")):
        read_json(path, "run it")
    assert json_files.MOST_BYTES == 2**30


def test_no_reader_of_records_is_stopped_by_depth(tmp_path):
    (tmp_path / "r.json").write_text(DEEP)
    with pytest.raises(InputError, match=r"r.json is no table of modes \(nested too deeply\)"):
        mode_table.read_table(tmp_path / "r.json")
    assert features.read(tmp_path, "r") is None
    with pytest.raises(InputError, match=r"r.json is nested too deeply"):
        list(elements(_object(tmp_path / "r.json"), ("a",)))
    (tmp_path / "pack.json").write_text(DEEP)
    assert not claims.Claims(Objects(tmp_path)).is_held("pack")


def _object(path):
    path.write_text('{"a": [' + DEEP)
    return path
