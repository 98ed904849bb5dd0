"""Numbers of things are written by one rule."""

import ast
import re
from pathlib import Path

import pytest

import jaxbias
from jaxbias import words

PACKAGE = Path(jaxbias.__file__).parent
# What prints and what is printed on pages; messages elsewhere use the rule where one can occur.
FILES = [
    *sorted((PACKAGE / "report").glob("*.py")),
    *sorted((PACKAGE / "cli").glob("*.py")),
    *(PACKAGE / name for name in ("workdir/crew.py", "stages/screen.py", "weights/command.py")),
]
THINGS = (
    "array|base|cell|checkpoint|curation|device|draw|epoch|example|feature|finetune|head|id|image|"
    "kind|model|number|pack|program|repeat|row|seed|step|target|tensor|trial|value|variant"
)
PLURAL = re.compile(rf"\A (?:[a-z-]+ )?(?:{THINGS})s\b(?!/s)")


@pytest.mark.parametrize("number", [0, 2, 1000])
def test_more_and_less_than_one_are_plural(number):
    assert words.count(number, "test image") == f"{number:,} test images"
    assert words.count(number, "class", "classes") == f"{number:,} classes"


def test_one_is_singular():
    assert words.count(1, "repeat") == "1 repeat"
    assert words.count(1, "class", "classes") == "1 class"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_text_writes_a_number_and_a_plural_by_itself(file):
    found = [
        f"line {value.lineno}: {after.value[:40]!r}"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.JoinedStr)
        for value, after in zip(node.values, node.values[1:], strict=False)
        if isinstance(value, ast.FormattedValue)
        and isinstance(after, ast.Constant)
        and PLURAL.match(after.value)
    ]
    assert found == []
