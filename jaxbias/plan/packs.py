"""The plan: which variants are trained together, written once and only ever appended to."""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from jaxbias.errors import InputError
from jaxbias.files.content import checked_id, content_id
from jaxbias.plan.variants import Base, Maker, Recipe, Variant, base_id
from jaxbias.study import Curation, Study

# Plans of format 2 fixed devices, mode and store too, which are now of whoever takes a pack.
_FORMAT, _FIXED = 3, ("mode", "devices", "store", "data_devices")
# Members of a pack at most, on whatever devices it will run: devices are busy with fewer, and a
# pack is what an interruption costs. Heads are one product with the features.
_MOST_NETWORKS, _MOST_HEADS = 64, 1024


@dataclasses.dataclass(frozen=True)
class Pack:
    """Members that share static shapes, trained and scored together: the unit of work.

    Attributes:
      id: hash of the members' ids and the width.
      width: members after padding; packs of one width and signature share a program. Devices round
        it up to their number, or cut it into parts that they can hold.
      members: bases to pretrain, or variants to finetune.
    """

    id: str
    width: int
    members: tuple[Base, ...] | tuple[Variant, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """All packs of a study, whatever they will run on.

    Attributes:
      data: fingerprint of the dataset.
      bases: packs of the first stage.
      finetunes: packs of the last stage.
      rungs: packs of a search, between the two; rung after rung is appended as results allow.
    """

    data: str
    bases: tuple[Pack, ...] = ()
    finetunes: tuple[Pack, ...] = ()
    rungs: tuple[Pack, ...] = ()

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
            stored = content["format"]
            if stored not in (2, _FORMAT):
                raise ValueError(f"it is of format {stored!r:.20}, not {_FORMAT}")
            fixed = ("format", *(_FIXED if stored == 2 else ()))
            content = {name: value for name, value in content.items() if name not in fixed}
            content.setdefault("rungs", [])  # Later than the others.
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
    most: Callable[[Base | Variant], int],
    trials: Sequence[Variant] = (),
    bases: Sequence[Base] = (),
) -> Plan:
    """Appends packs for what the plan does not hold yet; existing packs stay as they are.

    Args:
      plan: the plan so far.
      variants: everything the study wants.
      signatures: per variant id and per base id, what must agree within a pack.
      most: how many members a pack may have that has such a one.
      trials: of a search, each as far as the end of a rung: a trial of three rungs comes thrice.
      bases: that later finetunes will start from; those of variants and trials are taken anyway.

    Returns:
      The longer plan.

    Raises:
      InputError: a base of the plan has other weights now, or a table other scores.
    """
    weights: dict[str, str] = {}
    for base in (v.base for v in (*plan.variants, *variants) if v.base.weights):
        if weights.setdefault(base.name, base.weights) != base.weights:
            raise InputError(
                f"config.bases.{base.name}: its weights are not those that the variants in this "
                "workdir started from; give the base another name"
            )
    tables: dict[str, str] = {}
    for curation in (v.curation for v in (*plan.variants, *variants) if v.curation.table):
        if tables.setdefault(curation.table, curation.digest) != curation.digest:
            raise InputError(
                f"config.curations.drop.tables.{curation.table}: its file is not the one that "
                "variants in this workdir were drawn by; give the table another name"
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

    used: dict[Any, set[int]] = {}
    for pack in plan.finetunes:
        # Of members that the study no longer wants, no signature is known.
        used.setdefault(signatures.get(pack.members[0].id), set()).add(pack.width)
    tried = {trial.id for pack in plan.rungs for trial in pack.members}
    new_trials = {trial.id: trial for trial in trials if trial.id not in tried}
    return dataclasses.replace(
        plan,
        bases=plan.bases + _packed(_grouped(new_bases, signatures), most, {}),
        finetunes=plan.finetunes + _packed(groups, most, used),
        rungs=plan.rungs + _packed(_grouped(new_trials.values(), signatures), most, {}, "rung"),
    )


def most_members(study: Study, member: Base | Variant) -> int:
    """Returns how many members a pack may have that has such a one; no device is asked."""
    if isinstance(member, Base):
        return 1  # It trains for longer, and is found again by what it is.
    if member.recipe.mode == "head":
        # Those of several outputs are as many columns of the product, and have as many scores.
        return _MOST_NETWORKS if member.task in study.several else _MOST_HEADS
    return study.grid.pack_width or _MOST_NETWORKS


def _grouped(members: Iterable[Any], signatures: dict[str, Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list] = {}
    for member in members:
        groups.setdefault(signatures[member.id], []).append(member)
    return groups


def _packed(
    groups: Mapping[Any, Sequence[Any]],
    most: Callable[[Base | Variant], int],
    used: Mapping[Any, Collection[int]],
    what: str = "",
) -> tuple[Pack, ...]:
    """Packs of groups of one signature each; a signature's used widths have programs already."""
    packs = []
    for signature, group in groups.items():
        width = _width(len(group), most(group[0]), used.get(signature, ()))
        even = -(-len(group) // -(-len(group) // width))
        for start in range(0, len(group), even):
            chosen = tuple(group[start : start + even])
            # A trial trained to a rung's end may also be a finetune: their packs are not the same.
            packs.append(Pack(_pack_id(width, [m.id for m in chosen], what), width, chosen))
    return tuple(packs)


def _pack_id(width: int, members: Sequence[str], what: str) -> str:
    return content_id([width, list(members), *([what] if what else [])])


def _width(members: int, most: int, used: Collection[int]) -> int:
    """Returns the width of the packs of a group.

    Equal packs waste the least padding and need one program. A width that has a program already
    saves another, which is worth as much padding as an eighth of the group.
    """
    places = {width: -(-members // width) * width for width in used if width <= most}
    best = min(places, key=lambda width: (places[width], -width), default=0)
    if best and places[best] - members <= members / 8:
        return best
    return -(-members // -(-members // most))


def _base(content: dict[str, Any]) -> Base:
    plain = {name: tuple(x) if isinstance(x, list) else x for name, x in content.items()}
    # Weights of imported bases were once told by their id alone.
    weights = content["id"] if content["role"] == "imported" else ""
    return Base(**{"weights": weights, **plain})


def _variant(content: dict[str, Any]) -> Variant:
    return Variant(
        **{
            **content,
            "base": _base(content["base"]),
            "curation": Curation(**content["curation"]),
            "recipe": Recipe(**content["recipe"]),
        }
    )
