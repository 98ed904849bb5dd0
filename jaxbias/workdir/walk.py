"""Walks: which packs a process looks at next, so that a thousand of them seldom meet.

A look at a pack is a request to the store or two, and to look at all of them at every turn does not
scale. So everyone looks at a few packs at a time, from a place of its own on in the plan's order,
where neighbours share a program, and jumps elsewhere where others are at work. A few that others
hold are looked at whenever nothing else is to be had, for who holds them may have died.
"""

import random
from collections.abc import Iterable, Sequence

from jaxbias.plan.packs import Pack

# Packs looked at in one round, beside those that are watched.
_AHEAD = 16
_WATCHED = 8


class Walk:
    """One process's way through packs; a function of what it is told and of `chance` alone.

    Args:
      packs: those to do, in the plan's order.
      chance: chooses places.
    """

    def __init__(self, packs: Sequence[Pack], chance: random.Random) -> None:
        self._order = packs
        self._settled: set[str] = set()  # Those of `_order` that are left out since it was made.
        self._watched: dict[str, Pack] = {}
        self._at: dict[str, int] = {}  # Places of the packs of the last round.
        self._chance = chance
        self._place = 0
        self.jump()

    def __len__(self) -> int:
        return len(self._order) - len(self._settled)

    @property
    def packs(self) -> list[Pack]:
        """Those that are left, in the plan's order."""
        return [pack for pack in self._order if pack.id not in self._settled]

    @property
    def is_short(self) -> bool:
        """Whether every pack that is left is looked at in every round."""
        return len(self) <= _AHEAD

    def round(self) -> list[Pack]:
        """Returns the packs to look at next: those ahead, then those that are watched."""
        if len(self._settled) > len(self):
            self.keep(self.packs)
        watched = {} if self.is_short else self._watched
        ahead, self._at = [], {}
        for step in range(len(self._order)):
            place = (self._place + step) % len(self._order)
            pack = self._order[place]
            if pack.id not in self._settled and pack.id not in watched:
                ahead.append(pack)
                self._at[pack.id] = place
                if len(ahead) == _AHEAD:
                    break
        return [*ahead, *watched.values()]

    def settle(self, packs: Iterable[Pack]) -> None:
        """Leaves packs of this walk out for good."""
        for pack in packs:
            self._settled.add(pack.id)
            self._watched.pop(pack.id, None)

    def keep(self, packs: Sequence[Pack]) -> None:
        """Leaves all but these, of those that are left, out for good; its place stays."""
        ids = {pack.id for pack in packs}
        self._place = sum(pack.id in ids for pack in self._order[: self._place])
        self._watched = {id: pack for id, pack in self._watched.items() if id in ids}
        self._order, self._settled, self._at = packs, set(), {}

    def go_on_after(self, pack: Pack) -> None:
        """Begins the next round behind a pack, which was done here."""
        if pack.id in self._at:
            self._place = (self._at[pack.id] + 1) % len(self._order)

    def watch(self, packs: Iterable[Pack]) -> None:
        """Has some packs of the last round, which others hold, in every round."""
        for pack in packs:
            if (
                pack.id in self._at
                and pack.id not in self._settled
                and len(self._watched) < _WATCHED
            ):
                self._watched[pack.id] = pack

    def jump(self) -> None:
        """Begins the next round anywhere; what is looked at in one round, at its first pack."""
        self._place = 0 if self.is_short else self._chance.randrange(len(self._order))
