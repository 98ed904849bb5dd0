"""Bases: what the settings of an initialisation may be, and which engine pretrains it."""

from typing import Protocol

from jaxbias.errors import echo, nearest, require
from jaxbias.study.rule import parse_curation
from jaxbias.study.specs import BaseSpec, PretrainSpec, Study

_CURATIONS = (
    "natural",
    "class_balanced",
    "group_balanced",
    "correlation",
    "first_group",
    "second_group",
)


def check_bases(study: Study) -> None:
    """Refuses bases that are wrong, or that the settings of pretraining do not fit.

    Raises:
      InputError: naming the setting.
    """
    for name, base in study.bases.items():
        _check_base(f"config.bases.{echo(name)}", base)
        if base.role in ("scratch", "imported"):
            continue
        reason = _loop_only(study.pretrain, base)
        require(
            study.pretrain.engine != "packed" or not reason,
            f"config.pretrain.engine='packed' cannot do config.{reason.format(name=name)}; "
            "set it to 'auto' or 'loop'",
        )
        require(
            base.objective != "simclr" or study.pretrain.accumulate == 1,
            f"config.pretrain.accumulate={study.pretrain.accumulate} would take the negatives of "
            f"base '{name}' (simclr) from a part of the batch; set it to 1",
        )


def _check_base(place: str, base: BaseSpec) -> None:
    kind = parse_curation(base.curation, f"{place}.curation").kind
    require(
        kind in _CURATIONS,
        f"{place}.curation='{echo(base.curation)}' is for finetuning; {nearest(kind, _CURATIONS)}",
    )
    require(
        (base.role in ("scratch", "imported")) == (not base.target),
        f"{place}: a scratch base has no target, an imported one neither, and every other base "
        "needs one" + (", whose cells its curation shapes" if base.objective == "simclr" else ""),
    )
    require(
        (base.role == "imported") == bool(base.weights),
        f"{place}: role={base.role}, weights='{echo(base.weights)}'; the role imported alone has "
        "weights, the directory that `jaxbias weights import` wrote",
    )
    require(
        not base.also or (bool(base.target) and base.objective == "supervised"),
        f"{place}.also={echo(base.also)} is learnt together with a target, by objective "
        "'supervised'",
    )
    require(
        base.target not in base.also and len(set(base.also)) == len(base.also),
        f"{place}: target and also name a column twice",
    )


class Learns(Protocol):
    """What `BaseSpec` and the bases made of it say of their learning."""

    @property
    def objective(self) -> str:
        """As of `BaseSpec`."""


def _loop_only(pretrain: PretrainSpec, base: Learns) -> str:
    """Returns which setting only the loop can do, "" where a packed program can do it all.

    >>> _loop_only(PretrainSpec(), BaseSpec(target="Male"))
    ''
    """
    if pretrain.accumulate > 1:
        return f"pretrain.accumulate={pretrain.accumulate}"
    return "" if base.objective == "supervised" else f"bases.{{name}}.objective={base.objective!r}"


def by_loop(study: Study, base: Learns) -> bool:
    """Returns whether a base is pretrained step by step, with checkpoints."""
    engine = study.pretrain.engine
    return engine == "loop" or (engine == "auto" and bool(_loop_only(study.pretrain, base)))
