"""A spot slice of TPU v5e, every host a worker.

python -m launch render --engine=tpu_vm --config=... --workdir=DIR \
  --launch=launch/configs/tpu_vm.py --launch.tpu_vm.project=PROJECT --out=rendered
"""

from ml_collections import ConfigDict

from launch.settings import default_config


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.device = "tpu"
    config.devices = 4
    config.tpu_vm.zone = "us-west4-a"
    config.tpu_vm.type = "v5litepod-16"
    return config
