"""A name that begins with an underscore is its module's own."""

import ast
from pathlib import Path

import pytest

import jaxbias

PACKAGE = Path(jaxbias.__file__).parent
# Public all the same: named tuples' own, so that fields may have any name, and one of `os`.
DOCUMENTED = {"_asdict", "_fields", "_make", "_replace", "_exit"}


def private(name):
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def made_in(tree):
    """Every name that a module gives: to functions, classes, variables, fields and arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def imports_of(tree):
    """Every name under which a module has another, or something of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)


def borrowed(tree):
    """(line, name) of every private name of another module that a module imports or uses."""
    own, imported = set(made_in(tree)), set(imports_of(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, part) for part in parts if private(part))
        elif isinstance(node, ast.Import):
            parts = [part for alias in node.names for part in alias.name.split(".")]
            yield from ((node.lineno, part) for part in parts if private(part))
        elif isinstance(node, ast.Attribute) and private(node.attr):
            of = node.value.id if isinstance(node.value, ast.Name) else ""
            if node.attr not in own or of in imported:
                yield node.lineno, node.attr


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_no_module_uses_another_ones_private_names(path):
    assert list(borrowed(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from jaxbias.engine.runner import _pad", [(1, "_pad")]),
        ("import jax._src.core", [(1, "_src")]),
        ("import runner\nrunner._pad()", [(2, "_pad")]),
        ("import runner\ndef _pad(): return runner._pad()", [(2, "_pad")]),
        ("def _pad(): ...\n_pad()", []),
        ("class A:\n  def __init__(self): self._a = 1\n  def same(self, b): return b._a", []),
        ("row._replace(a=1)", []),
    ],
)
def test_what_counts_as_another_ones(text, found):
    assert list(borrowed(ast.parse(text))) == found
