"""COCO as published, of five images."""

import json

import numpy as np

from jaxbias.study import DataSpec
from tests.data.readers.pictures import paint

CATEGORIES = [(1, "person", "person"), (67, "furniture", "dining table"), (47, "kitchen", "cup")]
# image -> split, its categories, its captions
IMAGES = {
    9: ("train", (67, 67, 47), ("A woman's cup.", "Two GIRLS eating.")),
    25: ("train", (), ("A mango on a table.", "Womanly.")),
    42: ("train", (1,), ("A man in black.", "The gentleman waits.")),
    73: ("val", (1,), ("A man and a lady.",)),
    74: ("val", (47,), ()),
}
SPLITS = ["train"] * 3 + ["val"] * 2


def many(root, names, year="2014", count=1000):
    """Images of women and of men, with any of the objects; four of five for training."""
    rng = np.random.default_rng(0)
    categories = [(1, "person", "person"), *((60 + i, "thing", n) for i, n in enumerate(names))]
    kinds = [kind for kind, _, _ in categories]
    images = {
        i: (
            "train" if 5 * i <= 4 * count else "val",
            tuple(kind for kind in kinds if rng.random() < 0.5),
            (f"A {('woman', 'man')[rng.integers(2)]} waits.",),
        )
        for i in range(1, count + 1)
    }
    return write(root, year, images=images, categories=categories)


def write(root, year="2014", images=IMAGES, categories=CATEGORIES):
    for split in ("train", "val"):
        ours = {i: each for i, each in images.items() if each[0] == split}
        prefix = f"COCO_{split}2014_" if year == "2014" else ""
        names = {i: f"{prefix}{i:012d}.jpg" for i in ours}
        for i, name in names.items():
            paint(root / f"{split}{year}" / name, list(images).index(i) % 32)
        listed = [
            {
                "license": 3,
                "file_name": names[i],
                "height": 16,
                "width": 20,
                "id": i,
                "coco_url": "http://images.cocodataset.org/é",
            }
            for i in ours
        ]
        objects = [
            {
                "segmentation": [[1.5, 2.0, 3.25]],
                "area": 7.1,
                "iscrowd": 0,
                "image_id": i,
                "bbox": [1.0, 2.0, 3.0, 4.0],
                "category_id": kind,
                "id": 100 * i + k,
            }
            for i, (_, kinds, _) in ours.items()
            for k, kind in enumerate(kinds)
        ]
        kinds = [{"supercategory": s, "id": i, "name": n} for i, s, n in categories]
        info = {"description": "COCO", "year": int(year)}
        captions = [
            {"image_id": i, "id": 1000 * i + k, "caption": text}
            for i, (_, _, texts) in ours.items()
            for k, text in enumerate(texts)
        ]
        (root / "annotations").mkdir(exist_ok=True)
        # As published: categories come last, on one line.
        content = {
            "info": info,
            "images": listed,
            "licenses": [],
            "annotations": objects,
            "categories": kinds,
        }
        (root / "annotations" / f"instances_{split}{year}.json").write_text(json.dumps(content))
        content = {"info": info, "images": listed, "licenses": [], "annotations": captions}
        (root / "annotations" / f"captions_{split}{year}.json").write_text(json.dumps(content))
    return DataSpec(name=f"coco{year}", path=str(root))
