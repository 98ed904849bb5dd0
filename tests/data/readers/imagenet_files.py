"""ImageNet as published, of five images."""

from tests.data.readers.pictures import paint

TRAIN = (
    "n01440764/n01440764_10026.JPEG",
    "n02012849/n02012849_7.JPEG",
    "n03126707/n03126707_1.JPEG",
)


def write(root, flat):
    for number, name in enumerate(TRAIN):
        paint(root / "train" / name, number)
    for number, wnid in ((3, "n01440764"), (4, "n02012849")):
        name = f"ILSVRC2012_val_0000000{number - 2}.JPEG"
        paint(root / "val" / (name if flat else f"{wnid}/{name}"), number)
