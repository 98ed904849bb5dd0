"""Pieces that several studies share."""

from collections.abc import Sequence

from ml_collections import ConfigDict


def gendered_and_controls(group: str, controls: Sequence[str]) -> ConfigDict:
    """A base pretrained on the group itself, controls balanced by group, and scratch."""
    bases = ConfigDict()
    bases.Gendered = ConfigDict({"role": "studied", "target": group, "curation": "class_balanced"})
    for target in controls:
        bases[f"Control_{target}"] = ConfigDict(
            {"role": "control", "target": target, "curation": "group_balanced"}
        )
    bases.Scratch = ConfigDict({"role": "scratch"})
    return bases


def drawn_faces(config: ConfigDict, targets: Sequence[str], controls: Sequence[str]) -> None:
    """Built-in faces at 32² with enough of every cell of the targets and of the controls."""
    config.data.image_size = 32
    faces = config.data.faces
    for split in ("finetune", "validation", "test"):
        faces.strata[split] = tuple(targets)
    faces.strata.pretrain = tuple(controls)
    faces.cell_minimum.pretrain = 900


def forty_or_over() -> dict:
    """FairFace's ages cut in two, to derive a column from."""
    old = ("40-49", "50-59", "60-69", "more than 70")
    return {"column": "age", "positive": old, "negative": ()}


def self_supervised(config: ConfigDict, group: str, n: int = 3000, epochs: int = 30) -> None:
    """Adds a base that learns without labels, and a schedule that suits it and all others.

    Contrast needs large batches, and passes enough over all there is.
    """
    config.bases.SimCLR = ConfigDict(
        {"role": "studied", "target": group, "curation": "natural", "objective": "simclr"}
    )
    config.pretrain.update(n=n, epochs=epochs, batch=128)
    config.pretrain.update(learning_rate=0.1, schedule="cosine", warmup=0.05)


def with_arg(config: ConfigDict, arg: str) -> ConfigDict:
    """Applies a config's argument: "" is the study itself, "smoke" the same in seconds."""
    if arg not in ("", "smoke"):
        raise ValueError(f"unknown argument '{arg}'; valid: smoke")
    return smoke(config) if arg == "smoke" else config


def smoke(config: ConfigDict) -> ConfigDict:
    """Shrinks a study to seconds without changing what it does."""
    config.name += "_smoke"
    config.data.image_size = min(config.data.image_size, 32)
    faces = config.data.faces
    faces.population = {"pretrain": 400, "finetune": 400, "validation": 300, "test": 400}
    faces.cell_minimum = {"pretrain": 40, "finetune": 70, "validation": 20, "test": 20}
    config.model.widths = (8, 16)
    config.pretrain.update(n=128, epochs=2)
    config.finetune.update(n=(64,), epochs=2, seeds=2)
    if config.search.learning_rates:
        config.search.update(learning_rates=(0.1, 0.01), weight_decays=(0.0, 1e-3))
        config.search.update(first_epochs=1, max_epochs=2)
    for kind in ("correlation", "pair_mix", "source_mix"):
        levels = config.curations[kind]
        if levels.levels:
            levels.levels = (1, 5, 9)
    config.answer.replicates = 50
    return config


def fairface(config: ConfigDict) -> None:
    """FairFace in its own layout: its training file in three disjoint parts, its validation file.

    Small stride-2 stages learn these 7,000 photographs at 64² in minutes on two cores.
    """
    config.data.name = "fairface"
    config.data.image_size = 64
    config.data.splits = {
        "train": {"pretrain": 0.5, "finetune": 0.36, "validation": 0.14},
        "val": {"test": 1.0},
    }
    config.model.widths = (16, 32, 64, 128)
    config.pretrain.update(n=1700, epochs=20)
    config.finetune.update(seeds=6, epochs=8)
