"""Writes golden.json: what PyTorch computes with the seeded weights. Needs PyTorch.

python -m tests.weights.make_golden
"""

import json
from pathlib import Path

from jaxbias.models.architectures import ARCHITECTURES
from jaxbias.weights.imported import fixed_images
from jaxbias.weights.preparations import Preparation
from jaxbias.weights.sources import SOURCES
from tests.weights.pytorch import build, inputs, logits_of, torch
from tests.weights.seeded import CLASSES, names_of, noise

PLACE = Path(__file__).with_name("golden.json")
SHOWN = 8
CASES = [
    ("resnet18", "torchvision", 32),
    ("resnet34", "torchvision", 32),
    ("resnet50", "torchvision", 32),
    ("resnet101", "torchvision", 32),
    ("efficientnet_lite0", "timm", 32),
    ("tf_efficientnet_lite0", "timm", 32),
    ("vit_ti_16", "timm", 32),
    ("vit_s_16", "timm", 32),
    ("vit_b_16", "torchvision", 32),
]
# Each kind of block once: in training the rest is the same code.
TRAINED = ("resnet18", "resnet50")


def golden(arch: str, source: str, size: int) -> dict:
    """Activations of one model."""
    classes = CLASSES.get(source, 7)
    model, features = build(arch, source, classes, size)
    preparation: Preparation = SOURCES[source].preparations[ARCHITECTURES[arch].kind]
    x = inputs(fixed_images(size), preparation)
    state = model.state_dict()
    found = {
        "arch": arch,
        "source": source,
        "size": size,
        "classes": classes,
        "names": names_of({n: tuple(v.shape) for n, v in state.items() if v.is_floating_point()}),
    }
    with torch.no_grad():
        found["features"] = features(x)[:, :SHOWN].tolist()
        found["logits"] = logits_of(model, x)[:, :SHOWN].tolist()
        if arch in TRAINED:
            x = inputs(noise(size), preparation)
            found["train_logits"] = logits_of(model.train(), x)[:2, :SHOWN].tolist()
            after = model.state_dict()
            last = max((n for n in after if n.endswith("bn2.running_var")), key=str)
            for leaf in ("running_mean", "running_var"):
                found[leaf] = after[last.replace("running_var", leaf)][:SHOWN].tolist()
    return found


if __name__ == "__main__":
    made = [golden(*case) for case in CASES]
    PLACE.write_text(json.dumps(made, indent=None, separators=(",", ":")) + "\n")
    print(f"{PLACE}: {PLACE.stat().st_size:,} bytes")
