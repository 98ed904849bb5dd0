"""From a config to a study: typed, checked, frozen."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxbias.errors import InputError, nearest
from jaxbias.study.checks import check_study
from jaxbias.study.experiments import check_experiments
from jaxbias.study.specs import ScreenSpec, Study


def default_config() -> ConfigDict:
    """Returns every setting with its default, to be changed by a config file.

    >>> default_config().finetune.n
    (512,)
    """
    config = _to_config(Study()).lock()
    for mapping in (config.bases, config.evaluations, config.experiments):
        mapping.unlock()  # Their keys are the config file's own names.
    for name in ("splits", "derived", "columns", "base_rates", "sources"):
        config.data[name].unlock()
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
    check_study(study)
    if experiments == {}:
        return study
    checked = check_experiments(experiments, study)
    return dataclasses.replace(study, experiments=types.MappingProxyType(checked))


def in_head_mode(study: Study) -> Study:
    """Returns what a screened study does first: all of it as heads, by the screen's solver."""
    screen = study.screen
    heads = dataclasses.replace(
        study.finetune,
        mode="head",
        solver=screen.solver,
        C=screen.C,
        tolerance=screen.tolerance,
    )
    return dataclasses.replace(study, finetune=heads, screen=ScreenSpec())


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
