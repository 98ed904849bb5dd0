"""Dollar Street as published, of four images."""

from jaxbias.study import DataSpec
from tests.data.readers.pictures import paint

HEADER = "id,country.name,country.id,region.id,type,imageRelPath,topics,place,income,synonyms"
ROWS = [
    "5d4b,Nepal,np,as,image,assets/5d4b/5d4b.jpg,\"['beds', 'bedrooms']\",np-1,58.0,['day bed']",
    "5d4c,Côte d'Ivoire,ci,af,image,assets/5d4c/5d4c.jpg,['Kids bed'],ci-2,1998.3,[]",
    "5d4d,France,fr,eu,image,assets/5d4d/5d4d.jpg,\"['kitchen_sinks','cups']\",fr-1,10098,[]",
    "5d4e,France,fr,eu,image,assets/5d4e/5d4e.jpg,['family_snapshots'],fr-1,,[]",
]


def write(root, rows=ROWS, name="images_v2.csv"):
    for number in range(len(ROWS)):
        letter = "bcde"[number]
        paint(root / "assets" / f"5d4{letter}" / f"5d4{letter}.jpg", number)
    (root / name).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return DataSpec(name="dollar_street", path=str(root))
