"""Sixteen workers of a cluster under Ray, one GPU each.

python -m launch submit --engine=ray --config=... --workdir=DIR --launch=launch/configs/ray.py
"""

from ml_collections import ConfigDict

from launch.settings import default_config


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.workers = 16
    config.device = "gpu"
    config.memory_gib = 32
    config.ray.address = "http://127.0.0.1:8265"  # Of `ray dashboard`, or of a tunnel to the head.
    return config
