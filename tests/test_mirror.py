"""Tests lie as the package does, and none leans on another."""

import ast
from pathlib import Path

import pytest

import jaxbias

TESTS = Path(__file__).parent
ROOT, PACKAGE = TESTS.parent, Path(jaxbias.__file__).parent
EVERY = sorted(set(TESTS.rglob("*.py")) - {Path(__file__)})  # Here are programs that do.
IN_ROOMS = [path for path in EVERY if path.name.startswith("test_") and path.parent != TESTS]


def named(path):
    return str(path.relative_to(TESTS))


def imported(tree):
    """Every module and name that is imported, dotted; in programs written as text too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and "import" in str(node.value):
            yield from imported_by(str(node.value))


def imported_by(text):
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    yield from imported(tree)


def leaning(names):
    """Those of the names that are, or are of, a test module or a conftest."""
    return [
        name
        for name in names
        if name.startswith("tests.")
        and any(part.startswith("test_") or part == "conftest" for part in name.split("."))
    ]


@pytest.mark.parametrize("path", EVERY, ids=named)
def test_no_test_is_imported(path):
    assert leaning(imported_by(path.read_text())) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from tests.report.conftest import answer", ["tests.report.conftest.answer"]),
        ("from tests.data import test_store", ["tests.data.test_store"]),
        ("import tests.test_words", ["tests.test_words"]),
        ("def f():\n  from tests.plan.test_packs import one", ["tests.plan.test_packs.one"]),
        ("CHILD = 'from tests.test_words import one'", ["tests.test_words.one"]),
        ("from tests.tiny import tiny_study", []),
        ("TEXT = 'what imports tests.test_words'", []),
    ],
)
def test_what_counts_as_imported(text, found):
    assert leaning(imported_by(text)) == found


@pytest.mark.parametrize("path", IN_ROOMS, ids=named)
def test_tests_are_beside_what_they_test(path):
    """In the directory of a room, of the package or beside it, that is among those they import.

    The command and the launcher are called by fixtures.
    """
    place = path.parent.relative_to(TESTS)
    of_package = place.parts[0] not in ("benchmarks", "launch")
    assert ((PACKAGE if of_package else ROOT) / place).is_dir()
    room = ".".join(("jaxbias", *place.parts) if of_package else place.parts)
    ours = [
        name
        for name in imported_by(path.read_text())
        if name.split(".")[0] in ("jaxbias", "benchmarks", "launch")
    ]
    if ours and place.parts[0] not in ("cli", "launch"):
        assert any(f"{name}.".startswith(f"{room}.") for name in ours)
