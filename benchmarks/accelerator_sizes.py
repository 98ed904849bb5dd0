"""How much `accelerator.py` measures, and on tiny sizes."""

import dataclasses

from benchmarks import grid


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is timed: a model, and the members of its packs, images of a step, steps of a run."""

    model: str
    size: int
    dtype: str
    width: int
    batch: int
    steps: int


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    loops: tuple[Subject, ...]  # Trained one at a time, step by step
    finetunes: int
    finetuned_size: int
    n: int
    epochs: int
    scored: int
    packs: tuple[tuple[str, int], ...]  # Modes and widths
    small: Subject
    large: tuple[Subject, ...]
    largest: tuple[Subject, ...]
    depthwise: Subject  # A network of depthwise convolutions
    rounds: int
    heads: int
    grid: tuple[int, int]  # Variants and examples of its metrics
    replicates: int


FULL = Sizes(
    loops=(
        Subject("resnet50", 224, "bfloat16", width=1, batch=256, steps=25),
        Subject("resnet50", 224, "bfloat16", width=1, batch=512, steps=25),
        Subject("vit_b_16", 224, "bfloat16", width=1, batch=256, steps=12),
    ),
    finetunes=64,
    finetuned_size=grid.SIZE,
    n=grid.N,
    epochs=grid.EPOCHS,
    scored=grid.TEST,
    packs=(
        ("map", 1), ("vmap", 64), ("vmap", 8), ("map", 64), ("vmap", 32), ("vmap", 1), ("map", 8),
    ),
    small=Subject("convnet", 64, "float32", width=16, batch=64, steps=32),
    large=(
        Subject("resnet50", 224, "bfloat16", width=4, batch=64, steps=8),
        Subject("vit_s_16", 224, "bfloat16", width=4, batch=64, steps=8),
    ),
    largest=(Subject("vit_b_16", 224, "bfloat16", width=2, batch=64, steps=8),),
    depthwise=Subject("tf_efficientnet_lite0", 224, "bfloat16", width=4, batch=64, steps=8),
    rounds=5,
    heads=10_000,
    grid=(4096, 20_000),
    replicates=200,
)  # fmt: skip
SMOKE = Sizes(
    loops=(Subject("resnet18", 16, "bfloat16", width=1, batch=4, steps=2),),
    finetunes=2,
    finetuned_size=16,
    n=64,
    epochs=1,
    scored=64,
    packs=(("map", 1), ("vmap", 2)),
    small=Subject("convnet", 16, "float32", width=2, batch=4, steps=2),
    large=(),
    largest=(),
    depthwise=Subject("tf_efficientnet_lite0", 32, "float32", width=2, batch=4, steps=2),
    rounds=1,
    heads=8,
    grid=(16, 200),
    replicates=4,
)
