"""FairFace as published."""

from PIL import Image


def write(root, rows):
    """Its layout: `rows` maps a split to (age, gender, race) of each of its images."""
    for split, labels in rows.items():
        (root / split).mkdir(parents=True)
        lines = ["file,age,gender,race,service_test"]
        for i, label in enumerate(labels, start=1):
            Image.new("RGB", (224, 224), (i % 256,) * 3).save(root / split / f"{i}.jpg")
            lines.append(f"{split}/{i}.jpg,{','.join(label)},True")
        (root / f"fairface_label_{split}.csv").write_text("\n".join(lines) + "\n")
