"""The study: a validated, frozen description of everything that will be done.

Every default of every setting is written here and nowhere else. A config file starts from
`default_config()` and changes what it wants; `make_study` checks the result and freezes it.
"""

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxbias.errors import InputError

SPLITS = ("pretrain", "finetune", "validation", "test")
ROLES = ("studied", "control", "scratch")

# Names that an error lists; a table may have hundreds of columns.
_NAMED = 24

# setting, smallest and largest value. Beyond them nothing would be learnt, or nothing would fit.
_RANGES = (
    ("data.image_size", 1, 1024),
    ("data.seed", 0, 2**31 - 1),
    ("grid.devices", 0, 4096),
    ("answer.epsilon", 0, 1),
    ("answer.delta", 0, 1),
    ("answer.replicates", 2, 100_000),
    ("finetune.C", 1e-9, 1e9),
    ("finetune.tolerance", 1e-7, 1),  # Float32 gets no further.
    *(
        (f"{stage}.{field}", low, high)
        for stage in ("pretrain", "finetune")
        for field, low, high in (
            ("learning_rate", 0, 1e3),
            ("weight_decay", 0, 1e3),
            ("momentum", 0, 1),
            ("drop_at", 0, 1),
        )
    ),
)


_POSITIVE = (
    "pretrain.n",
    "pretrain.epochs",
    "pretrain.batch",
    "finetune.n",
    "finetune.seeds",
    "finetune.epochs",
    "finetune.batch",
    "model.widths",
    "curations.add_minority",
    "curations.replace_minority",
    "grid.pack_width",
    "grid.heads_mib",
)
_CHOICES = {
    "data.on_bad_image": ("error", "skip"),
    "curations.on_shortage": ("error", "shrink"),
    "finetune.mode": ("full", "head", "last_block"),
    "finetune.solver": ("sgd", "lbfgs"),
    "grid.mode": ("map", "vmap", "unroll"),
}


def _mapping(**items: Any) -> Any:
    return dataclasses.field(default_factory=lambda: dict(items))


@dataclasses.dataclass(frozen=True)
class FacesSpec:
    """Built-in synthetic faces: how many to render and from which joint distribution."""

    population: Mapping[str, int] = _mapping(
        pretrain=6000, finetune=4000, validation=2000, test=4000
    )
    # Rare (attribute, gender) cells are topped up to this many rendered images ...
    cell_minimum: Mapping[str, int] = _mapping(pretrain=600, finetune=600, validation=100, test=200)
    # ... for these attributes.
    strata: Mapping[str, tuple[str, ...]] = _mapping(
        pretrain=(), finetune=(), validation=(), test=()
    )
    # attribute -> size/contrast of its cue; 1 is the standard drawing.
    salience: Mapping[str, float] = _mapping()
    # attribute -> (P(attribute | female), P(attribute | male)); CelebA's where not given.
    frequencies: Mapping[str, tuple[float, float]] = _mapping()
    male_share: float = 0.419


@dataclasses.dataclass(frozen=True)
class DerivedSpec:
    """A binary column made from the values of another: positive, negative, the rest unknown."""

    column: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()  # Empty: every value that is not positive.


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """Where the images and labels come from and how they are split."""

    name: str = "faces"  # faces | fairface | folder
    path: str = ""
    image_size: int = 64  # Images are square, uint8[image_size, image_size, 3].
    seed: int = 0  # Rendering of synthetic images; assignment of examples to splits.
    table: str = "labels.csv"  # CSV or Parquet, relative to `path`.
    file_column: str = "file"
    split_column: str = ""  # Empty: every row is of the one source split "all".
    # source split -> our split -> share of its examples.
    splits: Mapping[str, Mapping[str, float]] = _mapping()
    derived: Mapping[str, DerivedSpec] = _mapping()
    on_bad_image: str = "error"  # error | skip (counted and reported)
    faces: FacesSpec = FacesSpec()


@dataclasses.dataclass(frozen=True)
class GroupSpec:
    """The sensitive attribute; gaps are first minus second."""

    column: str = "Male"
    values: tuple[str, ...] = ("0", "1")
    names: tuple[str, ...] = ("female", "male")


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """The network every base and every finetune uses."""

    name: str = "convnet"
    widths: tuple[int, ...] = (16, 32, 64)


@dataclasses.dataclass(frozen=True)
class BaseSpec:
    """An initialisation: pretrained here on `target`, or random for the role "scratch"."""

    role: str = "studied"  # studied | control | scratch
    target: str = ""
    curation: str = "group_balanced"  # natural | class_balanced | group_balanced


@dataclasses.dataclass(frozen=True)
class PretrainSpec:
    """Pretraining: one schedule for every base, so bases differ in their data alone."""

    n: int = 3000
    epochs: int = 12
    batch: int = 64
    learning_rate: float = 0.05
    weight_decay: float = 1e-4
    momentum: float = 0.9
    drop_at: float = 0.75  # Share of the steps after which the learning rate falls tenfold.


