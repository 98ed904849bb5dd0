"""The quickstart with hyperparameters searched, once per base, task and n, instead of fixed.

jaxbias run --config=configs/searched.py --workdir=DIR
jaxbias run --config=configs/searched.py:smoke --workdir=DIR   # the same in seconds
"""

from ml_collections import ConfigDict

from configs import base, quickstart


def get_config(arg: str = "") -> ConfigDict:
    config = quickstart.get_config()
    config.name = "searched"
    # The grid and the samples of Wang & Russakovsky (ICCV 2023).
    config.search.learning_rates = (0.1, 0.05, 0.01, 0.005, 0.001)
    config.search.weight_decays = (0.0, 1e-4, 5e-4, 1e-3)
    return base.with_arg(config, arg)
