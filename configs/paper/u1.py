"""U1: salience within a pair: which of two attributes a fresh network takes up where both are one.

jaxbias run --config="configs/paper/u1.py:PAIR" --config.data.path=DIR --workdir=OUT
jaxbias run --config="configs/paper/u1.py:faces,PAIR" --workdir=OUT   # on built-in faces

PAIR is Wearing_Hat|Eyeglasses (and is, where left out), Eyeglasses|Wearing_Earrings,
Bangs|Bags_Under_Eyes or Smiling|Bags_Under_Eyes: a study has one group, which is the pair's second
attribute here. DIR is CelebA's. On built-in faces half of all have each attribute, for of some
pairs hardly anybody has both.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper


def get_config(arg: str = "") -> ConfigDict:
    words = arg.split(",")
    pair = next((word for word in words if "|" in word), paper.SALIENT_PAIRS[0])
    form = ",".join(word for word in words if word != pair)
    if pair not in paper.SALIENT_PAIRS:
        raise ValueError(f"'{pair}' is no pair of U1; valid: {', '.join(paper.SALIENT_PAIRS)}")
    target, group = pair.split("|")
    config = paper.start(f"u1_{target}_{group}", form)
    config.targets = (target,)
    config.group.update(column=group, values=("1", "0"), names=("with", "without"))
    config.bases.Scratch = {"role": "scratch"}
    if form != "faces":
        paper.celeba(config)
    config.evaluations.balanced = paper.BALANCED
    config.finetune.n = (512,) if form == "faces" else (1024,)
    paper.finish(config, form)
    config.experiments.U1 = paper.salience(config.targets)
    if form == "faces":
        # One set of faces for all pairs: shares by pair would draw each its own.
        attributes = sorted({name for pair in paper.SALIENT_PAIRS for name in pair.split("|")})
        config.data.faces.frequencies = dict.fromkeys(attributes, (0.5, 0.5))
        config.data.faces.strata = {}
    return config
