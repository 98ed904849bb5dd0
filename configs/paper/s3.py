"""S2 to S4: bases on gender and on controls; what of their bias is inherited, and what explains it.

jaxbias run --config=configs/paper/s3.py --config.data.path=DIR --workdir=OUT
jaxbias run --config=configs/paper/s3.py:faces --workdir=OUT   # on built-in faces, in minutes

DIR is CelebA's. S2 is the pretraining of this study. S3: 11 attributes, each on natural draws and
on such as have 80 % women among positives and 80 % men among negatives. S4 regresses on salience,
so that of these attributes is measured here too, at the same n.

Level 2 at the natural share of positives is the subsampling to 80 %, by quotas. Hyperparameters
are searched once per base, task and n, not at every curation.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("s3", arg)
    config.targets = paper.ATTRIBUTES
    config.bases = paper.gendered_and_controls(arg)
    if arg != "faces":
        paper.celeba(config)
    config.evaluations.balanced = paper.BALANCED
    config.finetune.n = (512,) if arg == "faces" else (1024,)
    paper.finish(config, arg)
    pretrained = [name for name in config.bases if name != "Scratch"]
    config.experiments.S3 = paper.inheritance(config.targets, pretrained)
    config.experiments.salience = paper.salience(config.targets)
    return config
