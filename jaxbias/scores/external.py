"""Models trained elsewhere: their scores, settings and labels as files, into the same answer."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jaxbias.curation import class_names
from jaxbias.data import splits
from jaxbias.data.dataset import Dataset, as_text, listed, missing_hint
from jaxbias.data.exclusions import exclusions_of_tasks
from jaxbias.data.table import labels
from jaxbias.data.table_file import ID, Table, read_table
from jaxbias.data.vocabulary import meanings
from jaxbias.errors import InputError, nearest
from jaxbias.files.digits import whole
from jaxbias.metrics.thresholds import two_value_cuts
from jaxbias.scores.score_table import ScoreTable, check_ids, cuts_said, in_order_of, read_scores
from jaxbias.scores.scores import Scores
from jaxbias.study import ROLES, SPLITS, DataSpec, Study, make_study, parse_curation
from jaxbias.words import count

_OF = "/"  # Between a model and the class or label that a column of its scores is of.
_REQUIRED = ("model", "base", "curation", "n", "seed")


def read_external(
    scores_path: Path, variants_path: Path, labels_path: Path, study: Study
) -> tuple[Dataset, Scores]:
    """Reads scores of models trained elsewhere.

    Args:
      scores_path: CSV or Parquet, one row per example: `id` and one column per model; of a task
        of several outputs one per class or label, MODEL/CLASS.
      variants_path: one row per model: model, base, curation ("natural", "correlation 3", ...), n,
        seed; optionally role (studied, imported, control, scratch), task and pretrain_seed.
      labels_path: one row per example: `id`, optionally `split` (validation, test, and finetune
        for the natural shares; all test where absent), and label columns.
      study: its targets, group and rules.

    Returns:
      The labels as a dataset without images, and the scores.

    Raises:
      InputError: a file, column, id or value is missing or unknown.
    """
    read = read_table(labels_path)
    ids = read.column(ID, "the example's id")
    check_ids(ids, read.lines, labels_path)
    split, said = splits.of_rows(read)
    columns, unusable, words = labels(
        read.text.drop(columns=[ID, "split"], errors="ignore"), study.data.missing_values
    )
    table = pd.DataFrame({"id": ids.astype(str), "split": split, "stratum": ""})
    table = pd.concat([table.astype({"split": str}), columns], axis=1)
    _refuse_classes(study, columns, labels_path)
    dataset = Dataset(
        name=labels_path.name,
        images=np.zeros((0, 1, 1, 3), np.uint8),
        table=table,
        fingerprint="external",
        unusable={**read.unusable, **unusable},
    )
    variants = _variants(read_table(variants_path, key="model"), study)
    outputs = [_outputs(study, dataset, task) for task in variants["task"]]
    columns_of = [
        [f"{model}{_OF}{output}" for output in own] or [model]
        for model, own in zip(variants["model"], outputs, strict=True)
    ]
    scores = read_scores(scores_path, [name for own in columns_of for name in own], need_ids=True)
    notes = (
        f"Models were trained elsewhere; their scores were read from {scores_path.name}.",
        *read.notes,
        *scores.notes,
        *said,
        *words,
        *_natural(table),
        *exclusions_of_tasks(dataset, study),
        *_unused(scores, table),
    )
    evaluated = {part: (table["split"] == part).to_numpy() for part in ("validation", "test")}
    found = [in_order_of(scores, table.loc[rows, "id"]) for rows in evaluated.values()]
    counts = [len(own) for own in columns_of]
    single = [end - 1 for end, own in zip(np.cumsum(counts), counts, strict=True) if own == 1]
    sets = [(each[single], np.ones(each.shape[1], bool)) for each in found]
    notes += tuple(cuts_said([scores.models[place] for place in single], two_value_cuts(sets)))
    dataset = dataclasses.replace(dataset, table=_with_natural_pool(table), notes=notes)
    parts = (_per_model(each, counts) for each in found)
    return dataset, Scores(variants, *parts, dataset.table)


def _refuse_classes(study: Study, columns: pd.DataFrame, path: Path) -> None:
    """Refuses targets of many classes, and says how their scores are brought."""
    for target in study.targets:
        if target in columns and columns[target].dtype == "category":
            found = count(len(columns[target].cat.categories), "value")
            raise InputError(
                f"{path}: column '{target}' has {found}, and a target has two; give --config with "
                f"config.classes=('{target}',), and a column of scores per model and class, "
                f"MODEL{_OF}CLASS"
            )


def _outputs(study: Study, dataset: Dataset, task: str) -> tuple[str, ...]:
    """The classes or labels that a model of a task scores; none of a task of one output."""
    if task in study.classes:
        return class_names(dataset, task)
    return study.labels.get(task, ())


def _per_model(scores: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """V arrays float32[N · T] from the columns of each; a matrix where all have one."""
    if set(counts) == {1}:
        return scores
    found = np.empty(len(counts), object)
    for v, own in enumerate(np.split(scores, np.cumsum(counts)[:-1])):
        found[v] = np.ascontiguousarray(own.T).ravel()
    return found


def external_study(
    variants_path: Path, labels_path: Path, target: str, group: str, values: tuple[str, ...]
) -> Study:
    """Makes the study that models trained elsewhere belong to.

    Args:
      variants_path: one row per model, with its base and role.
      labels_path: names the group's values where `values` is empty.
      target: the binary column the models predict, or "A|B" for a pair.
      group: the column whose two values are compared.
      values: the two, first minus second; empty: the column's own two in order.
    """
    table = read_table(variants_path, key="model")
    names = table.column("base", "needed of every model")
    roles = table.text["role"] if "role" in table.text else names.str.lower()
    bases = {}
    for name, role in zip(names, roles, strict=True):
        if role not in ROLES:
            raise InputError(
                f"{variants_path}: base '{name}' needs a column role with one of {', '.join(ROLES)}"
            )
        bases[name] = {
            "role": role,
            "target": "" if role in ("scratch", "imported") else name,
            "weights": name if role == "imported" else "",
        }
    if not values:
        column = read_table(labels_path).column(group, "--group")
        found = labels(column.to_frame(), DataSpec().missing_values)
        if group in found.unusable:
            raise InputError(f"{labels_path}: column '{group}' (--group) {found.unusable[group]}")
        values = tuple(sorted(as_text(found.columns[group]).dropna().unique()))
        if found.columns[group].dtype == "boolean":  # Its own words name the groups.
            words = sorted(set(column.str.strip()), reverse=True)
            meaning = meanings(word for word in words if word and not missing_hint(word)) or {}
            own = {str(int(yes)): word for word, yes in meaning.items()}
            values = tuple(own.get(value, value) for value in values)
        if len(values) != 2:
            raise InputError(
                f"{labels_path}: column '{group}' has {count(len(values), 'value')} "
                f"({listed(values, limit=6)}); name two with --group_values=first,second"
            )
    names = tuple(f"{group}={v}" if v in ("0", "1", "-1") else v for v in values)
    return make_study(
        {
            "name": variants_path.stem,
            "data": {"name": labels_path.name},
            "targets": () if "|" in target else (target,),
            "pairs": (target,) if "|" in target else (),
            "group": {
                "column": group,
                "values": values,
                "names": names,
            },
            "bases": bases,
        }
    )


def _variants(table: Table, study: Study) -> pd.DataFrame:
    for name in _REQUIRED:
        table.column(name, "needed of every model")
    twice = np.flatnonzero(table.text["model"].duplicated())
    if len(twice):
        raise InputError(f"{table.where(twice[0])}: this model is there twice")
    tasks = tuple(study.tasks)
    rows = []
    for i, row in enumerate(table.text.to_dict("records")):
        where = table.where(i)
        curation = parse_curation(row["curation"], where)
        role = (
            row.get("role") or study.bases[row["base"]].role
            if row["base"] in study.bases
            else (row.get("role", ""))
        )
        if role not in ROLES:
            raise InputError(
                f"{where}: base '{row['base']}' has role '{role}'; add a column role "
                f"with {', '.join(ROLES)}"
            )
        task = row.get("task") or tasks[0]
        if task not in tasks:
            raise InputError(f"{where}: task '{task}' is not in the study; {nearest(task, tasks)}")
        n, seed = _whole(row["n"]), _whole(row["seed"])
        pretrain_seed = _whole(row.get("pretrain_seed") or row["seed"])
        if not n or seed is None or pretrain_seed is None:
            raise InputError(
                f"{where}: n='{row['n']}' and seed='{row['seed']}' must be whole numbers, "
                "n more than 0"
            )
        rows.append(
            {
                "variant": row["model"],
                "model": row["model"],
                "task": task,
                "base": row["base"],
                "role": role,
                "pretrain_seed": pretrain_seed,
                "curation": curation.name,
                "kind": curation.kind,
                "level": np.nan if curation.level is None else float(curation.level),
                "prevalence": np.nan if curation.prevalence is None else curation.prevalence,
                "k": np.nan if curation.k is None else float(curation.k),
                "n": n,
                "seed": seed,
                "realised_n": n,
                "quotas": "{}",
                "status": "ok",
            }
        )
    variants = pd.DataFrame(rows)
    same = variants.duplicated(["task", "base", "curation", "n", "seed"])
    if same.any():
        row = variants[same].iloc[0]
        raise InputError(
            f"{table.path}: model '{row['model']}' has the base, curation, n and seed of another; "
            "give every repeat its own seed"
        )
    return variants


def _whole(text: str) -> int | None:
    """Returns a whole number, None where it is none; pandas writes some as 1.0."""
    return whole(text.removesuffix(".0"))


def _unused(scores: ScoreTable, table: pd.DataFrame) -> list[str]:
    scored = pd.Series(scores.ids).isin(table.loc[table["split"] != "", "id"])
    unknown = int((~scored).sum())
    return [f"Left out: {count(unknown, 'scored example')} without a label."] if unknown else []


def _natural(table: pd.DataFrame) -> tuple[str, ...]:
    """Returns where the natural shares come from, where that is not the finetuning data."""
    if (table["split"] == "finetune").any():
        return ()
    parts = [part for part in (*SPLITS, "") if (table["split"] == part).any()]
    return (
        f"Natural shares, and the costs that rest on them, were counted in all {len(table):,}"
        f" examples ({', '.join(part or 'no split' for part in parts)}), since none is of the"
        " split finetune.",
    )


def _with_natural_pool(table: pd.DataFrame) -> pd.DataFrame:
    """Natural shares are counted in the finetuning split; without one, in all labelled examples."""
    if (table["split"] == "finetune").any():
        return table
    pool = table.assign(split="finetune", id="natural/" + table["id"])
    return pd.concat([table, pool], ignore_index=True)
