"""Spurious correlation on real photographs: is a person 40 or older, with gender as the group?

    jaxbias run --config=configs/fairface_age.py --config.data.path=PATH --workdir=DIR

PATH holds fairface_label_train.csv, fairface_label_val.csv, train/ and val/ (FairFace).
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.name = "fairface_age"
    config.targets = ("forty_or_over",)
    config.group.update(column="gender", values=("Female", "Male"), names=("female", "male"))
    config.bases = shared.gendered_and_controls("gender", ("race",))

    shared.fairface(config)
    config.data.derived = {"forty_or_over": shared.forty_or_over()}

    config.finetune.n = (400,)
    config.curations.correlation.levels = tuple(range(11))
    return shared.with_arg(config, arg)
