"""Made-up answers of the shape and size of the demo's, for the report to draw."""

import dataclasses
import itertools
import json

import numpy as np
import pandas as pd

from jaxbias import study as study_lib
from jaxbias.analysis import Answer
from jaxbias.analysis.rules import Bounds, Evidence, Tried
from jaxbias.analysis.uncertainty import Interval

GROUPS = ("female", "male")
ROLES = {
    "Gendered": "studied",
    "Control_Hat": "control",
    "Control_Bangs": "control",
    "Scratch": "scratch",
}
# Natural gap and its slope along the levels; AUC at its best.
TASKS = {"Wearing_Earrings": (1, 0.86), "Bags_Under_Eyes": (-1, 0.81)}
PULL = {"Gendered": 0.153, "Control_Hat": 0.052, "Control_Bangs": 0.061, "Scratch": 0.034}


def study(targets=tuple(TASKS), pairs=()):
    bases = {n: {"role": r, "target": "" if r == "scratch" else n} for n, r in ROLES.items()}
    config = {"name": "quickstart", "targets": targets, "pairs": pairs, "bases": bases}
    config |= {"curations": {"correlation": {"levels": tuple(range(11))}}}
    return study_lib.to_dict(study_lib.make_study(config))


def curves(rng):
    rows = []
    for (task, (sign, best)), (base, role) in itertools.product(TASKS.items(), ROLES.items()):
        for level in (float("nan"), *map(float, range(11))):
            natural = np.isnan(level)
            k = (2.0 if sign > 0 else 8.0) if natural else level
            curation = "natural" if natural else f"correlation {level:g}"
            steep = 0.055 if base == "Gendered" else 0.032
            gap = sign * PULL[base] if natural else (5 + 0.4 * sign - k) * steep
            gap += rng.normal(0, 0.008)
            auc = best - 0.003 * (k - 5 + sign) ** 2 - (0.05 if base == "Scratch" else 0)
            auc += rng.normal(0, 0.004)
            middle, tpr = 0.2, 0.62
            values = [
                ("auc", "all", auc, 0.012),
                ("fpr_gap", "all", gap, 0.035),
                ("tpr_gap", "all", 1.2 * gap, 0.05),
                ("worst_group_accuracy", "all", 0.6 - abs(gap) / 2, 0.03),
                ("fpr", GROUPS[0], middle + gap / 2, 0.02),
                ("fpr", GROUPS[1], middle - gap / 2, 0.02),
                ("tpr", GROUPS[0], tpr + 0.6 * gap, 0.03),
                ("tpr", GROUPS[1], tpr - 0.6 * gap, 0.03),
            ]
            rows += [
                dict(
                    task=task, population="natural", base=base, role=role, curation=curation,
                    kind="natural" if natural else "correlation", level=level, n=512,
                    metric=metric, group=group, value=value,
                    low=value - half * rng.uniform(0.8, 1.2),
                    high=value + half * rng.uniform(0.8, 1.2),
                    checkpoints=5, draws=5,
                )
                for metric, group, value, half in values
            ]  # fmt: skip
    return pd.DataFrame(rows)


def inherited(rng):
    rows = []
    for task, (base, metric) in itertools.product(TASKS, [(b, "fpr_gap") for b in list(ROLES)[1:]]):
        sign = TASKS[task][0]
        difference = PULL["Gendered"] - PULL[base] + rng.normal(0, 0.01)
        if task == "Bags_Under_Eyes":
            difference -= 0.06
        half = 0.045
        low, high = difference - half, difference + half
        rows.append(
            dict(
                task=task, population="natural", base="Gendered", against=base, n=512,
                metric=metric, checkpoints=5, draws=5, scope="kind", difference=difference,
                gap=sign * PULL["Gendered"], gap_against=sign * PULL[base], low=low, high=high,
                p_value=0.0004 if low > 0 else 0.08, p_family=0.0008 if low > 0 else 0.16,
                low_family=low - 0.01, high_family=high + 0.01, direction=sign,
                low_no=low, high_no=high,
            )
        )  # fmt: skip
    return pd.DataFrame(rows)


