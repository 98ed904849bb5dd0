"""Rules of curation as a config names them."""

import dataclasses

from jaxbias.errors import InputError, echo, nearest
from jaxbias.files.digits import real, whole
from jaxbias.study.specs import CurationsSpec, Study
from jaxbias.values import MOST_IMAGES

# Kind -> default of its setting: whether it is tried, or with which levels or numbers of images.
_SETTINGS = {
    field.name: field.default
    for field in dataclasses.fields(CurationsSpec)
    if field.name != "on_shortage"
}
# The natural draw is always tried; the last two are of bases alone.
KINDS = ("natural", *_SETTINGS, "first_group", "second_group")
_LEVELED = tuple(kind for kind, setting in _SETTINGS.items() if hasattr(setting, "levels"))
_COUNTED = tuple(kind for kind, setting in _SETTINGS.items() if isinstance(setting, tuple))
# Natural draws that are trained by an objective of their own, and not by the mean loss ("erm").
_OBJECTIVES = ("group_dro", "dfr")


@dataclasses.dataclass(frozen=True, order=True)
class Curation:
    """A rule that turns n into quotas.

    Attributes:
      kind: one of `KINDS`.
      level: 0..10 for `correlation` (0 ties positives to the first group, 5 balances, 10
        reverses) and `pair_mix` (tenths of the positives that are of the second attribute).
      prevalence: share of positives for these two; None is the natural share.
      k: images added or replaced for `add_minority` and `replace_minority`.
    """

    kind: str
    level: int | None = None
    prevalence: float | None = None
    k: int | None = None

    @property
    def name(self) -> str:
        """A short name, such as "correlation 5", used in tables and figures."""
        if self.kind in _LEVELED:
            suffix = "" if self.prevalence == 0.5 else f" at {self.prevalence or 'natural'}"
            return f"{self.kind} {self.level}{suffix}"
        return self.kind if self.k is None else f"{self.kind} {self.k}"

    @property
    def objective(self) -> str:
        """What is minimised: "erm", "group_dro", or "dfr" (then the head is refitted)."""
        return self.kind if self.kind in _OBJECTIVES else "erm"


def parse_curation(text: str, where: str) -> Curation:
    """Reads a curation's name.

    Args:
      text: as `Curation.name` writes it.
      where: what an error begins with.

    Raises:
      InputError: an unknown kind (with the nearest), or a number or prevalence that is wrong.

    >>> parse_curation("correlation 3", "").level
    3
    >>> parse_curation("pair_mix 3 at natural", "").name
    'pair_mix 3 at natural'
    """
    words, at, prevalence = text.partition(" at ")
    kind, *rest = words.replace(":", " ").split() or [""]
    if kind not in KINDS:
        raise InputError(f"{where}: curation '{echo(text)}' is unknown; {nearest(kind, KINDS)}")
    numbers = [whole(part) for part in rest]
    leveled = kind in _LEVELED
    wanted = leveled or kind in _COUNTED
    if len(rest) != wanted or None in numbers or (at and not leveled):
        example = f"{kind} 3" if wanted else kind
        raise InputError(f"{where}: curation '{echo(text)}' must be written like '{example}'")
    if leveled:
        if numbers[0] > 10:
            raise InputError(f"{where}: curation '{echo(text)}' has a level that is not in 0..10")
        try:
            share = parse_prevalence("", prevalence or "0.5")
        except InputError:
            raise InputError(
                f"{where}: curation '{echo(text)}' has a prevalence that is neither 'natural' nor "
                "a share between 0 and 1"
            ) from None
        return Curation(kind, level=numbers[0], prevalence=share)
    if numbers and numbers[0] > MOST_IMAGES:
        raise InputError(f"{where}: curation '{echo(text)}' has more than {MOST_IMAGES:,} images")
    return Curation(kind, k=numbers[0] if numbers else None)


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


def curations_of(study: Study, task: str) -> list[Curation]:
    """Returns the curations a study tries on a task, the natural draw first."""
    curations = [Curation("natural")]
    for kind in _SETTINGS:
        setting = getattr(study.curations, kind)
        if (kind == "pair_mix") != (task in study.pairs):
            continue
        if kind in _LEVELED:
            share = parse_prevalence(f"curations.{kind}.prevalence", setting.prevalence)
            curations += [Curation(kind, level=k, prevalence=share) for k in setting.levels]
        elif kind in _COUNTED:
            curations += [Curation(kind, k=k) for k in setting]
        else:
            curations += [Curation(kind)] * setting
    return curations
