"""The methods paragraph and the list of deviations, generated from what was done."""

from typing import Any

from jaxbias.data.dataset import Dataset
from jaxbias.results import Scores
from jaxbias.study import Study, to_dict


def methods(study: Study, dataset: Dataset, scores: Scores) -> str:
    """Returns a paragraph that says what was done, for a paper."""
    variants = scores.variants
    split = dataset.table["split"].value_counts()
    group = " and ".join(study.group.names)
    pretrained = [
        f"{name} ({base.role}: {base.target}, {base.curation.replace('_', ' ')})"
        for name, base in study.bases.items()
        if base.target
    ]
    scratch = [name for name, base in study.bases.items() if base.role == "scratch"]
    rule, fine, pre = study.answer, study.finetune, study.pretrain
    parts = [
        f"Data: {dataset.name} at {study.data.image_size}×{study.data.image_size} pixels, "
        f"{split.get('pretrain', 0):,} pretraining, {split.get('finetune', 0):,} finetuning, "
        f"{split.get('validation', 0):,} validation and {split.get('test', 0):,} test images, "
        f"disjoint. Groups: {group}; gaps are {study.group.names[0]} minus {study.group.names[1]}."
    ]
    if pretrained:
        parts.append(
            f"Bases were pretrained on {pre.n:,} images for {pre.epochs} epochs (SGD, batch "
            f"{pre.batch}, learning rate {pre.learning_rate:g}, momentum {pre.momentum:g}, weight "
            f"decay {pre.weight_decay:g}, tenfold drop after {pre.drop_at:.0%} of the steps), each "
            f"from {pre.seeds} seeds: {'; '.join(pretrained)}."
        )
    if scratch:
        parts.append(f"{' and '.join(scratch)} started from random parameters.")
    sizes = sorted({int(n) for n in variants["n"]})
    parts.append(
        f"All layers of a {study.model.name} (widths {', '.join(map(str, study.model.widths))}) "
        f"were finetuned for {fine.epochs} epochs on n = {', '.join(map(str, sizes))} images (SGD, "
        f"batch {fine.batch}, learning rate {fine.learning_rate:g}, momentum {fine.momentum:g}, "
        f"weight decay {fine.weight_decay:g}, tenfold drop after {fine.drop_at:.0%} of the steps, "
        f"horizontal flips, binary cross-entropy) in {variants['curation'].nunique()} curations "
        f"with {variants['seed'].nunique()} repeats: {len(variants):,} finetunings. A repeat "
        "renews the pretraining seed, the draw, the head and the batch order together; curations "
        "and bases of a repeat share prefixes of one permutation per cell."
    )
    parts.append(
        "Decision thresholds set predicted positives equal to actual positives on the validation "
        f"scores. Intervals combine the variance over repeats with that over {rule.replicates} "
        "Poisson bootstrap replicates of the validation and test examples shared by all models "
        "(thresholds recomputed in each), with Student's t at Welch–Satterthwaite degrees of "
        f"freedom. Inheritance is claimed where the Holm-adjusted paired differences against "
        f"every control and scratch exclude zero at {rule.confidence:.0%}; a gap counts as closed "
        f"where its {1 - 2 * (1 - rule.confidence):.0%} interval lies inside ±{rule.epsilon:g}; a "
        f"fix may cost at most {rule.delta:g} AUC, is chosen on validation with Bonferroni's "
        "correction over curations, and is tested once on test."
    )
    return " ".join(parts)


def deviations(study: Study, first_rule: dict[str, Any] | None) -> list[str]:
    """Lists how this study differs from Wang & Russakovsky (ICCV 2023)."""
    size, fine = study.data.image_size, study.finetune
    listed = [
        f"Network and resolution: {study.model.name} at {size}×{size} instead of ResNet-50 at "
        "224×224.",
        f"Hyperparameters: fixed (learning rate {fine.learning_rate:g}, weight decay "
        f"{fine.weight_decay:g}, {fine.epochs} epochs) not searched per base, task and size.",
        "Validation: one fixed split shared by all variants, weighted to the evaluation "
        "population, instead of a fifth of each curated pool.",
        f"Repeats: {study.pretrain.seeds} pretraining seeds per base instead of one checkpoint; "
        "error bars are t intervals over repeats and examples instead of 1.96·sd/5.",
        "Quotas are set from n itself instead of drawing n from a pool of the wanted correlation.",
    ]
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
    elif study.data.name != "celeba":
        listed.append(f"Data: {study.data.name} instead of CelebA.")
    rule = to_dict(study.answer)
    for name, value in (first_rule or rule).items():
        if rule[name] != value:
            listed.append(
                f"answer.{name} was {value} when the study was first run and was changed "
                f"to {rule[name]} after scores existed."
            )
    return listed