def overwritten(frame):
    keys = ["task", "base", "role", "curation", "kind", "level", "n"]
    wide = frame[frame["group"] == "all"].pivot_table(
        index=keys, columns="metric", values="value", dropna=False, observed=True
    )
    wide = wide.dropna(subset=["auc"]).reset_index()
    rows = []
    for row in wide.itertuples():
        start = wide[
            (wide["task"] == row.task) & (wide["base"] == row.base) & (wide["kind"] == "natural")
        ].iloc[0]
        low, high = row.fpr_gap - 0.03, row.fpr_gap + 0.03
        inside, outside = max(abs(low), abs(high)) < 0.05, low > 0.05 or high < -0.05
        change, reduction = row.auc - start.auc, abs(start.fpr_gap) - abs(row.fpr_gap)
        nothing = row.kind == "natural"
        rows.append(
            {k: getattr(row, k) for k in keys}
            | dict(
                population="natural", checkpoints=5, draws=5, realised_n=512, marked="",
                gap=row.fpr_gap,
                gap_low=low, gap_high=high, auc=row.auc,
                auc_change=np.nan if nothing else change,
                auc_change_low=np.nan if nothing else change - 0.01,
                auc_change_high=np.nan if nothing else change + 0.01,
                gap_reduction=np.nan if nothing else reduction,
                gap_reduction_low=np.nan if nothing else reduction - 0.03,
                gap_reduction_high=np.nan if nothing else reduction + 0.03,
                verdict="no gap" if inside else "gap" if outside else "undecided",
            )
        )  # fmt: skip
    return pd.DataFrame(rows)


def smallest_fix():
    common = dict(
        population="natural", base="Gendered", n=512, realised_n=512, scope="kind", checkpoints=5,
        draws=5,
    )  # fmt: skip
    found = dict(
        task="Wearing_Earrings", curation="correlation 5", verdict="confirmed",
        nearest="correlation 5",
        sentence="Wearing_Earrings: correlation 5 is the smallest change that removes the gap of "
        "Gendered (+0.153 to +0.021 [−0.012, +0.043], AUC −0.004).",
        images_changed=164.0, images_screened=9120.0, oversampling=13.1,
        images_for_prevalence=151.0, images_for_correlation=40.0,
        below="correlation 4", above="correlation 6",
        fpr_first_before=0.276, fpr_second_before=0.123, fpr_first_after=0.211,
        fpr_second_after=0.19, tpr_first_before=0.71, tpr_second_before=0.53,
        tpr_first_after=0.63, tpr_second_after=0.61, gap_before=0.153, gap_before_low=0.1,
        gap_before_high=0.206, gap_after=0.021,
        gap_after_low=-0.012, gap_after_high=0.043, auc_change=-0.004, auc_change_low=-0.013,
        auc_change_high=0.005,
    )  # fmt: skip
    numbers = [k for k, v in found.items() if isinstance(v, float)]
    none = dict.fromkeys(numbers, float("nan")) | dict(
        task="Bags_Under_Eyes", curation="", verdict="none", gap_before=-0.149,
        nearest="correlation 5", below="correlation 4", above="correlation 6", gap_after=-0.085,
        gap_after_low=-0.115, gap_after_high=-0.055, auc_change=0.005, auc_change_low=-0.005,
        auc_change_high=0.015, fpr_first_after=0.184, fpr_second_after=0.219,
        tpr_first_after=0.6, tpr_second_after=0.641,
        fpr_first_before=0.13, fpr_second_before=0.279, tpr_first_before=0.5,
        tpr_second_before=0.7, sentence="Bags_Under_Eyes: none of those tried removes the gap.",
    )  # fmt: skip
    return pd.DataFrame([found | common, none | common])


def evidence(natural, middle, step):
    """Of gaps in steps along the levels, and by `middle` at the fifth."""

    def tried(level):
        gap = middle + step * (5 - level)
        one = Bounds((Interval(gap, gap - 0.03, gap + 0.022),), Interval(-0.004, -0.013, 0.005))
        on_validation = ((gap, 0.012), (-0.004, 0.004))
        return Tried(f"correlation {level}", abs(level - 2), gap, on_validation, (one,), (one,))

    return Evidence(
        reason="", waiting="", natural=Interval(natural, natural - 0.053, natural + 0.053),
        natural_inside=Interval(natural, natural - 0.045, natural + 0.045),
        natural_on_validation=natural, nearest="correlation 5",
        tried=tuple(sorted(map(tried, range(11)), key=lambda one: one.cost)),
        axes=(tuple(f"correlation {k}" for k in range(11)),), cheapest=(2,), family=11,
    )  # fmt: skip


