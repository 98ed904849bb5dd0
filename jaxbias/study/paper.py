"""The paper's programme: its names, its grids, and the settings that its configs share.

Wang & Russakovsky, "Overwriting Pretrained Bias with Finetuning Data", ICCV 2023. A config of
configs/paper has three forms, by its argument: "" on the real data with the authors' network,
"faces" on built-in faces in minutes, "smoke" on the real data's reader in seconds.
"""

from collections.abc import Sequence

from ml_collections import ConfigDict

from jaxbias.study import shared, sweep
from jaxbias.study.make import default_config
from jaxbias.study.specs import Sweep

ATTRIBUTES = (
    "Mouth_Slightly_Open", "Smiling", "Eyeglasses", "Black_Hair", "Narrow_Eyes", "Gray_Hair",
    "High_Cheekbones", "Wearing_Earrings", "Brown_Hair", "Blond_Hair", "Bags_Under_Eyes",
)  # fmt: skip
CONTROLS = ("Wearing_Hat", "Bangs", "Chubby")
MOSTLY_FEMALE, MOSTLY_MALE = ("Wearing_Earrings", "Blond_Hair"), ("Brown_Hair", "Bags_Under_Eyes")
STUDIED = (*MOSTLY_FEMALE, *MOSTLY_MALE)
PAIRS = (
    "Wearing_Hat|Eyeglasses", "Eyeglasses|Wearing_Earrings", "Bangs|Bags_Under_Eyes",
    "Smiling|Bags_Under_Eyes", "Black_Hair|Brown_Hair", "Brown_Hair|Blond_Hair",
)  # fmt: skip
SALIENT_PAIRS = PAIRS[:4]  # Of different salience; the others' is equal.
OBJECTS = ("dining table", "handbag", "chair", "cup")
LEVELS = tuple(range(11))
SIZES = tuple(2**i for i in range(4, 14))
BALANCED = {"level": 5, "prevalence": "0.5"}  # Four equal cells of target and group.
# Name of an initialisation -> where its imported weights are expected.
INITIALISATIONS = {
    "ImageNet": "weights/resnet50-imagenet",
    "MoCo": "weights/resnet50-mocov3",
    "SimCLR": "weights/resnet50-simclr",
    "Places365": "weights/resnet50-places365",
}
# Attributes of the pairs -> their share of CelebA.
SHARES = {
    "Wearing_Hat": 0.048, "Eyeglasses": 0.065, "Wearing_Earrings": 0.189, "Bangs": 0.152,
    "Bags_Under_Eyes": 0.205, "Smiling": 0.482, "Black_Hair": 0.239, "Brown_Hair": 0.205,
    "Blond_Hair": 0.148,
}  # fmt: skip
FORMS = ("", "faces", "smoke")


def start(name: str, arg: str) -> ConfigDict:
    """Returns settings with the authors' network and training, or with those of built-in faces.

    Args:
      name: of the study.
      arg: one of `FORMS`.

    Raises:
      ValueError: it is none.
    """
    if arg not in FORMS:
        raise ValueError(f"unknown argument '{arg}'; valid: {', '.join(FORMS[1:])}")
    config = default_config()
    config.name = f"{name}_faces" if arg == "faces" else name
    config.finetune.seeds = 6 if arg == "faces" else 5
    if arg == "faces":
        return config
    config.data.image_size = 224
    config.model.update(name="resnet50", compute_dtype="auto")
    config.pretrain.update(n=50_000, epochs=20, learning_rate=0.05)
    config.finetune.update(epochs=25, learning_rate=0.01)
    config.search.update(
        learning_rates=(0.1, 0.05, 0.01, 0.005, 0.001),
        weight_decays=(0.0, 1e-4, 5e-4, 1e-3),
        repeats=2,
        # ASHA with a grace of 5 epochs and a reduction of 2.
        first_epochs=5,
        eta=2.0,
        keep=0.5,
        max_epochs=25,
    )
    return config


def finish(config: ConfigDict, arg: str) -> ConfigDict:
    """Applies what a form changes after all: "faces" draws what is asked for, "smoke" shrinks."""
    if arg == "faces":
        controls = [b.target for b in config.bases.values() if b.get("role") == "control"]
        shared.drawn_faces(config, config.targets, controls)
    if arg == "smoke":
        shared.smoke(config)
        config.model.update(name="convnet", compute_dtype="float32")
        config.finetune.batch = 16  # Of one epoch of the smallest n.
        config.targets, config.pairs = config.targets[:1], config.pairs[:1]
    return config