@dataclasses.dataclass(frozen=True)
class FinetuneSpec:
    """Finetuning: sizes, repeats and the schedule of every variant."""

    n: tuple[int, ...] = (512,)
    seeds: int = 3  # Repeats: each renews the pretraining of the bases and the draw.
    mode: str = "full"  # full | head | last_block: which parameters are trained
    epochs: int = 8
    batch: int = 64
    learning_rate: float = 0.02
    weight_decay: float = 1e-4
    momentum: float = 0.9
    drop_at: float = 0.75
    dro_step: float = 0.01  # How fast group DRO shifts weight to the cell with the largest loss.
    # In mode "head": sgd, by the schedule above; or lbfgs, logistic regression to convergence.
    solver: str = "sgd"
    C: float = 1.0  # Of lbfgs: inverse strength of the L2 penalty, as in scikit-learn.
    tolerance: float = 1e-4  # Of lbfgs: largest entry of the gradient of the mean loss at the end.


@dataclasses.dataclass(frozen=True)
class CorrelationSpec:
    """Correlation levels 0..10: 0 ties positives to the first group, 5 balances, 10 reverses."""

    levels: tuple[int, ...] = ()
    prevalence: str = "0.5"  # A share of positives, or "natural".


@dataclasses.dataclass(frozen=True)
class PairMixSpec:
    """Levels 0..10 of the second attribute's share among the positives of a pair."""

    levels: tuple[int, ...] = ()
    prevalence: str = "0.5"


@dataclasses.dataclass(frozen=True)
class CurationsSpec:
    """Which curations of the finetuning data are tried. The natural draw always is."""

    correlation: CorrelationSpec = CorrelationSpec()
    pair_mix: PairMixSpec = PairMixSpec()
    group_balanced: bool = False
    class_balanced: bool = False
    # Natural draws trained otherwise: loss weights, group DRO, last-layer refit on a balanced part.
    reweight: bool = False
    group_reweight: bool = False
    class_reweight: bool = False
    group_dro: bool = False
    dfr: bool = False
    add_minority: tuple[int, ...] = ()
    replace_minority: tuple[int, ...] = ()
    on_shortage: str = "error"  # error | shrink (reported)


@dataclasses.dataclass(frozen=True)
class EvaluationSpec:
    """An evaluation population, expressed as weights on the examples of a split."""

    level: int = -1  # Correlation level 0..10; -1: the natural correlation.
    prevalence: str = "natural"  # A share of positives, or "natural".


@dataclasses.dataclass(frozen=True)
class AnswerSpec:
    """The rules of the answer, fixed before the run."""

    population: str = "natural"  # Which of `evaluations` the verdicts use.
    epsilon: float = 0.05  # A signed FPR gap inside ±epsilon counts as no gap.
    delta: float = 0.03  # The AUC a fix may cost.
    confidence: float = 0.95
    replicates: int = 200  # Bootstrap replicates over test examples.


@dataclasses.dataclass(frozen=True)
class GridSpec:
    """How variants are laid out on the machine; recorded in the plan."""

    mode: str = "map"  # map | vmap | unroll
    pack_width: int = 8  # Finetunes per pack: what an interruption costs at most.
    heads_mib: int = 512  # Memory of a pack of heads (mode "head"), which holds at most 1,024.
    devices: int = 0  # 0: every accelerator, or one virtual CPU device per core.


@dataclasses.dataclass(frozen=True)
class Study:
    """Everything that will be done. Built by `make_study` alone."""

    name: str = "study"
    data: DataSpec = DataSpec()
    group: GroupSpec = GroupSpec()
    targets: tuple[str, ...] = ()  # Binary columns to finetune for.
    pairs: tuple[str, ...] = ()  # "A|B": positive is A or B, for underrepresentation.
    bases: Mapping[str, BaseSpec] = _mapping()
    model: ModelSpec = ModelSpec()
    pretrain: PretrainSpec = PretrainSpec()
    finetune: FinetuneSpec = FinetuneSpec()
    curations: CurationsSpec = CurationsSpec()
    evaluations: Mapping[str, EvaluationSpec] = dataclasses.field(
        default_factory=lambda: {"natural": EvaluationSpec()}
    )
    answer: AnswerSpec = AnswerSpec()
    grid: GridSpec = GridSpec()
    # name -> points, made with `jaxbias.sweep`; what a point leaves out takes all the values above.
    # Empty: the whole grid of the settings above.
    experiments: Mapping[str, tuple[Mapping[str, Any], ...]] = _mapping()


