"""Scores whose truth is known."""

import numpy as np
import pandas as pd

from jaxbias.data.dataset import Dataset
from jaxbias.scores.scores import Scores
from jaxbias.study import make_study, parse_curation
from tests.tiny import tiny_config

SEEDS = 5


def made_up(shifts, count=6000, noise=0.02, seed=0, answer=None):
    """Scores where the first group scores higher by a given shift.

    `shifts` maps (base, role, curation) to it.
    """
    rng = np.random.default_rng(seed)
    split = np.array(["finetune", "validation", "test"])[np.arange(count) % 3]
    group = rng.random(count) < 0.5  # True: second group
    target = rng.random(count) < np.where(group, 0.2, 0.5)
    table = pd.DataFrame({"id": [str(i) for i in range(count)], "split": split, "stratum": ""})
    table["target"] = pd.array(target, dtype="boolean")
    table["group"] = pd.Categorical(np.where(group, "b", "a"))
    base_score = rng.normal(size=count) + 2.5 * target
    rows, scores = [], []
    for (base, role, curation), shift in shifts.items():
        for s in range(SEEDS):
            jitter = rng.normal(scale=noise)
            scores.append(base_score + (shift + jitter) * ~group + rng.normal(0, 0.1, count))
            level = float(curation.split()[1]) if " " in curation else np.nan
            rows.append(
                {
                    "variant": f"{base}-{curation}-{s}",
                    "task": "target",
                    "base": base,
                    "role": role,
                    "pretrain_seed": s,
                    "curation": curation,
                    "kind": curation.split()[0],
                    "level": level,
                    "prevalence": 0.5 if level == level else np.nan,
                    "k": np.nan,
                    "n": 100,
                    "seed": s,
                    "status": "ok",
                }
            )
    matrix = np.stack(scores).astype(np.float32)
    dataset = Dataset("made up", np.zeros((0, 1, 1, 3), np.uint8), table, "f")
    scores = Scores(
        pd.DataFrame(rows), matrix[:, split == "validation"], matrix[:, split == "test"], table
    )
    config = tiny_config(answer={"replicates": 100, "epsilon": 0.06, **(answer or {})})
    return make_study(config), dataset, scores


def several(arms, score, positive=None, count=1200, seeds=SEEDS, seed=0, **changes):
    """Scores of several targets: of each arm and repeat, what `score` makes of the labels.

    `arms` are (task, base, role, curation, n); `score(arm, repeat, target, group, rng)` gives
    float[count], `group` being 1 in the first group; `positive` maps a task to P(target | first
    group) and P(target | second), a half each where it says nothing.
    """
    rng = np.random.default_rng(seed)
    split = np.array(["finetune", "validation", "test"])[np.arange(count) % 3]
    first = rng.random(count) < 0.5
    table = pd.DataFrame({"id": [str(i) for i in range(count)], "split": split, "stratum": ""})
    tasks = tuple(dict.fromkeys(arm[0] for arm in arms))
    shares = dict.fromkeys(tasks, (0.5, 0.5)) | (positive or {})
    for task in tasks:
        table[task] = pd.array(rng.random(count) < np.where(first, *shares[task]), dtype="boolean")
    table["group"] = pd.Categorical(np.where(first, "a", "b"))
    rows, scores = [], []
    for arm in arms:
        task, base, role, curation, n = arm
        rule = parse_curation(curation, "")
        for repeat in range(seeds):
            target = table[task].to_numpy(bool)
            scores.append(score(arm, repeat, target, first, rng))
            nan = float("nan")
            numbers = (rule.level, rule.prevalence, rule.k)
            level, prevalence, k = (nan if each is None else float(each) for each in numbers)
            rows.append(
                dict(variant="-".join(map(str, (*arm, repeat))), task=task, base=base, role=role)
                | dict(pretrain_seed=repeat, seed=repeat, curation=curation, kind=rule.kind)
                | dict(level=level, prevalence=prevalence, k=k, n=n, status="ok")
            )
    matrix = np.stack(scores).astype(np.float32)
    dataset = Dataset("made up", np.zeros((0, 1, 1, 3), np.uint8), table, "f")
    scores = Scores(
        pd.DataFrame(rows), matrix[:, split == "validation"], matrix[:, split == "test"], table
    )
    roles = {base: role for _, base, role, _, _ in arms}
    bases = {
        base: {"role": role} | ({} if role == "scratch" else {"target": "group"})
        for base, role in roles.items()
    }
    settings = {"targets": tasks, "bases": bases, "answer": {"replicates": 50}, **changes}
    return make_study(tiny_config(**settings)), dataset, scores
