"""ImageNet-1k: class folders as the challenge distributes them, or TFDS `imagenet2012`.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
"""

from pathlib import Path

import pandas as pd

from jaxbias.data import files
from jaxbias.data.readers import tfds
from jaxbias.data.source import Source
from jaxbias.data.table import category
from jaxbias.data.table_file import read_table
from jaxbias.errors import InputError
from jaxbias.study import DataSpec
from jaxbias.words import count

_WORDS = "LOC_synset_mapping.txt"  # "n01440764 tench, Tinca tinca"
_SOLUTION = "LOC_val_solution.csv"  # "ILSVRC2012_val_00048981,n03995372 85 1 499 272"
_LAYOUT = (
    "holds train/n01440764/*.JPEG and so on and val/, in class folders too or flat beside"
    f" {_SOLUTION}; or imagenet2012/ as TFDS prepares it"
)


def read(data: DataSpec) -> Source:
    """Reads ImageNet-1k from `data.path`: 'label', the WordNet id; splits 'train' and 'val'.

    Where the folder has LOC_synset_mapping.txt, 'name' is the first word of each class.

    Raises:
      InputError: what of the layout is missing.
    """
    root = files.folder(data.path, _LAYOUT)
    prepared = tfds.prepared(root, "imagenet2012")
    if prepared is not None:
        return tfds.read_prepared(prepared, "ImageNet-1k", (), columns={"label": "label"})
    base = root / "ILSVRC/Data/CLS-LOC"  # The tree of the archive.
    below = "ILSVRC/Data/CLS-LOC/" if base.is_dir() else ""
    train = files.images(root, f"{below}train", f"be the folder that {_LAYOUT}")
    val = files.images(root, f"{below}val", f"be the folder that {_LAYOUT}")
    label, table = [Path(name).parent.name for name in train], "the folder"
    if Path(val[0]).parent.name == "val":
        table = f"{_SOLUTION} and train/"
        val, labels = _flat(root, val)
        label += labels
    else:
        label += [Path(name).parent.name for name in val]
    strange = sorted(set(label[len(train) :]) - set(label[: len(train)]))
    if strange:
        raise InputError(f"val/ of {root} has the class '{strange[0]}', which train/ has not")
    found = {"label": category(pd.Series(label))}
    if (root / _WORDS).is_file():
        lines = (root / _WORDS).read_text("utf-8-sig").splitlines()
        words = dict(line.split(" ", 1) for line in lines if " " in line)
        first = {wnid: text.split(",")[0].strip() for wnid, text in words.items()}
        # Two classes share the word 'crane', and two 'maillot'.
        shared = pd.Series(first).duplicated(keep=False)
        name = {w: f"{text} ({w})" if shared[w] else text for w, text in first.items()}
        found["name"] = category(pd.Series([name.get(wnid, wnid) for wnid in label]))
    return files.source(
        "ImageNet-1k",
        "imagenet",
        data,
        root,
        {table: [*train, *val]},
        ["train"] * len(train) + ["val"] * len(val),
        found,
    )


def _flat(root: Path, names: list[str]) -> tuple[list[str], list[str]]:
    """Returns the validation images, and the class of each by the challenge's own table.

    Those that are there come first, then what the table names beside them.
    """
    path = root / _SOLUTION
    if not path.is_file():
        raise InputError(f"val/ of {root} is flat: put {_SOLUTION} there, or use class folders")
    table = read_table(path, key="ImageId")
    image = table.column("ImageId", "as published")
    wnid = table.column("PredictionString", "as published").str.split().str[0]
    known = dict(zip(image, wnid, strict=True))
    missing = [name for name in names if Path(name).stem not in known]
    if missing:
        raise InputError(
            f"{path} has no row for {count(len(missing), 'image')}, such as '{missing[0]}'"
        )
    there, folder = {Path(name).stem for name in names}, Path(names[0]).parent.as_posix()
    names = [*names, *(f"{folder}/{stem}.JPEG" for stem in known if stem not in there)]
    return names, [known[Path(name).stem] for name in names]
