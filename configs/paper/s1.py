"""S1: salience of 14 attributes beside gender, by fresh networks that cannot tell the two apart.

jaxbias run --config=configs/paper/s1.py --config.data.path=DIR --workdir=OUT
jaxbias run --config=configs/paper/s1.py:faces --workdir=OUT   # on built-in faces, in minutes

DIR is CelebA's. Positives are half of every set.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("s1", arg)
    config.targets = (*paper.ATTRIBUTES, *paper.CONTROLS)
    config.bases.Scratch = {"role": "scratch"}
    if arg != "faces":
        paper.celeba(config)
    config.evaluations.balanced = paper.BALANCED
    config.finetune.n = (512,) if arg == "faces" else (1024,)
    paper.finish(config, arg)
    config.experiments.S1 = paper.salience(config.targets)
    return config
