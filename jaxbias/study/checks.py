"""Checks: what the settings of a study may be, by themselves and together."""

import functools
from typing import Any

from jaxbias.errors import InputError, nearest
from jaxbias.study.bases import check_bases
from jaxbias.study.rule import parse_prevalence
from jaxbias.study.search import check_search
from jaxbias.study.specs import SPLITS, Study

# setting, smallest and largest value. Beyond them nothing would be learnt, or nothing would fit.
_RANGES = (
    ("data.image_size", 1, 1024),
    ("data.seed", 0, 2**31 - 1),
    ("grid.devices", 0, 4096),
    ("grid.data_devices", 1, 4096),
    ("grid.pack_width", 0, 2**16),
    ("grid.memory_mib", 0, 2**24),
    ("answer.epsilon", 0, 1),
    ("answer.delta", 0, 1),
    ("answer.replicates", 2, 100_000),
    *(
        (f"{stage}.{field}", low, high)
        for stage in ("finetune", "screen")
        # With a smaller tolerance float32 gets no further.
        for field, low, high in (("C", 1e-9, 1e9), ("tolerance", 1e-7, 1))
    ),
    ("search.learning_rates", 0, 1e3),
    ("search.weight_decays", 0, 1e3),
    ("search.eta", 1.1, 100),
    ("search.keep", 0, 1),
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
    ("pretrain.warmup", 0, 1),
    ("pretrain.temperature", 1e-3, 1e3),
    ("pretrain.save_every", 0, 2**31 - 1),
)


_POSITIVE = (
    "pretrain.n",
    "pretrain.epochs",
    "pretrain.batch",
    "pretrain.projection",
    "pretrain.accumulate",
    "pretrain.keep",
    "finetune.n",
    "finetune.seeds",
    "finetune.epochs",
    "finetune.batch",
    "search.repeats",
    "search.first_epochs",
    "search.max_epochs",
    "model.widths",
    "curations.add_minority",
    "curations.replace_minority",
)
_CHOICES = {
    "data.on_bad_image": ("error", "skip"),
    "data.damaged_labels": ("error", "repair"),
    "curations.on_shortage": ("error", "shrink"),
    "finetune.mode": ("full", "head", "last_block"),
    "finetune.solver": ("sgd", "lbfgs"),
    "screen.solver": ("sgd", "lbfgs"),
    "search.criterion": ("val_loss", "val_auc", "val_worst_group", "val_gap_constrained"),
    "model.stem": ("imagenet", "small"),
    "model.compute_dtype": ("float32", "bfloat16", "auto"),
    "model.convolution": ("auto", "patches", "conv", "by_image"),
    "pretrain.engine": ("auto", "packed", "loop"),
    "pretrain.optimizer": ("sgd", "adamw"),
    "pretrain.schedule": ("step", "cosine"),
    "pretrain.lift": ("shard_map", "jit", "pmap"),
    "grid.store": ("auto", "device", "host"),
    "grid.mode": ("auto", "map", "vmap", "unroll"),
}


def check_study(study: Study) -> None:
    """Refuses settings that are wrong, or that contradict one another.

    Raises:
      InputError: naming the setting.
    """
    _validate_values(study)
    fine = study.finetune
    refuse_solver(fine.mode, fine.solver, study.curations.group_dro, "")
    if study.screen.on:
        _require(
            not study.search.on,
            "config.screen.on and config.search choose what to train by results of their own; run "
            "the search first, put its choice into config.finetune and screen in a new workdir",
        )
        _require(
            fine.mode != "head",
            "config.screen.on confirms in another mode what it screened as heads, but "
            "config.finetune.mode='head'; set that to 'full' or 'last_block', or screen.on=False",
        )
        refuse_solver("head", study.screen.solver, study.curations.group_dro, "", "screen")
    parts = study.grid.data_devices
    for path, count in (
        ("pretrain.batch", study.pretrain.batch),
        ("finetune.batch", fine.batch),
        ("grid.devices", study.grid.devices),
    ):
        _require(
            count % parts == 0,
            f"config.grid.data_devices={parts} must divide config.{path}={count}",
        )
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
    check_bases(study)
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
    check_search(study)
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


def refuse_solver(
    mode: str, solver: str, group_dro: bool, place: str, group: str = "finetune"
) -> None:
    """Refuses to fit to convergence what is no head, or what has no fixed loss.

    Args:
      mode: which parameters are trained.
      solver: how.
      group_dro: whether weights shift between steps.
      place: what the error begins with.
      group: the settings that the solver is of.

    Raises:
      InputError: the solver fits no such thing.
    """
    if solver != "lbfgs":
        return
    _require(
        mode == "head",
        f"{place}config.{group}.solver='lbfgs' fits heads alone, but config.finetune.mode="
        f"'{mode}'; set it to 'head'",
    )
    _require(
        not group_dro,
        f"{place}config.curations.group_dro shifts weights between steps of SGD and cannot be "
        f"fitted with config.{group}.solver='lbfgs'; use 'sgd' or leave it out",
    )


def _refuse_twice(study: Study) -> None:
    """A variant that is listed twice would count as two repeats."""
    for path in (
        "targets",
        "pairs",
        "finetune.n",
        "search.learning_rates",
        "search.weight_decays",
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


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _choice(path: str, value: str, valid: tuple[str, ...]) -> None:
    _require(value in valid, f"config.{path}='{value}' is unknown; {nearest(value, valid)}")
