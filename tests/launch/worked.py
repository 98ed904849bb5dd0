"""The worked examples of launch/README.md."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "launch/README.md").read_text()


def examples(place):
    """Heading -> the words of each call below it; what it writes goes to a place of the test's."""
    found = {}
    for section in PAGE.split("\n## ")[1:]:
        lines = re.findall(r"^python -m launch (.*)", section, flags=re.MULTILINE)
        words = [line.replace("=runs/", f"={place}/") for line in lines]
        found[section.splitlines()[0]] = [shlex.split(line) for line in words]
    return {heading: calls for heading, calls in found.items() if calls}