def default_config() -> ConfigDict:
    """Returns every setting with its default, to be changed by a config file.

    >>> default_config().finetune.n
    (512,)
    """
    config = _to_config(Study()).lock()
    for mapping in (config.bases, config.evaluations, config.experiments):
        mapping.unlock()  # Their keys are the config file's own names.
    for mapping in (config.data.splits, config.data.derived):
        mapping.unlock()
    for mapping in ("strata", "salience", "frequencies"):
        config.data.faces[mapping].unlock()
    return config


def make_study(config: Mapping[str, Any] | ConfigDict) -> Study:
    """Validates a config and freezes it.

    Args:
      config: nested settings; what is absent takes its default.

    Returns:
      The study.

    Raises:
      InputError: an unknown field (with the nearest valid one), a value of the wrong type or
        out of range, or settings that contradict one another.

    >>> make_study({"targets": ("Smiling",), "bases": {"Scratch": {"role": "scratch"}}}).finetune.n
    (512,)
    """
    if isinstance(config, ConfigDict):
        config = config.to_dict()
    experiments: Any = {}
    if isinstance(config, Mapping):
        experiments = config.get("experiments", {})
        config = {name: value for name, value in config.items() if name != "experiments"}
    study = _build(Study, config, path="")
    _validate(study)
    if experiments == {}:
        return study
    from jaxbias import sweep  # Whose points are made of the settings of this module.

    checked = sweep.check(experiments, study)
    return dataclasses.replace(study, experiments=types.MappingProxyType(checked))


def to_dict(spec: Any) -> Any:
    """Returns a spec as plain JSON-able values (tuples become lists)."""
    if dataclasses.is_dataclass(spec):
        return {f.name: to_dict(getattr(spec, f.name)) for f in dataclasses.fields(spec)}
    if isinstance(spec, Mapping):
        return {key: to_dict(value) for key, value in sorted(spec.items())}
    if isinstance(spec, tuple | list):
        return [to_dict(value) for value in spec]
    return spec


def nearest(name: str, valid: typing.Iterable[str]) -> str:
    """Returns "did you mean 'x'?", or the list of what is valid when nothing is near.

    >>> nearest("epoch", ["epochs", "batch"])
    "did you mean 'epochs'?"
    """
    valid = sorted(valid)
    close = difflib.get_close_matches(name, valid, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(valid) - _NAMED} more" if len(valid) > _NAMED else ""
    return f"valid: {', '.join(valid[:_NAMED]) or 'none'}{more}"


def _to_config(spec: Any) -> Any:
    if dataclasses.is_dataclass(spec):
        return ConfigDict(
            {f.name: _to_config(getattr(spec, f.name)) for f in dataclasses.fields(spec)}
        )
    if isinstance(spec, Mapping):
        return ConfigDict({key: _to_config(value) for key, value in spec.items()})
    return spec


def _build(kind: Any, value: Any, path: str) -> Any:
    """Checks `value` against the type `kind`; `path` names the field in errors."""
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            place = f"config.{path}" if path else "config"
            raise InputError(f"{place} must be a group of settings, got {value!r}")
        fields = {f.name: f for f in dataclasses.fields(kind)}
        hints = typing.get_type_hints(kind)
        dotted = f"{path}." if path else ""
        for name in value:
            if name not in fields:
                raise InputError(f"config.{dotted}{name}: no such field; {nearest(name, fields)}")
        return kind(**{n: _build(hints[n], v, f"{dotted}{n}") for n, v in value.items()})
    origin = typing.get_origin(kind)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise InputError(f"config.{path} must map names to values, got {value!r}")
        item = typing.get_args(kind)[1]
        built = {str(k): _build(item, v, f"{path}.{k}") for k, v in value.items()}
        return types.MappingProxyType(dict(sorted(built.items())))
    if origin is tuple:
        if not isinstance(value, tuple | list):
            value = (value,)
        item = typing.get_args(kind)[0]
        return tuple(_build(item, v, f"{path}[{i}]") for i, v in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"config.{path} must be {kind.__name__}, got {value!r}")
    return value


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _choice(path: str, value: str, valid: tuple[str, ...]) -> None:
    _require(value in valid, f"config.{path}='{value}' is unknown; {nearest(value, valid)}")


def parse_prevalence(path: str, text: str) -> float | None:
    """Returns a share strictly between 0 and 1, or None for "natural".

    >>> parse_prevalence("x", "0.5")
    0.5
    """
    if text == "natural":
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    _require(0 < share < 1, f"config.{path}='{text}' must be 'natural' or a share between 0 and 1")
    return share


