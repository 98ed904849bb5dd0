"""The paper's whole programme of training as one study of built-in faces: the sum of configs/paper.

    jaxbias run --config=configs/programme.py --workdir=DIR --dry_run
    jaxbias run --config=configs/programme.py:smoke --workdir=DIR   # a corner of it, in seconds

Experiments are named as in the paper's protocol; Sx_search and Ux_search are the trials of their
hyperparameter searches.

Stand-ins: built-in faces at 64² for CelebA, COCO and FairFace; the small convnet for ResNet-50 at
224²; Gendered, three controls and Scratch for the five initialisations of S6 to S8 (ImageNet, MoCo,
SimCLR, Places365, Scratch); four more attributes for the objects of S8; level 2 at natural
prevalence for the subsampling to 80 % of S3; n = 16,384 for "all" of S5; bases pretrained on hard
labels for those of U2 on a model's probabilities. A seed renews the pretraining of the bases too.
Searches are the exhaustive product of their trials.

Grids have the paper's sizes, so this is what a run is planned with; configs/paper has a config per
row, also in sizes that train in minutes. No part of it are rows of another group (U1), of other
data (U2, U4, U5), and S4, which trains nothing. Finetunes use config.finetune, not what a search
chose.
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, paper, shared, sweep

# What stands in for the objects of S8.
OBJECTS = ("Smiling", "Mouth_Slightly_Open", "High_Cheekbones", "Black_Hair")
PRETRAINED = ("Gendered", *(f"Control_{name}" for name in paper.CONTROLS))
INITIALISATIONS = (*PRETRAINED, "Scratch")
TRIALS = sweep.product(
    learning_rate=(0.1, 0.05, 0.01, 0.005, 0.001), weight_decay=(0.0, 1e-4, 5e-4, 1e-3), seed=(0, 1)
)
SIZES = (*paper.SIZES, 16384)


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.name = "programme"
    config.targets = (*paper.ATTRIBUTES, *paper.CONTROLS)
    config.pairs = paper.PAIRS
    config.bases = shared.gendered_and_controls("Male", paper.CONTROLS)
    for attribute in dict.fromkeys("|".join(paper.PAIRS).split("|")):
        config.bases[f"Faces_{attribute}"] = {"role": "studied", "target": attribute}

    faces = config.data.faces
    faces.population = {"pretrain": 20000, "finetune": 40000, "validation": 4000, "test": 20000}
    faces.cell_minimum = {"pretrain": 900, "finetune": 600, "validation": 100, "test": 200}
    faces.strata = {
        "pretrain": (*paper.CONTROLS, *paper.STUDIED, "Eyeglasses"),
        "finetune": config.targets,
        "validation": config.targets,
        "test": config.targets,
    }
    config.model.widths = (16, 32, 64, 128)
    config.finetune.update(seeds=5, epochs=25, n=(1024,))
    config.evaluations = {"natural": {}, "balanced": {"level": 5, "prevalence": "0.5"}}
    config.experiments = experiments()
    if arg == "smoke":
        config.finetune.batch = 32  # Of 2 epochs of the smallest n.
        config.experiments = corner()
        config.targets, config.pairs = paper.STUDIED[:1], paper.PAIRS[3:4]
        faces.strata = {split: config.targets for split in ("finetune", "validation", "test")}
        faces.strata.pretrain = ("Bags_Under_Eyes",)
        for name in list(config.bases):
            if name not in (
                "Gendered",
                "Scratch",
                *(f"Faces_{a}" for a in paper.PAIRS[3].split("|")),
            ):
                del config.bases[name]
    return shared.with_arg(config, arg)


def experiments() -> dict[str, sweep.Sweep]:
    """The programme: what is finetuned, and what each search tries."""
    repeats = sweep.product(seed=range(5))
    doses = sweep.levels(range(11))
    both_bases = sweep.chain(
        *(
            sweep.product(task=pair, base=tuple(f"Faces_{name}" for name in pair.split("|")))
            for pair in paper.PAIRS
        )
    )

    salience = sweep.product(paper.salience((*paper.ATTRIBUTES, *paper.CONTROLS)), n=1024)
    inherited = sweep.product(paper.inheritance(paper.ATTRIBUTES, PRETRAINED), n=1024)
    size = sweep.product(task=paper.STUDIED, base=INITIALISATIONS, curation="natural", n=SIZES)
    overwritten = sweep.product(
        task=paper.STUDIED, base=INITIALISATIONS, curation=doses, n=(128, 1024)
    )
    reduced = sweep.chain(
        sweep.product(
            sweep.product(task=paper.MOSTLY_FEMALE, base=INITIALISATIONS), paper.reduction(2)
        ),
        sweep.product(
            sweep.product(task=paper.MOSTLY_MALE, base=INITIALISATIONS), paper.reduction(8)
        ),
    )
    objects = sweep.product(task=OBJECTS, base=INITIALISATIONS, curation=doses, n=(1000, 5000))
    mixed = sweep.product(
        both_bases, curation=sweep.levels(range(11), kind="pair_mix"), n=(128, 1024)
    )

    def middle(points: sweep.Sweep, curation: str, sizes: tuple[int, ...]) -> sweep.Sweep:
        """Searched once per task, base and n, at one curation."""
        return sweep.where(points, lambda p: p["curation"] == curation and p["n"] in sizes)

    searched = {
        "S1": salience,
        "S3": inherited,
        "S5": middle(size, "natural", (64, SIZES[-1])),
        "S6": middle(overwritten, "correlation 4", (128, 1024)),
        "S7": reduced,
        "S8": middle(objects, "correlation 4", (1000, 5000)),
        "U3": middle(mixed, "pair_mix 4", (128, 1024)),
    }
    finetuned = {
        "S1": salience,
        "S3": inherited,
        "S5": size,
        "S6": overwritten,
        "S7": reduced,
        "S8": objects,
        "U3": mixed,
    }
    return {
        **{name: sweep.product(points, repeats) for name, points in finetuned.items()},
        **{f"{name}_search": sweep.product(points, TRIALS) for name, points in searched.items()},
    }


def corner() -> dict[str, sweep.Sweep]:
    """Two tasks, two bases, two seeds and a few curations of at most 64 images."""
    task, pair, seeds = paper.STUDIED[0], paper.PAIRS[3], (0, 1)
    s = sweep.product(task=task, base=("Gendered", "Scratch"), seed=seeds)
    u = sweep.product(
        task=pair, base=tuple(f"Faces_{name}" for name in pair.split("|")), seed=seeds
    )
    return {
        "S5": sweep.product(s, curation="natural", n=(16, 64)),
        "S6": sweep.product(s, curation=sweep.levels((1, 5, 9)), n=64),
        "U3": sweep.product(u, curation=sweep.levels((1, 5, 9), kind="pair_mix"), n=64),
    }
