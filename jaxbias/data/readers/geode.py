"""GeoDE: objects photographed by people of six regions.

Ramaswamy et al., "GeoDE: a Geographically Diverse Evaluation Dataset for Object Recognition",
NeurIPS 2023.
"""

import pandas as pd

from jaxbias.data import files
from jaxbias.data.source import Source
from jaxbias.data.table import category, cleaned, labels
from jaxbias.data.table_file import read_table
from jaxbias.study import DataSpec

_LABELS = ("object", "region")
_LAYOUT = "holds index.csv and images/"


def read(data: DataSpec) -> Source:
    """Reads GeoDE from `data.path`: 'object' (40), 'region' (6), and what else is a label.

    Its files are all of the source split 'all': the authors divide them 80/20 themselves.

    Raises:
      InputError: what of the layout is missing.
    """
    root = files.folder(data.path, _LAYOUT)
    path = root / "index.csv"
    table = read_table(path, key="file_path")
    names = table.column("file_path", "as published").str.strip()
    published = pd.DataFrame({name: table.column(name, "as published") for name in _LABELS})
    published, unknown = cleaned(published, data.missing_values)
    found = {name: category(published[name]) for name in _LABELS}
    text = table.text.drop(columns=["file_path", *_LABELS, "id"], errors="ignore")
    more, unusable, notes = labels(text, data.missing_values)
    # The index names files from the folder of the images; some copies, from the folder above.
    if (root / "images").is_dir() and not names.str.startswith("images/").all():
        names = "images/" + names
    return files.source(
        "GeoDE",
        "geode",
        data,
        root,
        {path.name: names.tolist()},
        "all",
        {**found, **more},
        unusable=unusable,
        notes=(*table.notes, *unknown, *notes),
    )