def _validate(study: Study) -> None:
    _validate_values(study)
    fine = study.finetune
    refuse_solver(fine.mode, fine.solver, study.curations.group_dro, "")
    for source, shares in study.data.splits.items():
        for split, share in shares.items():
            _choice(f"data.splits.{source}", split, SPLITS)
            _require(
                0 < share <= 1, f"config.data.splits.{source}.{split}={share} must be in (0, 1]"
            )
        total = sum(shares.values())
        _require(total < 1 + 1e-9, f"config.data.splits.{source} adds up to {total:g}, more than 1")
    for name in ("population", "cell_minimum", "strata"):
        for split in getattr(study.data.faces, name):
            _choice(f"data.faces.{name}", split, SPLITS)

    _require(
        bool(study.targets or study.pairs),
        "config.targets and config.pairs are both empty: name what to finetune for",
    )
    for pair in study.pairs:
        _require(
            len(pair.split("|")) == 2 and all(pair.split("|")),
            f"config.pairs entry '{pair}' must be two columns joined by '|', such as 'child|older'",
        )
    for field in ("values", "names"):
        _require(
            len(set(getattr(study.group, field))) == 2,
            f"config.group.{field}={getattr(study.group, field)} must be two different values",
        )
    _require(bool(study.bases), "config.bases is empty: add at least one, such as a scratch base")
    for name, base in study.bases.items():
        _choice(f"bases.{name}.role", base.role, ROLES)
        _choice(
            f"bases.{name}.curation", base.curation, ("natural", "class_balanced", "group_balanced")
        )
        _require(
            (base.role == "scratch") == (not base.target),
            f"config.bases.{name}: a scratch base has no target and every other base needs one",
        )

    _require(bool(study.finetune.n), "config.finetune.n is empty")
    _require(bool(study.model.widths), "config.model.widths is empty")
    _refuse_twice(study)
    for name in ("correlation", "pair_mix"):
        spec = getattr(study.curations, name)
        parse_prevalence(f"curations.{name}.prevalence", spec.prevalence)
        for level in spec.levels:
            _require(0 <= level <= 10, f"config.curations.{name}.levels: {level} is not in 0..10")
    for name, evaluation in study.evaluations.items():
        parse_prevalence(f"evaluations.{name}.prevalence", evaluation.prevalence)
        _require(
            -1 <= evaluation.level <= 10,
            f"config.evaluations.{name}.level={evaluation.level}"
            " must be 0..10, or -1 for the natural correlation",
        )
    _choice("answer.population", study.answer.population, tuple(study.evaluations))
    _require(
        0.5 < study.answer.confidence < 1,
        f"config.answer.confidence={study.answer.confidence} must be between 0.5 and 1",
    )


def _validate_values(study: Study) -> None:
    """Checks every setting whose value is right or wrong by itself."""
    for path in dict.fromkeys((*_CHOICES, *_POSITIVE, *(name for name, _, _ in _RANGES))):
        value = _setting(study, path)
        for i, item in enumerate(value) if isinstance(value, tuple) else ((None, value),):
            refuse_value(path, item, f"config.{path}" if i is None else f"config.{path}[{i}]")


def refuse_value(path: str, value: Any, place: str) -> None:
    """Refuses a value that a setting may not have.

    Args:
      path: the setting, such as "finetune.epochs".
      value: of the right type.
      place: what the error calls it.

    Raises:
      InputError: an unknown choice, or a number out of range.

    >>> refuse_value("finetune.epochs", 3, "epochs")
    """
    if path in _CHOICES:
        valid = _CHOICES[path]
        _require(value in valid, f"{place}='{value}' is unknown; {nearest(value, valid)}")
    _require(path not in _POSITIVE or value > 0, f"{place}={value} must be positive")
    for name, low, high in _RANGES:
        # A NaN is in no range.
        inside = name != path or low <= value <= high
        _require(inside, f"{place}={value} must be in {low:g}..{high:g}")


def refuse_solver(mode: str, solver: str, group_dro: bool, place: str) -> None:
    """Refuses to fit to convergence what is no head, or what has no fixed loss.

    Raises:
      InputError: beginning with `place`.
    """
    if solver != "lbfgs":
        return
    _require(
        mode == "head",
        f"{place}config.finetune.solver='lbfgs' fits heads alone, but config.finetune.mode="
        f"'{mode}'; set it to 'head'",
    )
    _require(
        not group_dro,
        f"{place}config.curations.group_dro shifts weights between steps of SGD and cannot be "
        "fitted with config.finetune.solver='lbfgs'; use 'sgd' or leave it out",
    )


def _refuse_twice(study: Study) -> None:
    """A variant that is listed twice would count as two repeats."""
    for path in (
        "targets",
        "pairs",
        "finetune.n",
        "curations.correlation.levels",
        "curations.pair_mix.levels",
        "curations.add_minority",
        "curations.replace_minority",
    ):
        values = _setting(study, path)
        twice = [value for i, value in enumerate(values) if value in values[:i]]
        _require(not twice, f"config.{path} has {twice[0] if twice else ''} twice")


def _setting(study: Study, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), study)
