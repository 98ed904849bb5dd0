"""Failures: which packs went wrong, how often, by whom; one that did so three times is quarantined.

An object per failure, `failures/ID.1.json` for the first, written by whoever holds the pack's
claim; gone once the pack is done. Deleting them lets the pack be tried again. How often a pack has
failed their names tell: one listing, of few objects however many packs there are.
"""

import collections
import contextlib
import json
import time
import traceback
from typing import Any

from jaxbias import words
from jaxbias.errors import InputError
from jaxbias.files.atomic import writing
from jaxbias.files.holder import Holder
from jaxbias.files.json_files import parse_json
from jaxbias.files.objects import Objects

# A pack that failed so often is done by nobody any more.
MOST = 3
# Packs that a sentence names.
_NAMED = 5


class Failures:
    """The failures of the packs of a result directory.

    Args:
      objects: where they lie.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def __str__(self) -> str:
        return str(self._objects.place)

    def add(self, pack: str, error: Exception) -> int:
        """Records that this process failed at a pack, whose claim it holds.

        Returns:
          How often the pack has failed by now.

        Raises:
          InputError: the record cannot be read or written.
        """
        count = self.count(pack) + 1
        # Its line is shortened as those for the terminal are; the traceback has all of it.
        content = {
            "time": round(time.time(), 3),
            "by": str(Holder.myself()),
            "error": str(InputError(f"{type(error).__name__}: {error}")),
            "traceback": "".join(traceback.format_exception(error)),
        }
        key = f"{pack}.{count}.json"
        with writing(self._objects.path(key)):
            self._objects.put(key, json.dumps(content, indent=1).encode())
        return count

    def count(self, pack: str) -> int:
        """Returns how often a pack has failed."""
        return len(self._keys(f"{pack}."))

    def of(self, pack: str) -> list[dict[str, Any]]:
        """Returns the failures of a pack, oldest first: time, by whom, error, traceback."""
        found = []
        for key in self._keys(f"{pack}."):
            with writing(self._objects.path(key), "read"):
                value = self._objects.read(key).value
            try:
                told = parse_json(value or b"")
            except ValueError:  # What is damaged counts, but tells nothing.
                told = {}
            found.append(told if isinstance(told, dict) else {})
        return found

    def counts(self) -> collections.Counter[str]:
        """Returns how often each pack has failed that has, at one look."""
        return collections.Counter(key.split(".")[0] for key in self._keys(""))

    def quarantined(self) -> list[str]:
        """Returns the packs that nobody does any more, sorted."""
        return sorted(pack for pack, count in self.counts().items() if count >= MOST)

    def sentence(self) -> str:
        """Says which packs are quarantined, why, and how to try one again; "" where none is."""
        found = self.quarantined()
        if not found:
            return ""
        errors = {pack: self.of(pack)[-1].get("error", "damaged") for pack in found[:_NAMED]}
        named = "; ".join(f"{pack} ({error})" for pack, error in errors.items())
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        return (
            f"{words.count(len(found), 'pack')} failed {MOST} times and "
            f"{'is' if len(found) == 1 else 'are'} quarantined: {named}{more}. To have one tried "
            f"again, delete what {self} has of it."
        )

    def forget(self, pack: str) -> None:
        """Drops the failures of a pack, which is done."""
        with contextlib.suppress(OSError):
            self._objects.remove(f"{pack}.")

    def _keys(self, prefix: str) -> list[str]:
        with writing(self._objects.place, "read"):
            return self._objects.listing(prefix)
