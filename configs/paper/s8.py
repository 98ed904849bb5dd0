"""S8: overwriting on objects of COCO, with gender from captions. Along correlation levels.

jaxbias run --config=configs/paper/s8.py --config.data.path=DIR --workdir=OUT
jaxbias run --config=configs/paper/s8.py:faces --workdir=OUT   # on built-in faces, in minutes

DIR is COCO 2014's; annotated genders of the validation split, if you have them, by
--config.data.annotations=FILE.
The bases are weights that `jaxbias weights import --arch=resnet50`
wrote to weights/resnet50-NAME: imagenet (--source=torchvision), mocov3, simclr and places365, of
their owners' files; other places by --config.bases.ImageNet.weights=PLACE and so on.
Levels with fewer images than wanted are shrunk, as the authors do, and listed. On built-in faces
four attributes stand in for the objects.
"""

from ml_collections import ConfigDict

from jaxbias.study import paper, shared


def get_config(arg: str = "") -> ConfigDict:
    config = paper.start("s8", arg)
    config.bases = paper.initialisations(arg)
    if arg == "faces":
        config.targets = ("Smiling", "Mouth_Slightly_Open", "High_Cheekbones", "Black_Hair")
    else:
        config.targets = paper.OBJECTS
        config.data.name = "coco2014"
        config.data.splits = {
            "train": {"finetune": 0.8, "validation": 0.2},
            "val": {"test": 1.0},
        }
        config.group.update(column="gender", values=("Female", "Male"))
        config.curations.on_shortage = "shrink"
    if arg == "smoke":
        config.bases = shared.gendered_and_controls("gender", ("person",))
        config.data.splits.train = {"pretrain": 0.4, "finetune": 0.4, "validation": 0.2}
    config.curations.correlation.levels = paper.LEVELS
    config.finetune.n = (256,) if arg == "faces" else (1000, 5000)
    return paper.finish(config, arg)