def counts():
    rows = []
    table = {"Wearing_Earrings": (310, 690, 16, 984), "Bags_Under_Eyes": (101, 899, 348, 652)}
    for (split, size), (task, shares) in itertools.product(
        (("pretrain", 6), ("finetune", 4), ("validation", 2), ("test", 4)), table.items()
    ):
        for (group, sign, target), share in zip(
            [("female", "+", 1), ("female", "−", 0), ("male", "+", 1), ("male", "−", 0)],
            shares,
            strict=True,
        ):
            rows.append(
                dict(
                    split=split, task=task, cell=f"{group}{sign}", target=target, group=group,
                    count=share * size, share=share / 2000,
                )
            )  # fmt: skip
    return pd.DataFrame(rows)


def metrics(frame):
    """Five repeats of every row of the curves: as many variants as the demo has."""
    parts = []
    keys = ["task", "base", "curation", "n"]
    for seed in range(5):
        part = frame.drop(columns=["checkpoints", "draws"]).assign(
            seed=seed, pretrain_seed=seed % 3
        )
        ids = part.groupby(keys, sort=False).ngroup()
        parts.append(part.assign(variant=[f"{seed}{i:07x}" for i in ids]))
    return pd.concat(parts, ignore_index=True)


def variants(frame):
    columns = ["variant", "task", "base", "role", "curation", "kind", "level", "n", "seed"]
    table = frame[columns].drop_duplicates("variant").reset_index(drop=True)
    quotas = json.dumps({"female+": 128, "female−": 128, "male+": 128, "male−": 128})
    return table.assign(quotas=quotas, status="ok", train_seconds=0.42)


ARM = {"base": "Gendered", "task": "Bags_Under_Eyes", "n": 512, "mode": "full"}


def trials():
    """Three of a search: chosen, stopped at the first rung, diverged."""
    rows = [
        (0.05, 1, 6, 0.41, 0.42, "chosen"),
        (0.001, 0, 3, 0.66, 0.66, "stopped"),
        (0.5, 0, 3, np.inf, np.inf, "diverged at step 7"),
    ]
    names = ("loss", "auc", "worst_group", "fpr_gap")
    return pd.DataFrame(
        [
            ARM
            | dict(curation="correlation 4", learning_rate=rate, weight_decay=1e-4, repeat=0)
            | dict(rung=rung, epochs=epochs, criterion=own, configuration_criterion=mean)
            | dict(status=status, **{name: np.linspace(1, 0.4, epochs) for name in names})
            for rate, rung, epochs, own, mean, status in rows
        ]
    )


def choices():
    """What they came to."""
    chosen = dict(curation="correlation 4", learning_rate=0.05, weight_decay=1e-4, epochs=5)
    counts = dict(criterion=0.42, trials=3, trained_epochs=12, exhaustive_epochs=18)
    return pd.DataFrame([ARM | chosen | counts])


def make_answer(**changes):
    rng = np.random.default_rng(0)
    frame = curves(rng)
    tidy = metrics(frame)
    fix = smallest_fix()
    verdicts = pd.DataFrame(
        [
            dict(
                task="Wearing_Earrings", population="natural", base="Gendered", n=512,
                direction=1, direction_sure=True, verdict="yes", scope="kind", reason="",
                sentence="Wearing_Earrings inherits the bias of Gendered: its FPR gap is +0.153, "
                "larger than from Control_Hat, Control_Bangs and Scratch.",
            ),
            dict(
                task="Bags_Under_Eyes", population="natural", base="Gendered", n=512,
                direction=-1, direction_sure=True, verdict="undecided", scope="kind", reason="",
                sentence="Bags_Under_Eyes: undecided whether the bias of Gendered is inherited.",
            ),
        ]
    )  # fmt: skip
    answer = Answer(
        study=study(),
        dataset=dict(
            name="faces", fingerprint="ab" * 32, counts=counts(),
            notes=["Cartoon faces: the group is synthetic."],
        ),
        inherited=inherited(rng),
        inherited_verdicts=verdicts,
        curves=frame,
        overwritten=overwritten(frame),
        smallest_fix=fix,
        fix_evidence=[evidence(0.153, 0.021, 0.055), evidence(-0.149, -0.085, 0.26)],
        screen=pd.DataFrame(),
        screen_verdicts=pd.DataFrame(),
        underrepresentation=pd.DataFrame(),
        matching_share=pd.DataFrame(),
        excess=inherited(rng).assign(curation="natural"),
        bases=pd.DataFrame(dict(base=["Gendered"], pretrain_seed=[0], status=["ok"])),
        unfinished="",
        sentences=[*verdicts["sentence"], *fix["sentence"]],
        metrics=tidy,
        variants=variants(tidy),
        timings={"pretrain_seconds": 41.2, "finetune_seconds": 118.9, "variants_per_second": 4.04},
        deviations=["ResNet-50 is replaced by a small convnet.", "No hyperparameter search."],
        methods="Every base was pretrained three times. " * 6,
        failures=[],
        search=trials(),
        choices=choices(),
    )  # fmt: skip
    return dataclasses.replace(answer, **changes)


