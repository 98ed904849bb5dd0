"""Underrepresentation on real photographs: child or older against 20 to 39 years.

    jaxbias run --config=configs/fairface_pair.py --config.data.path=PATH --workdir=DIR

One base has learnt what children look like, the other what older people look like. How much of
the missing subgroup must the finetuning positives hold before the wrong base catches up?
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared

_CHILD = ("0-2", "3-9")
_OLDER = ("50-59", "60-69", "more than 70")
_BETWEEN = ("20-29", "30-39")


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.name = "fairface_pair"
    config.pairs = ("child|older",)
    config.group.update(column="gender", values=("Female", "Male"), names=("female", "male"))
    # As in the paper, a base is pretrained on its attribute against everyone else of the task.
    config.bases = {
        "Child": {"role": "studied", "target": "child", "curation": "group_balanced"},
        "Older": {"role": "studied", "target": "older", "curation": "group_balanced"},
        "Scratch": {"role": "scratch"},
    }

    shared.fairface(config)
    config.data.derived = {
        "child": {"column": "age", "positive": _CHILD, "negative": (*_BETWEEN, *_OLDER)},
        "older": {"column": "age", "positive": _OLDER, "negative": (*_BETWEEN, *_CHILD)},
    }

    config.pretrain.n = 480
    config.finetune.n = (300,)
    config.curations.pair_mix.levels = tuple(range(11))
    return shared.with_arg(config, arg)