def celeba(config: ConfigDict) -> None:
    """CelebA: the official validation split is the test set; the test split is left alone.

    Of the training split more than half is finetuned on: at n = 1,024 level 10 of earrings takes
    512 of its 1,059 men who wear them.
    """
    config.data.name = "celeba"
    config.data.splits = {
        "train": {"pretrain": 0.36, "finetune": 0.54, "validation": 0.1},
        "val": {"test": 1.0},
    }
    # The authors' test sets have the correlation of the attribute's own.
    config.evaluations["level 2"] = ConfigDict({"level": 2, "prevalence": "0.5"})
    config.evaluations["level 8"] = ConfigDict({"level": 8, "prevalence": "0.5"})


def gendered_and_controls(arg: str, controls: Sequence[str] = CONTROLS) -> ConfigDict:
    """Bases pretrained on gender and on controls, and scratch.

    On CelebA pretraining sets are natural; on built-in faces balanced, for they are small.
    """
    bases = shared.gendered_and_controls("Male", controls)
    for base in bases.values() if arg != "faces" else ():
        if base.get("target"):
            base.curation = "natural"
    return bases


def initialisations(arg: str) -> ConfigDict:
    """The five initialisations, of imported weights and scratch.

    Small forms have no weights of their network, and bases pretrained here in their place.
    """
    if arg:
        return gendered_and_controls(arg, CONTROLS[:1])
    bases = ConfigDict()
    for name, place in INITIALISATIONS.items():
        bases[name] = ConfigDict({"role": "imported", "weights": place})
    bases.Scratch = ConfigDict({"role": "scratch"})
    return bases


def salience(targets: Sequence[str]) -> Sweep:
    """S1: fresh networks where target and group always agree, and where they never do."""
    return sweep.product(task=targets, base="Scratch", curation=sweep.levels((0, 10)))


def inheritance(targets: Sequence[str], bases: Sequence[str]) -> Sweep:
    """S3: natural draws, and such as have 80 % women among positives and men among negatives."""
    return sweep.product(task=targets, base=bases, curation=("natural", "correlation 2 at natural"))


def reduction(origin: int, full: int = 1024, levels: Sequence[int] = LEVELS) -> Sweep:
    """S7: a level, and others reached from it by removing images alone.

    >>> [point["curation"] for point in reduction(2, levels=(1, 2, 9))]
    ['reduce_only 1 from 2', 'correlation 2']
    """
    limits = range(9) if origin < 5 else range(2, 11)
    within = [level for level in levels if level in limits]
    names = [
        f"correlation {level}" if level == origin else f"reduce_only {level} from {origin}"
        for level in within
    ]
    return sweep.product(curation=names, n=full)


def attributed(config: ConfigDict, arg: str) -> None:
    """U2 and U3: bases pretrained on the pairs' attributes, on FairFace; the finetuning, on CelebA.

    FairFace's attributes are the probabilities of a model that was trained on CelebA, moved to
    CelebA's shares. Built-in faces have labels, which are learnt as they are.
    """
    for name in SHARES:
        config.bases[f"On_{name}"] = {
            "role": "studied",
            "target": name if arg == "faces" else f"FairFace_{name}",
            "curation": "group_balanced" if arg == "faces" else "natural",
            "soft": arg != "faces",
        }
    if arg == "faces":
        config.pretrain.n = 2000
        config.data.image_size = 32
        config.data.faces.strata.pretrain = tuple(SHARES)
        config.data.faces.cell_minimum.pretrain = 500
        return
    config.data.name = "mix"
    config.data.sources = {
        name: {"name": name, "path": f"data/{name}"} for name in ("celeba", "fairface")
    }
    config.data.scores = "data/fairface_attributes.csv"
    config.data.base_rates = {f"FairFace_{name}": share for name, share in SHARES.items()}
    config.data.splits = {
        "celeba/train": {"finetune": 0.9, "validation": 0.1},
        "celeba/val": {"test": 1.0},
        "fairface/train": {"pretrain": 1.0},
    }