def with_curves(answer, more):
    """The same answer with more rows of curves."""
    curves = pd.concat([answer.curves, *more], ignore_index=True)
    return dataclasses.replace(answer, curves=curves)


def make_pair_answer():
    rng = np.random.default_rng(1)
    task, bases = "child|older", {"Child": "studied", "Older": "control", "Scratch": "scratch"}
    rows = []
    for base, level, group, n in itertools.product(
        bases, range(11), ("child", "older"), (128, 1024)
    ):
        share = level / 10 if group == "older" else 1 - level / 10
        own = {"Child": "child", "Older": "older"}.get(base) == group
        start = (0.66 if own else 0.53) - (0.02 if base == "Scratch" else 0)
        auc = start + (0.8 - start + (0.02 if n > 500 else 0)) * (1 - np.exp(-3 * share))
        auc += rng.normal(0, 0.006)
        rows.append(
            dict(
                task=task, base=base, role=bases[base], level=float(level), n=n, group=group,
                auc=auc,
                low=auc - 0.025, high=auc + 0.025, checkpoints=5, draws=5,
            )
        )  # fmt: skip
    matching = pd.DataFrame(
        [
            dict(
                task=task, n=n, subgroup="older", base="Child", against="Older",
                scope="kind", checkpoints=5, draws=5, reference_auc=0.69, difference=-0.09,
                low=-0.13, high=-0.05, share_low=share - 0.1, share_high=share + 0.1,
                sure_share=float("nan"),
                sentence=f"With n = {n}, {100 * share:g} % older among the positives lets Child "
                "match Older with 10 %.",
            )
            for n, share in ((128, 0.4), (1024, 0.3))
        ]
    )  # fmt: skip
    settings = study((), (task,))
    settings["bases"] = {n: {"role": r, "target": n.lower()} for n, r in bases.items()}
    return make_answer(
        study=settings,
        inherited=pd.DataFrame(),
        inherited_verdicts=pd.DataFrame(),
        curves=pd.DataFrame(),
        overwritten=pd.DataFrame(),
        smallest_fix=pd.DataFrame(),
        fix_evidence=[],
        screen=pd.DataFrame(),
        screen_verdicts=pd.DataFrame(),
        underrepresentation=pd.DataFrame(rows),
        matching_share=matching,
        sentences=list(matching["sentence"]),
    )


HOSTILE = {
    "Wearing_Earrings": "<script>alert(1)</script>",
    "Gendered": '_$x$ "&[bold]',
    "Control_Hat": "</style><img src=x onerror=alert(1)>",
    "female": "<b>f$\\frac</b>",
}


def make_hostile_answer():
    """The same answer with names that mean something to HTML, TeX, matplotlib or rich."""
    answer = make_answer()

    def rename(value):
        if isinstance(value, dict):
            return {rename(k): rename(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(rename(v) for v in value)
        if dataclasses.is_dataclass(value):
            return dataclasses.replace(value, **rename(vars(value)))
        if isinstance(value, pd.DataFrame):
            return value.map(rename)
        if isinstance(value, str):
            for old, new in HOSTILE.items():
                value = value.replace(old, new)
        return value

    return Answer(**{name: rename(value) for name, value in vars(answer).items()})


def make_empty_answer():
    """An answer to which no variant contributed anything: frames without even columns."""
    answer = make_answer()
    frames = [name for name, value in vars(answer).items() if isinstance(value, pd.DataFrame)]
    return dataclasses.replace(
        answer,
        **{name: pd.DataFrame() for name in frames},
        dataset=answer.dataset | {"counts": pd.DataFrame()},
        fix_evidence=[],
        sentences=[],
        timings={},
        deviations=[],
        failures=["variant 0a1b (Gendered) diverged"],
    )
