"""Sixteen workers of a cluster under Slurm, one GPU and four hours each.

python -m launch submit --engine=slurm --config=... --workdir=DIR --launch=launch/configs/slurm.py
"""

from ml_collections import ConfigDict

from launch.settings import default_config


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.workers = 16
    config.device = "gpu"
    config.memory_gib = 32
    config.slurm.minutes = 240
    return config
