"""Bases: what the settings of an initialisation may be, and which engine pretrains it."""

from typing import Protocol

from jaxbias.errors import echo, nearest, require
from jaxbias.study.rule import parse_curation
from jaxbias.study.specs import BaseSpec, PretrainSpec, Study

_CURATIONS = ("natural", "class_balanced", "group_balanced", "correlation")


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
    has_weights = bool(base.weights)
    require(
        has_weights or base.role != "imported",
        f"{place}: role=imported needs weights, the directory that `jaxbias weights import` wrote",
    )
    require(
        not has_weights or base.role != "scratch",
        f"{place}: role=scratch, weights='{echo(base.weights)}'; a scratch base has no weights",
    )
    require(
        base.trained == "full" or (has_weights and bool(base.target)),
        f"{place}.trained='{base.trained}' is of pretraining that continues from weights: give it "
        "weights and a target, or leave it out",
    )
    require(
        base.trained == "full" or base.objective == "supervised",
        f"{place}: objective='{base.objective}' contrasts views of images, of which a frozen "
        f"trunk's activations are not stored; trained='{base.trained}' needs 'supervised'",
    )
    require(
        not base.also or (bool(base.target) and base.objective == "supervised"),
        f"{place}.also={echo(base.also)} is learnt together with a target, by objective "
        "'supervised'",
    )
    require(
        not base.soft or (bool(base.target) and base.objective == "supervised"),
        f"{place}.soft is of a target that is learnt by objective 'supervised'",
    )
    require(
        not base.without or bool(base.target),
        f"{place}.without={echo(base.without)}: nothing is pretrained here that could leave it out",
    )
    for text in base.without:
        excluded(text, f"{place}.without")
    require(len(set(base.without)) == len(base.without), f"{place}.without names a value twice")
    require(
        base.target not in base.also and len(set(base.also)) == len(base.also),
        f"{place}: target and also name a column twice",
    )


def excluded(text: str, place: str) -> tuple[str, str]:
    """Returns the column and the value of one entry of `BaseSpec.without`.

    Raises:
      InputError: beginning with `place`; it is not written so.

    >>> excluded("race=Black", "")
    ('race', 'Black')
    """
    column, _, value = text.partition("=")
    require(
        bool(column and value),
        f"{place} has '{echo(text)}'; write who is left out as 'column=value', such as 'Male=1'",
    )
    return column, value


class Learns(Protocol):
    """What `BaseSpec` and the bases made of it say of their learning."""

    @property
    def objective(self) -> str:
        """As of `BaseSpec`."""

    @property
    def target(self) -> str:
        """As of `BaseSpec`."""

    @property
    def also(self) -> tuple[str, ...]:
        """Columns learnt together with the target."""

    @property
    def soft(self) -> bool:
        """Whether their probabilities are learnt."""

    @property
    def without(self) -> tuple[str, ...]:
        """Who is left out."""

    @property
    def weights(self) -> str:
        """What its pretraining goes on from; "": from nothing."""

    @property
    def trained(self) -> str:
        """As of `BaseSpec`."""


def described(base: Learns) -> str:
    """Returns what a base learns, in words.

    >>> described(BaseSpec(target="Smiling", also=("Bangs",), soft=True, without=("Male=1",)))
    'probabilities of Smiling and Bangs, leaving out Male=1'
    >>> described(BaseSpec(target="Male", weights="DIR", trained="last_block"))
    'Male, going on from imported weights, last block alone'
    """
    text = f"SimCLR, without labels, of images drawn by {base.target}"
    if base.objective == "supervised":
        text = ("probabilities of " if base.soft else "") + " and ".join((base.target, *base.also))
    if base.weights:
        alone = ", last block alone" if base.trained == "last_block" else ""
        text += f", going on from imported weights{alone}"
    return text + (f", leaving out {' and '.join(base.without)}" if base.without else "")


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
