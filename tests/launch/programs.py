"""Stand-ins for the programs of engines: first on the path, they note how they were called."""

import json
import os
import sys

STAND_IN = """#!{python}
import json, sys
name = {name!r}
with open({calls!r}, "a") as file:
    print(json.dumps([name, *sys.argv[1:]]), file=file)
answers = {answers!r}
words = " ".join(sys.argv[1:])
for part, (code, text) in answers.items():
    if part in words:
        print(text)
        sys.exit(code)
"""


class Programs:
    """Stand-ins in a folder that is put first on the path.

    Args:
      folder: for them.
      monkeypatch: sets the path.
    """

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self._calls = folder / "calls"
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(self, name, **answers):
        """Makes a program; an answer is (code, text) where its words contain the answer's name."""
        path = self.folder / name
        named = {part.replace("_", " "): answer for part, answer in answers.items()}
        text = STAND_IN.format(
            python=sys.executable, name=name, calls=str(self._calls), answers=named
        )
        path.write_text(text)
        path.chmod(0o755)

    def calls(self):
        """Returns the words of every call since the last time."""
        if not self._calls.exists():
            return []
        lines = self._calls.read_text().splitlines()
        self._calls.unlink()
        return [json.loads(line) for line in lines]
