"""The methods paragraph, generated from what was done."""

import json

import pandas as pd

from jaxbias.analysis.layouts import mixed_layouts
from jaxbias.data.dataset import Dataset
from jaxbias.plan.search import kept, rung_epochs
from jaxbias.scores.scores import Scores
from jaxbias.study import (
    SPLITS,
    BaseSpec,
    FinetuneSpec,
    PretrainSpec,
    Study,
    described,
    in_head_mode,
    parse_curation,
    searched_curation,
)

_DOING = dict(zip(SPLITS, ("pretraining", "finetuning", "validation", "test"), strict=True))


def methods(
    study: Study, dataset: Dataset, scores: Scores, choices: pd.DataFrame, bases: pd.DataFrame
) -> str:
    """Returns a paragraph that says what was done, for a paper.

    Args:
      study: the study.
      dataset: its data.
      scores: every finished variant.
      choices: the hyperparameters of every arm, where they were searched.
      bases: those pretrained here.
    """
    trained = (
        _training(study, dataset, scores, choices, bases)
        if trained_here(scores)
        else _elsewhere(scores)
    )
    screened = _screened(study) if study.screen.on and trained_here(scores) else []
    mixed = mixed_layouts(scores.variants, bases)
    parts = [_data(study, dataset, scores), *screened, *trained, mixed, _statistics(study, scores)]
    return " ".join(filter(None, parts))


def trained_here(scores: Scores) -> bool:
    """Whether the variants were trained by jaxbias, which then knows their examples."""
    return "ids" in scores.variants


def _data(study: Study, dataset: Dataset, scores: Scores) -> str:
    count = dataset.table["split"].value_counts()
    size = study.data.image_size
    pixels = f" at {size}×{size} pixels" if trained_here(scores) else ""
    # Scores from elsewhere come without images to train on.
    splits = SPLITS if trained_here(scores) else ("validation", "test")
    counts = ", ".join(f"{count.get(split, 0):,} {_DOING[split]}" for split in splits)
    return (
        f"Data: {dataset.name}{pixels}, {counts} images, disjoint. Groups: "
        f"{' and '.join(study.group.names)}; gaps are {study.group.names[0]} minus "
        f"{study.group.names[1]}."
    )


def _elsewhere(scores: Scores) -> list[str]:
    variants = scores.variants
    return [
        f"{len(variants):,} models were trained elsewhere, from {variants['base'].nunique()} bases "
        f"in {variants['curation'].nunique()} curations with {variants['seed'].nunique()} repeats; "
        "only their scores were read."
    ]


_MITIGATIONS = {
    "reweight": "with weights that make target and group independent (Kamiran & Calders, 2012)",
    "group_reweight": "with every cell of target and group weighing the same",
    "class_reweight": "with both classes weighing the same",
    "group_dro": "by group distributionally robust optimisation (Sagawa et al., 2020)",
    "dfr": "with the last layer refitted on a balanced part of the same images (after Kirichenko "
    "et al., 2023)",
}


def _training(
    study: Study,
    dataset: Dataset,
    scores: Scores,
    choices: pd.DataFrame,
    bases: pd.DataFrame,
) -> list[str]:
    variants, fine, pre = scores.variants, study.finetune, study.pretrain
    pretrained = [
        f"{name} ({base.role}: {described(base)}{_classes(base, dataset)}, "
        f"{base.curation.replace('_', ' ')}{_accuracy(bases, name)})"
        for name, base in study.bases.items()
        if base.target
    ]
    scratch = [name for name, base in study.bases.items() if base.role == "scratch"]
    sizes = sorted({int(n) for n in variants["n"]})
    parts = []
    if pretrained:
        parts.append(
            f"Bases were pretrained on {pre.n:,} images for {pre.epochs} epochs "
            f"({_optimised(pre)}), each from {fine.seeds} seeds: {'; '.join(pretrained)}."
        )
    imported = [name for name, base in study.bases.items() if base.role == "imported"]
    if imported:
        parts.append(f"{' and '.join(imported)} started from imported weights.")
    if scratch:
        parts.append(f"{' and '.join(scratch)} started from random parameters.")
    parts.append(
        f"{_trained(study)} on n = {', '.join(map(str, sizes))} images ({_how(study)}) in "
        f"{variants['curation'].nunique()} curations with {variants['seed'].nunique()} repeats: "
        f"{len(variants):,} finetunings. A repeat renews the pretraining seed, the draw, the head "
        "and the batch order together; curations and bases of a repeat share prefixes of one "
        "permutation per cell."
    )
    if study.search.on:
        parts += _searching(study, choices)
    kinds = set(variants["kind"])
    told = [text for kind, text in _MITIGATIONS.items() if kind in kinds]
    if told:
        parts.append(f"Natural draws were also trained {'; '.join(told)}.")
    named = {parse_curation(name, "variants").table for name in variants["curation"].unique()}
    files = [f"{n} ({file})" for n, file in study.curations.drop.tables.items() if n in named]
    if files:
        parts.append(
            "The images of natural draws that hurt most were dropped by tables of example scores: "
            f"{', '.join(files)}."
        )
    return parts


