"""U2: bases that have learnt attributes from probabilities of another model; what they know.

jaxbias run --config=configs/paper/u2.py --workdir=OUT --config.data.scores=TABLE
jaxbias run --config=configs/paper/u2.py:faces --workdir=OUT   # on built-in faces, in minutes

CelebA and FairFace are where --config.data.sources.celeba.path and .fairface.path say. TABLE is
yours: a row per image of FairFace, `id` as in fairface/train/1.jpg, and columns
FairFace_Wearing_Hat and so on of what a model that was trained on CelebA makes of it. The paper has
of U2 the nine bases alone; here each, and a fresh network, is asked by heads on natural draws of
CelebA what it knows of its attribute. On built-in faces labels are learnt, not probabilities.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper, sweep


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("u2", arg)
    config.targets = tuple(paper.SHARES)
    config.finetune.n = (512,) if arg == "faces" else (1024,)
    paper.finish(config, arg)
    paper.attributed(config, arg)
    config.bases.Scratch = {"role": "scratch"}
    config.finetune.update(mode="head", solver="lbfgs", C=0.01)
    config.search.update(learning_rates=(), weight_decays=())
    config.experiments.U2 = sweep.chain(
        *(sweep.product(task=name, base=(f"On_{name}", "Scratch")) for name in config.targets)
    )
    tried = {"Scratch", *(f"On_{name}" for name in config.targets)}
    for name in set(config.bases) - tried:
        del config.bases[name]
    return config
