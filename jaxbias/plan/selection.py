"""Selection: the stages of a study, and those packs of one that a process is asked to do."""

import re
from collections.abc import Sequence

from jaxbias.errors import InputError, echo
from jaxbias.plan.packs import Pack

STAGES = ("plan", "pretrain", "search", "finetune", "report")
PACKED = ("pretrain", "search", "finetune")  # Those that have packs.
_NO_PACK = "--packs: '{word}' is no pack of stage {stage}; give places such as 0,3-5, or ids"


def check_words(text: str, stage: str) -> None:
    """Refuses what can name no pack of any plan, before there is one; see `select`.

    Raises:
      InputError: a word is no place, no range, and no 16 hex digits of an id.
    """
    for word in (word.strip() for word in text.split(",") if text):
        if not re.fullmatch(r"\d+(-\d+)?|[0-9a-f]{16}", word):
            raise InputError(_NO_PACK.format(word=echo(word), stage=stage))


def select(packs: Sequence[Pack], text: str, stage: str) -> list[Pack]:
    """Returns the packs that `--packs` names, in the plan's order.

    Args:
      packs: all packs of the stage.
      text: places in the plan from 0, ranges of them, or ids: "0,3-5,1f0c…"; empty: all.
      stage: its name, for messages.

    Raises:
      InputError: a name is none of these, or the plan has no such pack.
    """
    if not text:
        return list(packs)
    places = {pack.id: place for place, pack in enumerate(packs)}
    wanted: set[int] = set()
    for word in (word.strip() for word in text.split(",")):
        match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", word)
        if word in places:  # Before numbers: an id may be all digits.
            wanted.add(places[word])
        elif match is None:
            raise InputError(_NO_PACK.format(word=echo(word), stage=stage))
        else:
            first, last = int(match[1]), int(match[2] or match[1])
            if first > last:
                raise InputError(f"--packs: {word} runs backwards; write {last}-{first}")
            if last >= len(packs):
                raise InputError(
                    f"--packs: there is no pack {last}; stage {stage} of the plan has "
                    f"{len(packs)}" + (f", 0 to {len(packs) - 1}" if packs else "")
                )
            wanted.update(range(first, last + 1))
    return [packs[place] for place in sorted(wanted)]
