"""U3: how much of a rare subgroup makes up for a base that has not learnt what it looks like?

jaxbias run --config=configs/paper/u3.py --config.data.path=DIR --workdir=OUT
jaxbias run --config=configs/paper/u3.py:faces --workdir=OUT   # on built-in faces, in minutes

DIR is CelebA's. Twelve ordered pairs: of each pair A|B, a base that was pretrained on A beside one
pretrained on B, along the share of B among the positives.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper, sweep


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("u3", arg)
    config.pairs = paper.PAIRS
    if arg != "faces":
        paper.celeba(config)
    config.curations.pair_mix.levels = paper.LEVELS
    config.finetune.n = (256,) if arg == "faces" else (128, 1024)
    paper.finish(config, arg)
    attributes = tuple(dict.fromkeys("|".join(config.pairs).split("|")))
    if arg == "faces":
        config.pretrain.n = 2000
        config.data.faces.strata.pretrain = attributes
        config.data.faces.cell_minimum.pretrain = 500
    for name in attributes:
        config.bases[f"On_{name}"] = {
            "role": "studied",
            "target": name,
            "curation": "group_balanced" if arg == "faces" else "natural",
        }
    config.experiments.U3 = sweep.chain(
        *(
            sweep.product(task=pair, base=tuple(f"On_{name}" for name in pair.split("|")))
            for pair in config.pairs
        )
    )
    return config
