"""Walks: which packs a process looks at next, so that a thousand of them seldom meet.

A look at a pack is a request to the store or two, and to look at all of them at every turn does not
scale. So everyone looks at a few packs at a time, from a place of its own on in the plan's order,
where neighbours share a program, and jumps elsewhere where others are at work. A few that others
hold are looked at every time, for who holds them may have died.
"""

import random
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

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

    def __init__(self, packs: Iterable[Pack], chance: random.Random) -> None:
        self._left = {pack.id: pack for pack in packs}
        self._order = [*self._left.values()]
        self._watched: dict[str, None] = {}
        self._at: dict[str, int] = {}  # Places of the packs of the last round.
        self._chance = chance
        self._place = 0
        self.jump()

    def __len__(self) -> int:
        return len(self._left)

    @property
    def packs(self) -> list[Pack]:
        """Those that are left, in the plan's order."""
        return [*self._left.values()]

    @property
    def is_short(self) -> bool:
        """Whether every pack that is left is looked at in every round."""
        return len(self._left) <= _AHEAD

    def round(self) -> list[Pack]:
        """Returns the packs to look at next."""
        if len(self._order) > 2 * len(self._left):
            # What was settled is no longer stepped over; the place stays before the same pack.
            before = sum(pack.id in self._left for pack in self._order[: self._place])
            self._order, self._place = [*self._left.values()], before
        watched = {} if self.is_short else {id: self._left[id] for id in self._watched}
        ahead, self._at = [], {}
        for step in range(len(self._order)):
            place = (self._place + step) % len(self._order)
            pack = self._order[place]
            if pack.id in self._left and pack.id not in watched:
                ahead.append(pack)
                self._at[pack.id] = place
                if len(ahead) == _AHEAD:
                    break
        return [*watched.values(), *ahead]

    def settle(self, ids: AbstractSet[str]) -> None:
        """Leaves packs out for good."""
        for id in self._left.keys() & ids:
            del self._left[id]
            self._watched.pop(id, None)

    def keep(self, packs: Iterable[Pack]) -> None:
        """Leaves all others out for good."""
        self.settle(self._left.keys() - {pack.id for pack in packs})

    def go_on_after(self, pack: Pack) -> None:
        """Begins the next round behind a pack, which was done here."""
        if pack.id in self._at:
            self._place = (self._at[pack.id] + 1) % len(self._order)

    def watch(self, packs: Iterable[Pack]) -> None:
        """Looks at some of these packs, which others hold, in every round."""
        for pack in packs:
            if pack.id in self._left and len(self._watched) < _WATCHED:
                self._watched[pack.id] = None

    def jump(self) -> None:
        """Begins the next round anywhere; what is looked at in one round, at its first pack."""
        self._place = 0 if self.is_short else self._chance.randrange(len(self._order))
