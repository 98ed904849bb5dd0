"""The four data sets of U4 and U5 as published, a few hundred images of each."""

import numpy as np

from jaxbias.study import geography
from tests.data.readers import coco_files, dollar_street_files
from tests.data.readers.pictures import paint

# Topics of Dollar Street, in the order of the objects that they stand for.
TOPICS = (
    "beds", "books", "bowls", "cars", "cups", "kitchen_sinks", "motorcycles", "ovens",
    "refrigerators", "sofas", "tvs", "toilets", "toothbrushes", "wall_clocks",
)  # fmt: skip
_XML = "<annotation><filename>{}</filename>{}</annotation>"


def write(root):
    """Folders geode, imagenet_det, coco and dollar_street."""
    rng = np.random.default_rng(0)
    for name, part in WRITERS.items():
        (root / name).mkdir(parents=True)
        part(root / name, rng)


def of_geode(root, rng, count=240):
    lines = [",script_name,file_path,object,region,ip_country"]
    for i in range(count):
        kind, region = ("bag", "stove", "chair")[i % 3], ("Africa", "Europe")[rng.integers(2)]
        path = f"{region}/{kind}/{i}_{kind}.jpg"
        paint(root / "images" / path, i % 32)
        lines.append(f"{i},{kind},{path},{kind},{region},")
    (root / "index.csv").write_text("\n".join(lines) + "\n")


def of_imagenet_det(root, rng, count=240):
    words = [f"n{i:08d} {i} {name}" for i, name in enumerate(geography.DETECTED)]
    (root / "map_det.txt").write_text("\n".join(words) + "\n")
    for i in range(count):
        split = "train/ILSVRC2013_train" if i < 200 else "val"
        name = f"{split}/image_{i}"
        paint(root / "Data" / "DET" / f"{name}.JPEG", i % 32)
        chosen = rng.choice(len(words), 2) * (i % 2)  # The first class in every other image.
        objects = "".join(f"<object><name>n{k:08d}</name></object>" for k in chosen)
        path = root / "Annotations" / "DET" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_XML.format(f"image_{i}", objects))


def of_coco(root, rng, count=400):
    del rng
    coco_files.many(root, geography.STREET_OBJECTS, year="2017", count=count)


def of_dollar_street(root, rng, count=400):
    rows = []
    for i in range(count):
        paint(root / "assets" / f"{i}" / f"{i}.jpg", i % 32)
        shown = [topic for topic in TOPICS if rng.random() < 0.3] or ["family_snapshots"]
        income = (30, 60, 300, 900, 3000, 9000)[rng.integers(6)]
        region = ("as", "af", "eu", "am")[rng.integers(4)]
        rows.append(f'{i},Nepal,np,{region},image,assets/{i}/{i}.jpg,"{shown}",np-1,{income},[]')
    text = "\n".join([dollar_street_files.HEADER, *rows]) + "\n"
    (root / "images_v2.csv").write_text(text)


WRITERS = {
    "geode": of_geode,
    "imagenet_det": of_imagenet_det,
    "coco": of_coco,
    "dollar_street": of_dollar_street,
}
