"""A study whose bases are pretrained by the long loop: one supervised, one self-supervised."""

from tests.tiny import tiny_study

LONG = {"n": 40, "epochs": 6, "batch": 16, "engine": "loop", "save_every": 5}
BASES = {
    "Grouped": {"role": "studied", "target": "group", "curation": "class_balanced"},
    "Self": {"role": "control", "target": "other", "objective": "simclr", "curation": "natural"},
    "Scratch": {"role": "scratch"},
}


def study(**changes):
    pretrain = {**LONG, **changes.pop("pretrain", {})}
    finetune = {"n": (20,), "epochs": 1, "batch": 16, "seeds": 1}
    return tiny_study(bases=BASES, pretrain=pretrain, finetune=finetune, **changes)
