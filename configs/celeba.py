"""Spurious correlation on CelebA: the paper's four attributes, with gender as the group.

jaxbias run --config=configs/celeba.py --config.data.path=DIR --workdir=OUT

DIR holds img_align_celeba/, list_attr_celeba.txt and list_eval_partition.txt (docs/datasets.md).
Bases are pretrained here, at 64² by a small network; the paper's are ResNets at 224².
"""

from ml_collections import ConfigDict

from jaxbias.study import default_config, shared


def get_config(arg: str = "") -> ConfigDict:
    config = default_config()
    config.name = "celeba"
    config.targets = ("Wearing_Earrings", "Brown_Hair", "Blond_Hair", "Bags_Under_Eyes")
    config.bases = shared.gendered_and_controls("Male", ("Wearing_Hat", "Bangs", "Chubby"))

    config.data.name = "celeba"
    config.data.image_size = 64
    # The official validation split is the test set, as in the paper; the official test split is
    # left alone.
    config.data.splits = {
        "train": {"pretrain": 0.5, "finetune": 0.4, "validation": 0.1},
        "val": {"test": 1.0},
    }
    config.model.widths = (16, 32, 64, 128)
    config.pretrain.update(n=20_000, epochs=12)
    config.finetune.update(n=(128, 1024), seeds=5)
    config.curations.correlation.levels = tuple(range(11))
    return shared.with_arg(config, arg)
