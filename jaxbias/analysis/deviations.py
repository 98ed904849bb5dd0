"""How a study differs from the authors' protocol, and from its own first rules."""

from typing import Any

from jaxbias.analysis.methods import trained_here
from jaxbias.scores.scores import Scores
from jaxbias.study import FinetuneSpec, Study, to_dict

# Data that the authors finetune on.
_THEIRS = ("celeba", "coco2014", "coco2017", "mix")


def deviations(study: Study, scores: Scores, first_rule: dict[str, Any] | None) -> list[str]:
    """Lists how this study differs from Wang & Russakovsky (ICCV 2023)."""
    return (_protocol(study) if trained_here(scores) else []) + _changed_rules(study, first_rule)


def _protocol(study: Study) -> list[str]:
    size, fine = study.data.image_size, study.finetune
    network = (
        f"Network and resolution: {study.model.name} at {size}×{size} instead of ResNet-50 at "
        "224×224."
    )
    listed = [network] if (study.model.name, size) != ("resnet50", 224) else []
    listed += [
        "Hyperparameters: searched by successive halving instead of ASHA, and repeats of a "
        "configuration averaged instead of judged by hand."
        if study.search.on
        else f"Hyperparameters: fixed ({_fixed(fine)}) not searched per base, task and size.",
        "Validation: one fixed split shared by all variants, weighted to the evaluation "
        "population, instead of a fifth of each curated pool.",
        f"Repeats: {study.finetune.seeds} pretraining seeds per base instead of one checkpoint; "
        "error bars are intervals over checkpoints and examples instead of 1.96·sd/5.",
        "Quotas are set from n itself instead of drawing n from a pool of the wanted correlation.",
    ]
    if study.screen.on:
        listed.append(
            "Screening: only a part of the grid, chosen by heads on frozen bases, was finetuned."
        )
    if fine.mode != "full":
        part = "the last layer" if fine.mode == "head" else "the last layer and the last block"
        listed.append(f"Finetuning: {part} alone, on a frozen base, instead of all layers.")
    population = study.evaluations[study.answer.population]
    if study.targets and population.level < 0:
        listed.append(
            "Evaluation population: natural, as weights on the test examples, instead of "
            "an unseeded resample to correlation level 2 or 8."
        )
    if study.data.name == "faces":
        listed.append(
            "Data: procedurally rendered faces instead of CelebA; the group is a synthetic "
            "one and CelebA's attribute names are aliases."
        )
    elif study.data.name not in _THEIRS:
        listed.append(f"Data: {study.data.name} instead of CelebA.")
    return listed


def _fixed(fine: FinetuneSpec) -> str:
    if fine.solver == "lbfgs":
        return f"C = {fine.C:g}, tolerance {fine.tolerance:g}"
    return (
        f"learning rate {fine.learning_rate:g}, weight decay {fine.weight_decay:g}, "
        f"{fine.epochs} epochs"
    )


def _changed_rules(study: Study, first_rule: dict[str, Any] | None) -> list[str]:
    rule = to_dict(study.answer)
    return [
        f"answer.{name} was {value} when the study was first run and was changed to {rule[name]} "
        "after scores existed."
        for name, value in (first_rule or rule).items()
        if rule[name] != value
    ]
