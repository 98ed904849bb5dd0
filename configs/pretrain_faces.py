"""Pretraining on built-in faces: supervised on gender, supervised on a control, and SimCLR.

    jaxbias pretrain --config=configs/pretrain_faces.py --workdir=DIR   # the bases alone
    jaxbias run --config=configs/pretrain_faces.py --workdir=DIR        # and a linear probe of each

The probe is logistic regression on the frozen features, beside that of a random network.
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.name = "pretrain_faces"
    config.targets = ("Bags_Under_Eyes", "Wearing_Earrings", "Bangs")
    shared.drawn_faces(config, config.targets, ("Wearing_Hat", "Bangs"))
    config.bases = shared.gendered_and_controls("Male", ("Wearing_Hat",))
    shared.self_supervised(config, "Male")

    config.finetune.update(mode="head", solver="lbfgs", C=0.01, n=(512,), seeds=5)
    config.curations.correlation.levels = (2, 5, 8)
    return shared.with_arg(config, arg)
