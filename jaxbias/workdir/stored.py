"""study.json: what a result directory belongs to, what of it may grow, and what is refused."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pandas as pd

from jaxbias.data.dataset import Dataset
from jaxbias.data.loading import fingerprint
from jaxbias.errors import InputError
from jaxbias.files import sealed
from jaxbias.files.atomic import damaged
from jaxbias.plan.packs import Plan
from jaxbias.plan.variants import Base
from jaxbias.study import COMPUTED, Study, make_study, search_basis, to_dict

# A study may grow in these; everything else must stay as the directory has it.
_GROWS = (
    *("name", "groupings", "bases", "curations", "evaluations", "answer", "grid", "experiments"),
    "screen",
)
_GROWS_WITHIN = {
    # Finetunes of several modes stand side by side, on the same bases; one of them answers.
    "finetune": ("n", "seeds", "mode", "solver", "C", "tolerance"),
    "data": ("path",),
    "pretrain": COMPUTED,
    "search": ("curation", "pair_curation"),  # See `search_basis`.
}
# Lists whose order says nothing.
_UNORDERED = ("targets", "pairs", "positive", "negative")
# Whatever else changes, the bases would be others too.
_ABOVE_BASES = ("targets", "pairs", "finetune", "search")
# Settings of earlier versions that say nothing any more.
_RETIRED = {"grid": ("heads_mib", "data_devices")}
# What the record holds, beside what came later.
_RECORDED = {"data", "dataset", "settings", "first_answer", "notes", "group_share", "frequencies"}
_COST = (
    "it is made of the config, which must be the one it was made of, and nothing is trained; "
    "only which answer rules were the first is no longer known"
)


def read(path: Path) -> dict[str, Any]:
    """Returns what `write` recorded, and the study that its settings make.

    Of earlier versions the hash of the examples is None.

    Raises:
      InputError: the record is damaged.
    """
    try:
        stored = sealed.read(path)
        absent = sorted(_RECORDED - stored.keys())
        if absent:
            raise ValueError(f"it lacks {', '.join(absent)}")
        settings = stored["settings"]
        for group, fields in _RETIRED.items():
            for field in fields:
                settings[group].pop(field, None)
        if not isinstance(stored["data"], str) or not isinstance(stored["notes"], list):
            raise ValueError("its data is no hash, or its notes are no list")
        # Settings that came later have their defaults.
        study = make_study(settings)
        return {"examples": None, **stored, "settings": _settings_of(study), "study": study}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise strange(path, error) from error


def strange(path: Path, error: Exception | str) -> InputError:
    """Returns what to do about a record that is damaged or of another directory."""
    return damaged(path, error, _COST)


def write(path: Path, study: Study, dataset: Dataset, first_answer: dict[str, Any] | None) -> None:
    """Records what a directory belongs to.

    Args:
      path: of the record.
      study: the study.
      dataset: its data.
      first_answer: the rules that were the first; None: those of the study.
    """
    settings, rates = _settings_of(study), dataset.frequencies
    sealed.write(
        path,
        {
            "data": dataset.fingerprint,
            "examples": _examples_hash(dataset),
            "dataset": dataset.name,
            "settings": settings,
            "first_answer": first_answer or settings["answer"],
            # File names that are no text are quoted in some.
            "notes": [note.encode(errors="backslashreplace").decode() for note in dataset.notes],
            "group_share": dataset.group_share,
            "frequencies": None
            if rates is None
            else {str(k): v.tolist() for k, v in zip(rates.index, rates.to_numpy(), strict=True)},
        },
    )


def _settings_of(study: Study) -> dict[str, Any]:
    """Returns all settings of a study as JSON has them."""
    return json.loads(json.dumps(to_dict(study)))


def table_hash(table: pd.DataFrame) -> str:
    """Returns a hash of all ids, splits and labels."""
    return fingerprint("", table, pd.DataFrame())


@functools.lru_cache(maxsize=1)
def _examples_hash(dataset: Dataset) -> str:
    """Returns the hash of a dataset's table, which is asked for again and again."""
    return table_hash(dataset.table)


def refuse_other_data(path: Path, stored: dict[str, Any], dataset: Dataset) -> None:
    """Refuses other images, other labels and another split than a directory has.

    Raises:
      InputError: with both hashes.
    """
    if stored["data"] != dataset.fingerprint:
        old, new = stored["data"], dataset.fingerprint
    elif stored["examples"] not in (None, new := _examples_hash(dataset)):
        old = stored["examples"]
    else:
        return
    raise InputError(
        f"workdir {path} belongs to a study of other data ({stored['dataset']}, fingerprint "
        f"{old[:12]}, not {dataset.name}, {new[:12]}); use a new workdir"
    )


def refuse_changes(path: Path, stored: dict[str, Any], study: Study) -> None:
    """Refuses settings that a directory has otherwise.

    Raises:
      InputError: naming the first, with both values and a way to keep the bases where there is one.
    """
    wanted = _settings_of(study)
    for field in stored:
        if field in _GROWS:
            continue
        old, new = stored[field], wanted[field]
        if isinstance(old, dict):
            skip = _GROWS_WITHIN.get(field, ())
            pairs = {f"{field}.{key}": (old[key], new[key]) for key in old if key not in skip}
        else:
            pairs = {field: (old, new)}
        for name, (before, now) in pairs.items():
            if _sorted(before, name) != _sorted(now, name):
                keep = " into which bases/ and packs/ of this one are copied"
                raise InputError(
                    f"workdir {path} belongs to a study with {name}={before}, but the config says "
                    f"{now}; set it back, or use a new workdir"
                    + (f",{keep}: no base is trained again" if field in _ABOVE_BASES else "")
                )
    for name, base in stored["bases"].items():
        # Weights are known by their content, which the ids of variants are made of.
        new = wanted["bases"].get(name, base)
        if any(new[key] != value for key, value in base.items() if key != "weights"):
            raise InputError(
                f"workdir {path} holds another base named '{name}': {base}, but the "
                f"config says {wanted['bases'][name]}; give it another name"
            )


def refuse_other_bases(path: Path, plan: Plan, study: Study) -> None:
    """Refuses a base that the plan has under the same name as another.

    Raises:
      InputError: with both.
    """
    for base in plan.every_base:
        spec = study.bases.get(base.name)
        if spec is None:
            continue
        # Weights are compared where the plan is extended, by their content.
        wanted = Base.of(base.name, spec, base.seed, base.id, base.weights)
        for field in dataclasses.fields(Base):
            old, new = getattr(base, field.name), getattr(wanted, field.name)
            if old != new:
                raise InputError(
                    f"workdir {path} has planned a base named '{base.name}' with "
                    f"{field.name}={old!r}, but the config says {new!r}; give it another name"
                )


def refuse_another_search(path: Path, stored: Study, wanted: Study) -> None:
    """Growth must not move what hyperparameters were chosen by.

    Raises:
      InputError: it would.
    """
    if not (stored.search.on or wanted.search.on):
        return
    old, new = search_basis(stored), search_basis(wanted)
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            raise InputError(
                f"workdir {path} has hyperparameters searched with {name}={old.get(name)}, but the "
                f"config now says {new.get(name)}; keep it, or use a new workdir"
            )


def _sorted(value: Any, name: str) -> Any:
    """Returns a setting with the lists in it sorted whose order says nothing."""
    if isinstance(value, dict):
        return {key: _sorted(item, key) for key, item in value.items()}
    if isinstance(value, list) and name.rpartition(".")[2] in _UNORDERED:
        return sorted(value)
    return value
