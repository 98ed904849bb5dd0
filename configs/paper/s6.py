"""S6: does finetuning data overwrite what five initialisations bring? Along correlation levels.

jaxbias run --config=configs/paper/s6.py --config.data.path=DIR --workdir=OUT
jaxbias run --config=configs/paper/s6.py:faces --workdir=OUT   # on built-in faces, in minutes

DIR is CelebA's. The bases are weights that `jaxbias weights import --arch=resnet50`
wrote to weights/resnet50-NAME: imagenet (--source=torchvision), mocov3, simclr and places365, of
their owners' files; other places by --config.bases.ImageNet.weights=PLACE and so on.
On built-in faces bases on gender, on a control and scratch stand in.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("s6", arg)
    config.targets = paper.STUDIED
    config.bases = paper.initialisations(arg)
    if arg != "faces":
        paper.celeba(config)
    config.curations.correlation.levels = paper.LEVELS
    config.finetune.n = (128, 512) if arg == "faces" else (128, 1024)
    return paper.finish(config, arg)