def _classes(base: BaseSpec, dataset: Dataset) -> str:
    """How many classes a base learns, where that is more than yes and no."""
    if base.objective != "supervised" or dataset.table[base.target].dtype == "boolean":
        return ""
    count = len(dataset.table[base.target].cat.categories)
    return f" of {count:,} classes" if count > 2 else ""


def _accuracy(bases: pd.DataFrame, name: str) -> str:
    """How well the seeds of a base predict what they learnt."""
    if "learnt" not in bases:  # Of scores from elsewhere, and of earlier versions.
        return ""
    found = map(json.loads, bases["learnt"][bases["base"] == name])
    shares = [told["accuracy"] for told in found if told]
    if not shares:
        return ""
    low, high = (f"{100 * share:.1f}" for share in (min(shares), max(shares)))
    span = low if low == high else f"{low} to {high}"
    return f", right on {span} % of the validation labels"


def _screened(study: Study) -> list[str]:
    how = _how(in_head_mode(study))
    return [
        f"The whole grid was first screened: the last layer alone was trained on frozen bases "
        f"({how}). Confirmed by finetuning were all natural draws and, of each studied base, along "
        "each kind of curation, what the screen would choose on validation and its neighbours, "
        "then the levels that the confirmed ones asked for until the smallest fix, or the smallest "
        "gap, lay between confirmed levels. Test examples had no part in it."
    ]


_CRITERIA = {
    "val_loss": "the lowest validation loss",
    "val_auc": "the highest validation AUC",
    "val_worst_group": "the highest validation accuracy of the worst cell of class and group",
    "val_gap_constrained": "the highest validation AUC among those whose |FPR gap| on validation "
    "was at most {:g} (where none was, the smallest |FPR gap|; kept from rung to rung by AUC)",
}


def _searching(study: Study, choices: pd.DataFrame) -> list[str]:
    """Says how hyperparameters were searched, and what was chosen."""
    spec, fine = study.search, study.finetune
    rates = spec.learning_rates or (fine.learning_rate,)
    decays = spec.weight_decays or (fine.weight_decay,)
    curations = dict.fromkeys(searched_curation(study, t).name for t in study.tasks)
    rungs = ", ".join(map(str, rung_epochs(spec)))
    trained = ", ".join(map(str, kept(spec, len(rates) * len(decays))))
    parts = [
        "Learning rate, weight decay and epochs were searched once per base, task and n at "
        f"{' and '.join(curations)}, by one rule for all: learning rate in "
        f"{{{', '.join(f'{rate:g}' for rate in rates)}}} × weight decay in "
        f"{{{', '.join(f'{decay:g}' for decay in decays)}}}, {spec.repeats} trials each, by "
        f"successive halving ({trained} configurations trained to {rungs} epochs), for "
        f"{_CRITERIA[spec.criterion].format(study.answer.epsilon)} of the mean over trials after "
        "any epoch. All finetunings of a base, task and n use its choice."
    ]
    chosen = [
        f"{c.base} on {c.task}, n = {c.n}: learning rate {c.learning_rate:g}, weight decay "
        f"{c.weight_decay:g}, {c.epochs} epochs"
        for c in choices.itertuples()
    ]
    if chosen:
        parts.append(f"Chosen: {'; '.join(chosen)}.")
    return parts


_TRAINED = {
    "full": "All layers of {} were finetuned",
    "head": "The last layer of {} was trained on the features of the frozen rest",
    "last_block": "The last layer and the last block of {} were finetuned",
}


