"""The plan: which variants are trained together, written once and only ever appended to."""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from jaxbias.errors import InputError
from jaxbias.files.content import checked_id, content_id
from jaxbias.plan.variants import Base, Maker, Recipe, Variant, base_id
from jaxbias.study import Curation, Study

_FORMAT = 2


@dataclasses.dataclass(frozen=True)
class Pack:
    """Members that share static shapes, trained and scored in one compiled program.

    Attributes:
      id: hash of the members' ids and the width.
      width: members after padding; packs of one width and signature share a program.
      members: bases to pretrain, or variants to finetune.
    """

    id: str
    width: int
    members: tuple[Base, ...] | tuple[Variant, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """All packs of a study and the layout that fixes their bits.

    Attributes:
      data: fingerprint of the dataset.
      mode: how variants are mapped on a device.
      devices: over how many devices packs are split.
      store: where the images are during training, "device" or "host".
      bases: packs of the first stage.
      finetunes: packs of the last stage.
      rungs: packs of a search, between the two; rung after rung is appended as results allow.
    """

    data: str
    mode: str
    devices: int
    bases: tuple[Pack, ...] = ()
    finetunes: tuple[Pack, ...] = ()
    rungs: tuple[Pack, ...] = ()
    store: str = "device"

    @property
    def variants(self) -> list[Variant]:
        """Every planned finetuning."""
        return [member for pack in self.finetunes for member in pack.members]

    def packs(self, stage: str) -> tuple[Pack, ...]:
        """The packs of stage "pretrain", "search" or "finetune"."""
        return {"pretrain": self.bases, "search": self.rungs, "finetune": self.finetunes}[stage]

    @property
    def every_base(self) -> dict[Base, None]:
        """Every base, pretrained or not, once."""
        members = (member for pack in (*self.finetunes, *self.rungs) for member in pack.members)
        bases = (base for pack in self.bases for base in pack.members)
        return dict.fromkeys(itertools.chain(bases, (member.base for member in members)))

    @property
    def content(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        return {"format": _FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Plan":
        """Returns the plan of such content; ids of packs are computed again.

        Raises:
          ValueError: it is no plan, or an id is not that of its content.
        """
        try:
            if content["format"] != _FORMAT:
                raise ValueError(f"it is of format {content['format']!r:.20}, not {_FORMAT}")
            content = {**content, "rungs": content.get("rungs", [])}  # Later than the others.
            del content["format"]
            if content.pop("data_devices", 1) != 1:  # Of earlier versions.
                raise ValueError("its devices share variants out, which no version does any more")
            for stage, member in (("bases", _base), ("finetunes", _variant), ("rungs", _variant)):
                content[stage] = tuple(
                    Pack(pack["id"], pack["width"], tuple(map(member, pack["members"])))
                    for pack in content[stage]
                )
            plan = cls(**content)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no plan: {error!r}") from error
        for stage, packs in (("", plan.bases), ("", plan.finetunes), ("rung", plan.rungs)):
            for pack in packs:
                ids = [checked_id(member.id) for member in pack.members]
                if pack.id != _pack_id(pack.width, ids, stage) or not ids:
                    raise ValueError(f"pack {pack.id!r:.60} has not the id of its content")
        if type(plan.devices) is not int or plan.devices < 1:
            raise ValueError(f"it is for {plan.devices} devices")
        return plan

    def check_members(self, study: Study) -> None:
        """Computes the ids of all members again from what they are.

        Args:
          study: that the plan belongs to, whatever it has grown by.

        Raises:
          ValueError: an id is not that of its content.
        """
        for base in self.every_base:
            # Imported weights lie elsewhere; they are compared when the plan is extended.
            if base.role == "imported":
                checked_id(base.id)
            elif base.id != base_id(study, self.data, base):
                raise ValueError(f"base {base.name!r:.60} has not the id of its content")
        # What becomes of shortages may have been set otherwise when members were planned.
        curations = (
            dataclasses.replace(study.curations, on_shortage=word)
            for word in sorted(("error", "shrink"), key=study.curations.on_shortage.__ne__)
        )
        makers = [Maker(dataclasses.replace(study, curations=c), self.data) for c in curations]
        for pack in (*self.finetunes, *self.rungs):
            for variant in pack.members:
                made = (maker.remake(variant) for maker in makers)
                if not any(variant.id == other.id for other in made):
                    raise ValueError(f"variant {variant.id} has not the id of its content")


def extend_plan(
    plan: Plan,
    variants: Sequence[Variant],
    signatures: dict[str, Any],
    width: int | Callable[[Sequence[Sequence[Variant]]], Sequence[int]],
    trials: Sequence[Variant] = (),
    bases: Sequence[Base] = (),
) -> Plan:
    """Appends packs for what the plan does not hold yet; existing packs stay as they are.

    Args:
      plan: the plan so far.
      variants: everything the study wants.
      signatures: per variant id and per base id, what must agree within a pack.
      width: largest number of finetunes of a pack, or what tells it of each group of one
        signature. Packs of bases, which train for longer, are as small as the devices allow.
      trials: of a search, each as far as the end of a rung: a trial of three rungs comes thrice.
      bases: that later finetunes will start from; those of variants and trials are taken anyway.

    Returns:
      The longer plan.

    Raises:
      InputError: an imported base of the plan has other weights now.
    """
    weights: dict[str, str] = {}
    for base in (v.base for v in (*plan.variants, *variants) if v.base.role == "imported"):
        if weights.setdefault(base.name, base.id) != base.id:
            raise InputError(
                f"config.bases.{base.name}: its weights are not those that the variants in this "
                "workdir started from; give the base another name"
            )
    have = {member.id for pack in (*plan.bases, *plan.finetunes) for member in pack.members}
    starts = {base.id: base for base in (*bases, *(v.base for v in (*trials, *variants)))}
    new_bases = [b for b in starts.values() if b.trained_here and b.id not in have]
    new_variants = [variant for variant in variants if variant.id not in have]
    heads = [variant for variant in new_variants if variant.recipe.mode == "head"]
    # Base by base, so that a base's features are read once.
    order = {id: place for place, id in enumerate(dict.fromkeys(v.base.id for v in heads))}
    heads.sort(key=lambda variant: order[variant.base.id])
    others = [variant for variant in new_variants if variant.recipe.mode != "head"]
    groups = _grouped([*others, *heads], signatures)

    def packed(
        groups: Mapping[Any, list[Variant]], used: Mapping[Any, set[int]], what: str = ""
    ) -> tuple[Pack, ...]:
        widths = width(list(groups.values())) if callable(width) else [width] * len(groups)
        packs = [
            _pack(group, most, plan.devices, used.get(signature, ()), what)
            for (signature, group), most in zip(groups.items(), widths, strict=True)
        ]
        return sum(packs, ())

    base_groups, unit = _grouped(new_bases, signatures), plan.devices
    used: dict[Any, set[int]] = {}
    for pack in plan.finetunes:
        # Of members that the study no longer wants, no signature is known.
        used.setdefault(signatures.get(pack.members[0].id), set()).add(pack.width)
    tried = {trial.id for pack in plan.rungs for trial in pack.members}
    new_trials = {trial.id: trial for trial in trials if trial.id not in tried}
    return dataclasses.replace(
        plan,
        bases=plan.bases + sum((_pack(g, unit, unit) for g in base_groups.values()), ()),
        finetunes=plan.finetunes + packed(groups, used),
        rungs=plan.rungs + packed(_grouped(new_trials.values(), signatures), {}, "rung"),
    )


def _grouped(members: Iterable[Any], signatures: dict[str, Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list] = {}
    for member in members:
        groups.setdefault(signatures[member.id], []).append(member)
    return groups


def _pack(
    group: Sequence[Any],
    width: int,
    unit: int,
    used: Collection[int] = (),
    what: str = "",
) -> tuple[Pack, ...]:
    padded = _padded(len(group), width, unit, used)
    even = -(-len(group) // -(-len(group) // padded))
    packs = []
    for start in range(0, len(group), even):
        chosen = tuple(group[start : start + even])
        # A trial trained to a rung's end may also be a finetune: their packs are not the same.
        packs.append(Pack(_pack_id(padded, [m.id for m in chosen], what), padded, chosen))
    return tuple(packs)


def _pack_id(width: int, members: Sequence[str], what: str) -> str:
    return content_id([width, list(members), *([what] if what else [])])


def _padded(members: int, width: int, unit: int, used: Collection[int]) -> int:
    """Returns the padded width of the packs of a group.

    Equal packs waste the least padding and need one program. A width that has a program already
    saves another, which is worth as much padding as an eighth of the group.
    """
    count = -(-members // width)
    even = -(-members // count)
    most = -(-width // unit) * unit
    places = {padded: -(-members // padded) * padded for padded in used if padded <= most}
    best = min(places, key=lambda padded: (places[padded], -padded), default=0)
    if best and places[best] - members <= members / 8:
        return best
    return -(-even // unit) * unit


def _base(content: dict[str, Any]) -> Base:
    return Base(**{**content, "also": tuple(content.get("also", ()))})


def _variant(content: dict[str, Any]) -> Variant:
    return Variant(
        **{
            **content,
            "base": _base(content["base"]),
            "curation": Curation(**content["curation"]),
            "recipe": Recipe(**content["recipe"]),
        }
    )
