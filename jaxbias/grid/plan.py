"""The plan: which variants are trained together, written once and only ever appended to."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxbias.errors import InputError
from jaxbias.grid.variants import Base, Recipe, Variant, content_id
from jaxbias.study import Curation

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
      bases: packs of the first stage.
      finetunes: packs of the second stage.
    """

    data: str
    mode: str
    devices: int
    bases: tuple[Pack, ...] = ()
    finetunes: tuple[Pack, ...] = ()

    @property
    def variants(self) -> list[Variant]:
        """Every planned finetuning."""
        return [member for pack in self.finetunes for member in pack.members]

    def packs(self, stage: str) -> tuple[Pack, ...]:
        """The packs of stage "pretrain" or "finetune"."""
        return {"pretrain": self.bases, "finetune": self.finetunes}[stage]

    def to_json(self) -> str:
        """Returns the plan as JSON text."""
        content = {"format": _FORMAT, **dataclasses.asdict(self)}
        return json.dumps(content, indent=1)

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Reads a plan back.

        Raises:
          InputError: the file is no plan, or of another format.
        """
        try:
            content = json.loads(path.read_text())
            if content.pop("format") != _FORMAT:
                raise InputError(f"{path} is of another format; use a new workdir")
            for stage, member in (("bases", _base), ("finetunes", _variant)):
                content[stage] = tuple(
                    Pack(pack["id"], pack["width"], tuple(map(member, pack["members"])))
                    for pack in content[stage]
                )
            return cls(**content)
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not a plan ({error!r}); use a new workdir") from error


def extend_plan(
    plan: Plan,
    variants: Sequence[Variant],
    signatures: dict[str, Any],
    width: int,
    heads_width: int | None = None,
) -> Plan:
    """Appends packs for what the plan does not hold yet; existing packs stay as they are.

    Args:
      plan: the plan so far.
      variants: everything the study wants.
      signatures: per variant id and per base id, what must agree within a pack.
      width: largest number of finetunes of a pack. Packs of bases, which train for longer, are
        as small as the devices allow.
      heads_width: largest number of heads of a pack; None: as any finetunes.

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
    bases = {v.base.id: v.base for v in variants if v.base.trained_here}
    new_bases = [base for base in bases.values() if base.id not in have]
    new_variants = [variant for variant in variants if variant.id not in have]
    heads = [variant for variant in new_variants if variant.recipe.mode == "head"]
    # Base by base, so that a base's features are read once.
    order = {id: place for place, id in enumerate(dict.fromkeys(v.base.id for v in heads))}
    heads.sort(key=lambda variant: order[variant.base.id])
    others = [variant for variant in new_variants if variant.recipe.mode != "head"]
    return dataclasses.replace(
        plan,
        bases=plan.bases + _pack(new_bases, signatures, plan.devices, plan.devices),
        finetunes=plan.finetunes
        + _pack(others, signatures, width, plan.devices)
        + _pack(heads, signatures, heads_width or width, plan.devices),
    )


def _pack(
    members: Sequence[Any], signatures: dict[str, Any], width: int, devices: int
) -> tuple[Pack, ...]:
    by_signature: dict[Any, list] = {}
    for member in members:
        by_signature.setdefault(signatures[member.id], []).append(member)
    packs = []
    for group in by_signature.values():
        # Equal packs waste the least padding and need one program.
        count = -(-len(group) // width)
        even = -(-len(group) // count)
        padded = -(-even // devices) * devices
        for start in range(0, len(group), even):
            chosen = tuple(group[start : start + even])
            packs.append(Pack(content_id([padded, [m.id for m in chosen]]), padded, chosen))
    return tuple(packs)


def _base(content: dict[str, Any]) -> Base:
    return Base(**content)


def _variant(content: dict[str, Any]) -> Variant:
    return Variant(
        **{
            **content,
            "base": _base(content["base"]),
            "curation": Curation(**content["curation"]),
            "recipe": Recipe(**content["recipe"]),
        }
    )