def _trained(study: Study) -> str:
    network = f"a {study.model.name}"
    if study.model.name == "convnet":
        network += f" (widths {', '.join(map(str, study.model.widths))})"
    if any(base.weights for base in study.bases.values()):
        network += " (or the network of the imported weights)"
    fine = study.finetune
    fixed = fine.solver == "sgd" and not study.search.on
    epochs = f" for {fine.epochs} epochs" if fixed else ""
    return _TRAINED[fine.mode].format(network) + epochs


def _how(study: Study) -> str:
    """Names the optimiser, and what the images or features went through."""
    fine = study.finetune
    if fine.solver == "lbfgs":
        return (
            f"logistic regression to convergence by L-BFGS, L2 penalty at C = {fine.C:g}, largest "
            f"gradient entry {fine.tolerance:g}; features extracted once without flips, centred "
            "and divided by their root mean square deviation over the finetuning pool"
        )
    seen = "features extracted once without flips" if fine.mode == "head" else "horizontal flips"
    return f"{_optimised(fine, study.search.on)}, {seen}, {_losses(study)}"


def _losses(study: Study) -> str:
    """Names what is made small, of each kind of task that there is."""
    losses = {
        "binary cross-entropy": study.targets or study.pairs,
        "softmax cross-entropy of classes": study.classes,
        "the mean binary cross-entropy of the labels that are known": study.labels,
    }
    return " or ".join(loss for loss, tasks in losses.items() if tasks)


_OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}


def _optimised(spec: PretrainSpec | FinetuneSpec, searched: bool = False) -> str:
    """Names the optimiser and its settings, but for those that were searched."""
    momentum = [f"momentum {spec.momentum:g}"] if spec.optimizer == "sgd" else []
    rate, decay = f"learning rate {spec.learning_rate:g}", f"weight decay {spec.weight_decay:g}"
    how = [*momentum, "constant learning rate"] if searched else [rate, *momentum, decay]
    curve = [] if searched else [_curve(spec)]
    return ", ".join([_OPTIMIZERS[spec.optimizer], f"batch {spec.batch}", *how, *curve])


def _curve(spec: PretrainSpec | FinetuneSpec) -> str:
    """Says how the learning rate goes."""
    text = f"tenfold drop after {spec.drop_at:.0%} of the steps"
    if spec.schedule == "cosine":
        text = "falling to 0 along a cosine"
    return text + (f", after a rise over {spec.warmup:.0%} of the steps" if spec.warmup else "")


def _statistics(study: Study, scores: Scores) -> str:
    source, binary = "validation" if scores.validated else "test", study.targets or study.pairs
    threshold = (
        "Decision thresholds set predicted positives equal to actual positives on the "
        f"{source} scores. "
    )
    several = " Classes and labels are ranked against the rest; every interval is of itself."
    return (
        f"{threshold if binary else ''}The unit of replication is the checkpoint: finetunes that "
        "share one are averaged first. The variance is that between checkpoints plus the "
        f"covariance that {study.answer.replicates} Poisson bootstrap replicates of the examples, "
        "shared by all models (thresholds recomputed in each), give to different checkpoints; its "
        "tails are the mean of Student's t at Satterthwaite's degrees of freedom and of Behrens "
        f"and Fisher's law.{_verdicts(study) if binary else ''}{several if study.several else ''}"
    )


def _verdicts(study: Study) -> str:
    rule = study.answer
    beyond = f" beyond {rule.relative_to}'s" if rule.relative_to else ""
    gaps = " and ".join(gap.removesuffix("_gap").upper() for gap in rule.gaps)
    return (
        " All intervals and p-values of verdicts answer for every target, studied base and n of "
        "the study (Bonferroni), those of curations also for all curations planned (single-step "
        "max-t from five checkpoints on, else Bonferroni). Inheritance is claimed where the "
        "differences from every control and scratch, signed in the direction of the labels' "
        f"correlation in the training split, exclude zero at {rule.confidence:.0%}; a gap{beyond} "
        f"counts as closed where its interval lies inside ±{rule.epsilon:g}; a fix must close the "
        f"{gaps} gap, may cost at most {rule.delta:g} AUC, is looked for from where validation "
        "leaves the most room and confirmed on test, dose by dose. Degenerate models (all or "
        "nothing predicted, ties at the threshold, AUC not surely above 0.5) support no verdict."
    )
