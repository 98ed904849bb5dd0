"""The quickstart with hyperparameters searched, once per base, task and n, instead of fixed.

jaxbias run --config=configs/searched.py --workdir=DIR
jaxbias run --config=configs/searched.py:smoke --workdir=DIR   # the same in seconds
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.name = "searched"
    config.targets = ("Bags_Under_Eyes", "Wearing_Earrings")
    config.bases = shared.gendered_and_controls("Male", ("Wearing_Hat", "Bangs"))
    shared.drawn_faces(config, config.targets, ("Wearing_Hat", "Bangs"))

    config.finetune.seeds = 5
    config.curations.correlation.levels = tuple(range(11))
    # The grid and the samples of Wang & Russakovsky (ICCV 2023).
    config.search.learning_rates = (0.1, 0.05, 0.01, 0.005, 0.001)
    config.search.weight_decays = (0.0, 1e-4, 5e-4, 1e-3)
    return shared.with_arg(config, arg)
