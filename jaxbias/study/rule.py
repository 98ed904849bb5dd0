"""Rules of curation as a config names them."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

from jaxbias.errors import InputError, echo, nearest
from jaxbias.files.digits import real, whole
from jaxbias.study.specs import TASKS, CurationsSpec, Study
from jaxbias.values import MOST_IMAGES

# Kind -> default of its setting: whether it is tried, or with which levels or numbers of images.
_SETTINGS = {
    field.name: field.default
    for field in dataclasses.fields(CurationsSpec)
    if field.name != "on_shortage"
}
KINDS = ("natural", *_SETTINGS)  # The natural draw is always tried.
# What a name says of a setting, and the word before it.
_WORDS = {"levels": "level", "shares": "share", "k": "k", "tables": "by table"}
_WORDS |= {"start": "from start", "prevalence": "at prevalence", "column": "of column"}


def _form(setting: Any) -> tuple[str, ...]:
    """Returns what the names of a kind say after it, in order."""
    if dataclasses.is_dataclass(setting):
        return tuple(_WORDS[field.name] for field in dataclasses.fields(setting))
    return ("k",) if isinstance(setting, tuple) else ()


_FORMS = {kind: _form(setting) for kind, setting in _SETTINGS.items()}
# What a name leaves out is this.
_DEFAULTS = {"prevalence": 0.5, "column": "source"}
_EXAMPLES = {"level": "3", "start": "2", "k": "3", "share": "0.5", "table": "NAME"}
_WHOLE = ("level", "start", "k")
# Natural draws that are trained by an objective of their own, and not by the mean loss ("erm").
_OBJECTIVES = ("group_dro", "dfr")
# Kinds that a pair can be curated by, and those that it alone can.
_OF_EVERY_TASK, _OF_PAIRS = ("source_mix", "drop"), ("pair_mix",)
# Curations that do not suit every kind of task: the cells of labels are the groups, of no class.
_SUITED = {
    **dict.fromkeys(("correlation", "reduce_only", "mixture"), ("targets",)),
    **dict.fromkeys(_OF_PAIRS, ("pairs",)),
    **dict.fromkeys(
        ("class_balanced", "reweight", "class_reweight"), ("targets", "pairs", "classes")
    ),
}


@dataclasses.dataclass(frozen=True, order=True)
class Curation:
    """A rule that turns n into quotas; what its kind does not have is None.

    Attributes:
      kind: one of `KINDS`.
      level: 0..10 for `correlation`, `reduce_only` and `mixture` (0 ties positives to the first
        group, 5 balances, 10 reverses), `pair_mix` (tenths of the positives that are of the second
        attribute) and `source_mix` (tenths that are of the second source).
      prevalence: share of positives for all of these but the last; None is the natural share.
      k: images added, replaced or dropped for `add_minority`, `replace_minority` and `drop`.
      start: for `reduce_only`, the level that images are removed from.
      column: for `source_mix`, the column whose two values are mixed.
      share: for `mixture`, the share of n that is drawn naturally.
      table: for `drop`, the name of the table of example scores in config.curations.drop.tables.
      digest: of that table's file, once it is known.
    """

    kind: str
    level: int | None = None
    prevalence: float | None = None
    k: int | None = None
    start: int | None = None
    column: str | None = None
    share: float | None = None
    table: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """A short name, such as "correlation 5", that says all of it; `parse_curation` reads it."""
        parts = [self.kind]
        for part in _FORMS.get(self.kind, ()):
            value = getattr(self, part.split()[-1])
            if value != _DEFAULTS.get(part.split()[-1], ""):
                word = part.rpartition(" ")[0]
                parts += [word] * bool(word) + ["natural" if value is None else f"{value}"]
        return " ".join(parts)

    @property
    def content(self) -> dict[str, Any]:
        """What ids are made of: fields that came later are left out of rules without them."""
        later = ("start", "column", "share", "table", "digest")
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in later or value is not None
        }

    @property
    def objective(self) -> str:
        """What is minimised: "erm", "group_dro", or "dfr" (then the head is refitted)."""
        return self.kind if self.kind in _OBJECTIVES else "erm"

    @property
    def whole(self) -> "Curation":
        """What its images are taken from: another set of n where some are removed, else itself."""
        if self.kind == "reduce_only":
            return Curation("correlation", self.start, self.prevalence)
        return Curation("natural") if self.kind == "drop" else self

    def size(self, n: int) -> int:
        """Returns how many images it makes of n where none is short.

        >>> [Curation("reduce_only", level, 0.5, start=2).size(1024) for level in (0, 1, 3, 8)]
        [819, 910, 682, 256]
        """
        if self.kind == "reduce_only":
            # Every cell shrinks to its share of the fullest that the start has.
            bounds = ((self.start, self.level), (10 - self.start, 10 - self.level))
            return min(n * have // want for have, want in bounds if want)
        if self.kind == "drop":
            return max(n - self.k, 0)
        return n + (self.k or 0) * (self.kind == "add_minority")


def parse_curation(text: str, where: str) -> Curation:
    """Reads a curation's name.

    Args:
      text: as `Curation.name` writes it.
      where: what an error begins with.

    Raises:
      InputError: an unknown kind (with the nearest), or a number or prevalence that is wrong.

    >>> parse_curation("correlation 3", "").level
    3
    >>> parse_curation("reduce_only 3 from 2 at natural", "").name
    'reduce_only 3 from 2 at natural'
    """
    kind, rest = re.fullmatch(r"\s*([^\s:]*)[\s:]*(.*?)\s*", text, re.DOTALL).groups()
    if kind not in KINDS:
        raise InputError(f"{where}: curation '{echo(text)}' is unknown; {nearest(kind, KINDS)}")
    form = _FORMS.get(kind, ())
    found = re.fullmatch(_pattern(form), rest)
    fields = {} if found is None else {n: v for n, v in found.groupdict().items() if v is not None}
    numbers = {n: whole(v) for n, v in fields.items() if n in _WHOLE}
    if found is None or None in numbers.values():
        raise InputError(
            f"{where}: curation '{echo(text)}' must be written like '{_example(kind, form)}'"
        )

    def refuse(why: str) -> InputError:
        return InputError(f"{where}: curation '{echo(text)}' {why}")

    for name in ("level", "start"):
        if numbers.get(name, 0) > 10:
            raise refuse("has a level that is not in 0..10")
    if numbers.get("k", 0) > MOST_IMAGES:
        raise refuse(f"has more than {MOST_IMAGES:,} images")
    parts = tuple(part.split()[-1] for part in form)
    values = {n: v for n, v in _DEFAULTS.items() if n in parts} | fields | numbers
    if "prevalence" in fields:
        try:
            values["prevalence"] = parse_prevalence("", fields["prevalence"])
        except InputError:
            raise refuse(
                "has a prevalence that is neither 'natural' nor a share between 0 and 1"
            ) from None
    if "share" in fields:
        values["share"] = real(fields["share"])
        if values["share"] is None or not 0 < values["share"] < 1:
            raise refuse("has a natural share that is not between 0 and 1")
    curation = Curation(kind, **values)
    if kind == "reduce_only":
        _check_removal(curation, refuse)
    return curation


def _pattern(form: tuple[str, ...]) -> str:
    """Returns the regular expression of what a name says after its kind."""
    pattern = ""
    for part in form:
        word, _, field = part.rpartition(" ")
        lead = (r"\s+" if pattern else "") + (rf"{word}\s+" if word else "")
        text = ".+?" if field == "column" else r"\S+"
        group = f"{lead}(?P<{field}>{text})"
        pattern += f"(?:{group})?" if field in _DEFAULTS else group
    return pattern


def _example(kind: str, form: tuple[str, ...]) -> str:
    words = [part.split() for part in form if part.split()[-1] in _EXAMPLES]
    return " ".join([kind, *(" ".join([*word, _EXAMPLES[field]]) for *word, field in words)])


def _check_removal(curation: Curation, refuse: Callable[[str], InputError]) -> None:
    """Refuses a level that removal does not reach, or reaches without removing anything."""
    if curation.level == curation.start:
        raise refuse(f"removes nothing: that is '{curation.whole.name}'")
    if not curation.size(MOST_IMAGES):
        raise refuse(
            f"cannot be reached: level {curation.start} has no image of two cells that level "
            f"{curation.level} needs"
        )


def parse_prevalence(path: str, text: str) -> float | None:
    """Returns a share strictly between 0 and 1, or None for "natural".

    Raises:
      InputError: any other text.

    >>> parse_prevalence("x", "0.5")
    0.5
    """
    if text == "natural":
        return None
    share = real(text)
    if share is None or not 0 < share < 1:
        raise InputError(
            f"config.{path}='{echo(text)}' must be 'natural' or a share between 0 and 1"
        )
    return share


def suits(kind: str, task: str) -> bool:
    """Returns whether a kind of curation can be asked of a kind of task, one of `TASKS`."""
    return task in _SUITED.get(kind, TASKS)


def _is_tried(kind: str, task: str) -> bool:
    """Whether a curation's setting is for a kind of task: of pairs few are."""
    every = kind in _OF_EVERY_TASK
    return suits(kind, task) and (every or (kind in _OF_PAIRS) == (task == "pairs"))


