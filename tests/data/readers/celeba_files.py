"""CelebA as published, of six images, and ways to damage its files."""

import re

import numpy as np

from jaxbias.study import DataSpec
from tests.data.readers.pictures import paint

# As the official files have them, in their order.
NAMES = re.findall(
    r"\S+",
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
    Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie
    Young""",
)
COUNT = 6
LABELS = np.random.default_rng(0).choice([-1, 1], (COUNT, len(NAMES)))
PARTITION = [0, 0, 0, 1, 2, 2]
SPLITS = ["train", "train", "train", "val", "test", "test"]


def write(root, newline="\n", labels=LABELS, partition=PARTITION):
    """The official files: a count, names with a blank at the end, columns padded with blanks."""
    for i in range(len(labels)):
        paint(root / "img_align_celeba" / f"{i + 1:06d}.jpg", i % 32, (178, 218))
    lines = [str(len(labels)), " ".join(NAMES) + " "]
    lines += [
        f"{i + 1:06d}.jpg " + " ".join(f"{v:2d}" for v in row) for i, row in enumerate(labels)
    ]
    (root / "list_attr_celeba.txt").write_bytes((newline.join(lines) + newline).encode())
    lines = [f"{i + 1:06d}.jpg {part}" for i, part in enumerate(partition)]
    (root / "list_eval_partition.txt").write_bytes((newline.join(lines) + newline).encode())
    return DataSpec(name="celeba", path=str(root))


def many(root):
    """A thousand images, their labels drawn at random."""
    labels = np.random.default_rng(0).choice([-1, 1], (1000, len(NAMES)))
    return write(root, labels=labels, partition=[0] * 800 + [1] * 200)


def cut(path):
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")


def swap(path, old, new):
    path.write_text(path.read_text().replace(old, new, 1))
