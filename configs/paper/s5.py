"""S5: how many finetuning images it takes until the pretraining no longer matters.

jaxbias run --config=configs/paper/s5.py --config.data.path=DIR --workdir=OUT
jaxbias run --config=configs/paper/s5.py:faces --workdir=OUT   # on built-in faces, in minutes

DIR is CelebA's. n = 65,536 for all. Hyperparameters are searched at every n, not at 64 and at all
alone.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("s5", arg)
    config.targets = paper.STUDIED
    config.bases = paper.gendered_and_controls(arg)
    if arg != "faces":
        paper.celeba(config)
    # At 16 images few epochs are no training.
    config.finetune.epochs = 25
    config.finetune.n = (16, 64, 256, 1024) if arg == "faces" else (*paper.SIZES, 65_536)
    return paper.finish(config, arg)
