"""From a config to a study: typed, checked, frozen."""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxbias.study.checks import check_study
from jaxbias.study.experiments import check_experiments, refuse_too_many
from jaxbias.study.specs import ScreenSpec, Study
from jaxbias.values import build


def default_config() -> ConfigDict:
    """Returns every setting with its default, to be changed by a config file.

    >>> default_config().finetune.n
    (512,)
    """
    config = to_config(Study()).lock()
    named = (config.bases, config.groupings, config.labels, config.evaluations, config.experiments)
    for mapping in named:
        mapping.unlock()  # Their keys are the config file's own names.
    config.curations.drop.tables.unlock()
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
    study = build(Study, config, "config")
    check_study(study)
    if experiments != {}:
        checked = check_experiments(experiments, study)
        study = dataclasses.replace(study, experiments=types.MappingProxyType(checked))
    refuse_too_many(study)
    return study


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


def to_config(spec: Any) -> Any:
    """Returns a group of settings as config files change it."""
    if dataclasses.is_dataclass(spec):
        return ConfigDict(
            {f.name: to_config(getattr(spec, f.name)) for f in dataclasses.fields(spec)}
        )
    if isinstance(spec, Mapping):
        return ConfigDict({key: to_config(value) for key, value in spec.items()})
    return spec
