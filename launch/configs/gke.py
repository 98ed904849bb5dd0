"""Sixteen workers on spot nodes of GKE with one L4 each, and a volume that all of them write.

python -m launch submit --engine=kubernetes --config=... --workdir=/study/run \
  --launch=launch/configs/gke.py --launch.kubernetes.image=IMAGE --out=rendered
"""

from ml_collections import ConfigDict

from launch.settings import default_config


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.workers = 16
    config.device = "gpu"
    config.memory_gib = 32
    config.kubernetes.claim = "study"
    config.kubernetes.mount = "/study"
    config.kubernetes.nodes = (
        "cloud.google.com/gke-accelerator=nvidia-l4",
        "cloud.google.com/gke-spot=true",
    )
    return config
