"""Every setting, found by introspection: a wrong value is one line that names it, at once."""

import dataclasses
import json
import time
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from jaxbias import InputError, make_study
from jaxbias.errors import echo, nearest
from jaxbias.study import DataSpec, Study, to_dict
from jaxbias.values import Range, fields_of
from tests.tiny import tiny_config

NUMBERS = (float("nan"), float("inf"), -1, 0, 1e308, 10**30, 10**5000, "1", None, True, [], {})
TEXTS = (
    "x" * 10**6,
    "\ud800",
    "a\0b",
    "",
    None,
    True,
    b"x",
    10**5000,
    ("x",) * 200_000,
    {},
    {1: 2},
)
# What is not checked by its type stands beside a name of one's own.
NAMED = {"sources": "part", "evaluations": "natural", "bases": "Grouped"}


def settings_of(kind: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every plain setting below a type: its path in a config, and the type of its value."""
    if dataclasses.is_dataclass(kind):
        found = []
        for name, hint in fields_of(kind).items():
            if (kind, name) not in ((DataSpec, "sources"), (Study, "experiments")):
                found += settings_of(hint, (*path, name))
        return found
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return settings_of(args[0], path)
    if origin in (Mapping, typing.get_origin(Mapping[str, int])):
        keys = typing.get_args(args[0])  # Of a literal, the names it may have.
        return settings_of(args[1], (*path, keys[0] if keys else NAMED.get(path[-1], "own")))
    return [(path, kind)]


EVERY = settings_of(Study)
NUMERIC = [path for path, kind in EVERY if typing.get_origin(kind) is Annotated]
TEXTUAL = [path for path, kind in EVERY if kind is str or typing.get_origin(kind) is Literal]


def changed(path: tuple[str, ...], value: Any) -> dict:
    config = tiny_config()
    node = config
    for name in path[:-1]:
        node = node.setdefault(name, {})
    node[path[-1]] = value
    return config


def held(path: tuple[str, ...], value: Any) -> str:
    """Makes a study; returns "" where it is whole, else the one line that names the field."""
    began = time.perf_counter()
    try:
        study = make_study(changed(path, value))
        assert make_study(json.loads(json.dumps(to_dict(study), allow_nan=False))) == study
        return ""
    except InputError as error:
        line = str(error)
    finally:
        assert time.perf_counter() - began < 2, (path, echo(value))
    assert line.startswith("config.") or line.startswith("config asks"), line
    assert path[-1] in line or path[-2] in line, (path, line)
    assert len(line) < 400 and len(line.splitlines()) == 1, line
    return line


def test_every_number_has_a_range():
    bare = [path for path, kind in EVERY if kind in (int, float)]
    assert bare == []
    assert ("finetune", "dro_step") in NUMERIC and ("search", "learning_rates") in NUMERIC
    assert len(NUMERIC) > 50


@pytest.mark.parametrize("path", NUMERIC, ids=".".join)
def test_a_number_is_right_or_named(path):
    lines = [held(path, value) for value in NUMBERS]
    accepted = [echo(v) for v, line in zip(NUMBERS, lines, strict=True) if not line]
    assert set(accepted) <= {"-1", "0", "[]"}, accepted


@pytest.mark.parametrize("path", TEXTUAL, ids=".".join)
def test_a_text_is_right_or_named(path):
    lines = [held(path, value) for value in TEXTS]
    accepted = [v for v, line in zip(TEXTS, lines, strict=True) if not line]
    assert accepted in ([], [""]), accepted


GROUPS = [(), ("data",), ("finetune",), ("bases",), ("data", "splits"), ("data", "faces")]


@pytest.mark.parametrize("path", GROUPS, ids=".".join)
@pytest.mark.parametrize("name", [3, None, ("a",), "\ud800", "x" * 10**6, 2.5, True])
def test_names_that_are_no_text_are_named(path, name):
    config = tiny_config()
    node = config
    for part in path:
        node = node.setdefault(part, {})
    node[name] = 1
    with pytest.raises(InputError) as raised:
        make_study(config)
    assert str(raised.value).startswith(".".join(("config", *path)))
    assert len(str(raised.value)) < 900  # With the names of the group's own settings.


def test_whole_numbers_are_names_too_but_not_twice():
    half = {"pretrain": 0.5, "finetune": 0.5}
    study = make_study(changed(("data", "splits"), {0: half, 1: {"test": 1}}))
    assert list(study.data.splits) == ["0", "1"]
    with pytest.raises(InputError, match=r"config\.data\.splits has '0' twice"):
        make_study(changed(("data", "splits"), {0: half, "0": half}))


def test_a_config_that_contains_itself_is_refused():
    own: dict = {"name": "mix"}
    own["sources"] = {"own": own}
    with pytest.raises(InputError, match="lies too deep"):
        make_study(changed(("data",), own))


def test_numbers_of_numpy_are_numbers():
    config = changed(("finetune", "n"), [np.int64(8), np.int32(20)])
    config["finetune"]["learning_rate"] = np.float64(0.5)
    study = make_study(config)
    assert json.dumps(to_dict(study.finetune.n)) == "[8, 20]"
    assert type(study.finetune.learning_rate) is float
    assert make_study(changed(("curations", "correlation"), {"levels": range(3)})) == make_study(
        changed(("curations", "correlation"), {"levels": (0, 1, 2)})
    )


def test_a_range_holds_both_its_ends():
    @dataclasses.dataclass(frozen=True)
    class Spec:
        share: Annotated[float, Range(0, 1)] = 0.5

    from jaxbias.values import build

    assert build(Spec, {"share": 0}, "x").share == 0.0
    assert build(Spec, {"share": 1}, "x").share == 1.0
    with pytest.raises(InputError, match=r"x\.share=1\.1 must be in 0\.\.1"):
        build(Spec, {"share": 1.1}, "x")


def test_messages_repeat_80_characters_of_a_value():
    assert echo("y" * 80) == "y" * 80
    assert echo("y" * 81) == "y" * 79 + "…"
    assert echo("a\nb") == "a b"
    assert len(nearest("z" * 10**6, ["w" * 10**6])) < 100
    # What nobody clipped is cut all the same; paths are not.
    assert str(InputError("--x=" + "q" * 10**6 + " is wrong")) == "--x=" + "q" * 75 + "… is wrong"
    line = str(InputError(f"--link='{'many words ' * 20}' is unknown"))
    assert line == f"--link='{('many words ' * 20)[:79]}…' is unknown"
    path = "/".join(["part" * 30] * 20)
    assert str(InputError(f"{path} is\nno file")) == f"{path} is no file"
