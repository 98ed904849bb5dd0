"""docs/architecture.md: its rooms are those of the contracts, and its examples do what they say."""

import importlib
import inspect
import re
import sys
import tomllib
import types
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LAYERS = CONTRACTS["tool"]["importlinter"]["contracts"][0]["layers"]
LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms.split(" | ")}


def examples():
    """Heading -> (file, code) of each block under it."""
    _, *parts = re.split(r"^### (.+)$", PAGE, flags=re.MULTILINE)
    block = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
    return {what: block.findall(text) for what, text in zip(parts[::2], parts[1::2], strict=True)}


def append(file, code, patches):
    """Runs code as if it stood at the end of a module, or were all of a new one."""
    name = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if (ROOT / file).exists():
        module = importlib.import_module(name)
        for tables in (*filter(lambda x: type(x) is dict, vars(module).values()), vars(module)):
            patches.enter_context(mock.patch.dict(tables))
    else:
        module = types.ModuleType(name)
        patches.callback(sys.modules.pop, name)
        sys.modules[name] = module
    exec(compile(code, file, "exec"), vars(module))
    return module


@pytest.mark.parametrize("what", examples())
def test_the_example_passes_its_own_test(what, tmp_path):
    ran = 0
    with ExitStack() as patches:
        for file, code in examples()[what]:
            module = append(file, code, patches)
            for name, test in list(vars(module).items()):
                if file.startswith("tests/") and name.startswith("test_"):
                    test(*[tmp_path] * len(inspect.signature(test).parameters))
                    ran += 1
    assert ran


def test_there_is_an_example_of_everything_that_can_be_added():
    assert list(examples()) == [
        "A dataset",
        "A curation",
        "A metric",
        "An objective",
        "A network",
    ]


def test_the_rooms_are_those_of_the_contracts_and_of_the_package():
    listed = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted(listed) == sorted(LEVELS)
    found = {path.stem for path in (ROOT / "jaxbias").iterdir() if not path.name.startswith("__")}
    assert found == set(LEVELS)


def test_arrows_go_down_and_leave_out_no_room():
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", PAGE, flags=re.MULTILINE)
    assert {room for arrow in arrows for room in arrow} == set(LEVELS)
    assert [(a, b) for a, b in arrows if LEVELS[a] >= LEVELS[b]] == []
