"""Four workers of this machine, each on a GPU of its own.

python -m launch submit --engine=local --config=... --workdir=DIR --launch=launch/configs/local.py
"""

from ml_collections import ConfigDict

from launch.settings import default_config


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.workers = 4
    config.device = "gpu"
    return config
