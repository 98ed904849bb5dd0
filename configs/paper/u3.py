"""U3: how much of a rare subgroup makes up for a base that has not learnt what it looks like?

jaxbias run --config=configs/paper/u3.py --workdir=OUT --config.data.sources.celeba.path=CELEBA
jaxbias run --config=configs/paper/u3.py:faces --workdir=OUT   # on built-in faces, in minutes

Data and bases are those of u2.py. Twelve ordered pairs: of each pair A|B, a base that was
pretrained on A beside one pretrained on B, along the share of B among the positives.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper, sweep


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("u3", arg)
    config.pairs = paper.PAIRS
    config.curations.pair_mix.levels = paper.LEVELS
    config.finetune.n = (256,) if arg == "faces" else (128, 1024)
    paper.finish(config, arg)
    paper.attributed(config, arg)
    both = [(pair, [f"On_{name}" for name in pair.split("|")]) for pair in config.pairs]
    config.experiments.U3 = sweep.chain(
        *(sweep.product(task=pair, base=bases) for pair, bases in both)
    )
    tried = {name for _, bases in both for name in bases}
    for name in set(config.bases) - tried:
        del config.bases[name]
    return config
