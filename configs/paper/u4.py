"""U4: bases that have learnt objects of many regions, or of ImageNet, and what they know.

jaxbias run --config=configs/paper/u4.py --workdir=OUT --config.data.sources.geode.path=GEODE
jaxbias run --config=configs/paper/u4.py:faces --workdir=OUT   # on built-in objects, in minutes

The data are u5.py's. The paper has of U4 the two bases alone; here each, and a fresh network, is
asked by heads on natural draws what it knows of either source, by income and region.
"""

from ml_collections import ConfigDict

from jaxbias.study import geography, paper


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("u4", arg)
    geography.objects(config, arg)
    config.bases.Scratch = {"role": "scratch"}
    config.finetune.n = (512,) if arg == "faces" else (1024,)
    paper.finish(config, arg)
    config.finetune.mode = "head"
    config.search.update(learning_rates=(), weight_decays=())
    return config
