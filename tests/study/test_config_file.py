"""Config files: what they do wrong is one line with its place, and they work from anywhere."""

import shutil
import sys
from pathlib import Path

import pytest

from jaxbias import InputError, make_study
from jaxbias.study import config_file

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.py"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(arg=''):\n    return 1 / 0\n", "line 2: ZeroDivisionError: division by"),
        ("def get_config(arg=''):\n    assert arg\n", "line 2: AssertionError"),
        ("def get_config(arg=''):\n    open('/nowhere/x')\n", "/nowhere/x"),
        ("def get_config(arg='')\n", "config.py line 1: expected ':'"),
        ("def get_config():\n    return (\n", "config.py line 2: '(' was never closed"),
        ("import nonsense\n", "line 1: ModuleNotFoundError: No module named 'nonsense'"),
        ("def get_config(arg=''):\n    return 3\n", "must return a group of settings, not int"),
        ("def get_config(arg=''):\n    return ['a']\n", "a group of settings, not list"),
        ("def get_config(arg=''):\n    pass\n", "returns nothing; end it with `return config`"),
        ("def get_config(arg=''):\n    return {'nme': 'x'}\n", "did you mean 'name'?"),
        ("def get_config(arg):\n    return {}\n", "missing 1 required positional argument: 'arg'"),
        ("", "has no function get_config(arg='')"),
        ("get_config = 3\n", "has no function get_config(arg='')"),
        ("import sys\nsys.exit(0)\n", "line 2: the config ends the program; end get_config()"),
        ("def get_config():\n    raise SystemExit\n", "line 2: the config ends the program"),
        ("def get_config():\n    exit(0)\n", "line 2: the config ends the program"),
        ("import quits\n", "config.py line 1: the config ends the program"),
        ("def get_config():\n    return get_config()\n", "line 2: RecursionError"),
        ("def get_config():\n    raise GeneratorExit\n", "line 2: GeneratorExit"),
        ("def get_config():\n    raise OSError('one\\n\\ntwo')\n", "line 2: OSError: one two"),
        (
            "from ml_collections.config_dict import ConfigDict, placeholder\ndef get_config():\n"
            "    return ConfigDict({'name': placeholder(str, required=True)})\n",
            "None value found in required reference",
        ),
    ],
)
def test_what_a_config_does_wrong_is_one_line_with_its_place(
    jaxbias, tmp_path, monkeypatch, text, message
):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "quits", raising=False)
    (tmp_path / "quits.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "config.py").write_text(text)
    code, out, err = jaxbias("run", f"--config={tmp_path}/config.py", f"--workdir={tmp_path}/x")
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert message in err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\0"])
def test_a_config_that_is_no_text_is_named(tmp_path, content):
    (tmp_path / "config.py").write_bytes(content)
    with pytest.raises(InputError, match=r"config\.py"):
        config_file.load(f"{tmp_path}/config.py")


def test_a_directory_is_no_config(tmp_path):
    with pytest.raises(InputError, match="is a directory; name a file in it"):
        config_file.load(str(tmp_path))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_copied_config_works_from_any_directory(tmp_path, monkeypatch, file):
    """With nothing but the installed package: this directory's `configs` cannot be imported."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "configs", None)
    monkeypatch.chdir(tmp_path)
    shutil.copy(file, "mine.py")
    assert make_study(config_file.load("mine.py:smoke")).name.startswith(file.stem)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]  # No bytecode beside it.


def test_a_config_imports_its_neighbours_and_shadows_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_pieces.py").write_text("NAME = 'neighbour'\n")
    (tmp_path / "queue.py").write_text("raise RuntimeError\n")
    (tmp_path / "config.py").write_text(
        "import dataclasses, queue\nimport my_pieces\n"
        "@dataclasses.dataclass\nclass Mine:\n    name: 'str' = my_pieces.NAME\n"
        "def get_config(arg='whole'):\n    return {'name': f'{Mine().name} {arg}'}\n"
    )
    monkeypatch.delitem(sys.modules, "queue")
    assert config_file.load(f"{tmp_path}/config.py").name == "neighbour whole"
    assert config_file.load(f"{tmp_path}/config.py:a:b").name == "neighbour a:b"