def refuse_untried(study: Study) -> None:
    """Refuses curations of finetuning data that no task of a study is tried with.

    Not of pairs alone, which left out what is not theirs before there were tasks of several
    outputs: their directories must be readable.

    Raises:
      InputError: naming the setting, and the tasks that it is for.
    """
    for kind in _SETTINGS if study.several else ():
        asked = _tried(kind, getattr(study.curations, kind))
        if asked and not any(_is_tried(kind, task) for task in study.tasks.values()):
            fitting = " or ".join(f"config.{task}" for task in TASKS if _is_tried(kind, task))
            raise InputError(
                f"config.curations.{kind} is for tasks of {fitting}, and there is none; leave it "
                "out"
            )


def curations_of(study: Study, task: str) -> list[Curation]:
    """Returns the curations a study tries on a task, the natural draw first."""
    curations = [Curation("natural")]
    for kind in _SETTINGS:
        if _is_tried(kind, study.tasks[task]):
            curations += _tried(kind, getattr(study.curations, kind))
    return curations


def _tried(kind: str, setting: Any) -> list[Curation]:
    """Returns the curations of one kind, as its setting has them."""
    if isinstance(setting, bool):
        return [Curation(kind)] * setting
    if isinstance(setting, tuple):
        return [Curation(kind, k=k) for k in setting]
    values = {}
    for field in dataclasses.fields(setting):
        value = getattr(setting, field.name)
        if field.name == "prevalence":
            value = parse_prevalence(f"curations.{kind}.prevalence", value)
        several = isinstance(value, tuple | Mapping)
        values[_WORDS[field.name].split()[-1]] = tuple(value) if several else (value,)
    return [
        Curation(kind, **dict(zip(values, each, strict=True)))
        for each in itertools.product(*values.values())
    ]
