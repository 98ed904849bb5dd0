"""Data that travel inside the page, and the scripts that read them."""

import importlib.resources
import json
import math
import sys
from typing import Any

from jaxbias.report.tables import Html


def data(name: str, value: Any) -> Html:
    """Returns a script element that holds a value as JSON, which nothing in it can end.

    Unknown numbers are null, infinite ones the largest there are: every comparison is the same.

    >>> data("x", {"a": [float("nan"), "</script>"]})
    '<script type="application/json" id="x">{"a":[null,"\\\\u003c/script>"]}</script>'
    """
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    escaped = text.replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="{name}">{escaped}</script>')


def asset(name: str) -> str:
    """Returns the text of a file of this package."""
    return importlib.resources.files("jaxbias.report").joinpath(name).read_text("utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return max(min(float(value), sys.float_info.max), -sys.float_info.max)
    return value
