"""The main job on built-in faces: is the bias of a Gendered base inherited, and what removes it?

jaxbias run --config=configs/quickstart.py --workdir=DIR
jaxbias run --config=configs/quickstart.py:smoke --workdir=DIR   # the same in seconds
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.name = "quickstart"
    config.targets = ("Bags_Under_Eyes", "Wearing_Earrings")
    config.bases = shared.gendered_and_controls("Male", ("Wearing_Hat", "Bangs"))
    shared.drawn_faces(config, config.targets, ("Wearing_Hat", "Bangs"))

    config.finetune.seeds = 5
    config.curations.correlation.levels = tuple(range(11))

    return shared.with_arg(config, arg)
