"""Decoding photographs into squares, against Pillow alone and torch's DataLoader.

    pip install -e ".[bench]"
    python -m benchmarks.decode --fairface=DIR --out=benchmarks/results/decode.json
    python -m benchmarks.decode --images=200 --rounds=1   # in seconds, without FairFace

Four sets of JPEG files: FairFace's (224 × 224) where its folder is given, and textures made here of
the sizes of ImageNet (500 × 375), of phones (1600 × 1200) and of cameras (4000 × 3000). Pillow
alone opens, converts, resizes the shorter side (triangle filter) and crops, one after another.
torch's DataLoader does the same in one worker per core, in batches of 64 uint8 tensors, and has its
workers up before the clock starts. jaxbias decodes into a store on disk, checksum and all, by
threads and by processes, whose start is timed. Rounds are interleaved; the best of each counts.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import PIL.features
from PIL import Image

from benchmarks.hardware import hardware
from jaxbias.data import decode, files, workers
from jaxbias.data.source import Source
from jaxbias.data.store import open_store

CASES = {  # name -> width, height, side of the squares, share of --images
    "imagenet": (500, 375, 224, 1.0),
    "phone": (1600, 1200, 224, 0.25),
    "camera": (4000, 3000, 224, 0.05),
}
BATCH = 64


def write_photographs(folder: Path, count: int, width: int, height: int) -> list[Path]:
    """Writes JPEGs with the spectrum of photographs (amplitudes as 1/frequency), quality 90.

    Large ones are softer pixel by pixel, as those of a lens are.
    """
    folder.mkdir(parents=True)
    fy, fx = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    frequency = np.hypot(fy, fx)
    amplitude = 1 / np.maximum(frequency, 1 / max(width, height))
    amplitude *= np.exp(-((frequency * max(width, height) / 500) ** 2))
    made = []
    for seed in range(min(count, 8)):  # The rest are copies, which decoders do not notice.
        rng = np.random.default_rng(seed)
        channels = []
        for _ in range(3):
            phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
            field = np.fft.irfft2(amplitude * phase, (height, width))
            channels.append(128 + 60 * field / field.std())
        pixels = np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    paths = [folder / f"{i}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(made[i % len(made)])
    return paths


def square(path: Path, size: int) -> np.ndarray:
    """What everyone writes: open, convert, resize the shorter side, crop the centre."""
    with Image.open(path) as image:
        image = image.convert("RGB")
    scale = size / min(image.size)
    wide = (max(size, round(image.width * scale)), max(size, round(image.height * scale)))
    image = image.resize(wide, Image.Resampling.BILINEAR)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def by_pillow(paths: list[Path], size: int) -> float:
    """Seconds of one thread, into one array."""
    start = time.perf_counter()
    out = np.empty((len(paths), size, size, 3), np.uint8)
    for i, path in enumerate(paths):
        out[i] = square(path, size)
    return time.perf_counter() - start


class Squares:
    """A map-style dataset of torch."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> "object":
        import torch

        return torch.from_numpy(square(self.paths[i], self.size).copy())


def by_torch(paths: list[Path], size: int) -> float:
    """Seconds of a DataLoader, into one array; its workers have started before."""
    from torch.utils.data import DataLoader

    loader = DataLoader(
        Squares(paths, size),
        BATCH,
        num_workers=os.cpu_count() or 1,
        persistent_workers=True,
        multiprocessing_context="forkserver",
    )
    out = np.empty((len(paths), size, size, 3), np.uint8)
    for _ in loader:  # The first epoch starts the workers.
        pass
    start = time.perf_counter()
    for i, batch in enumerate(loader):
        out[i * BATCH : i * BATCH + len(batch)] = batch.numpy()
    return time.perf_counter() - start


def by_store(paths: list[Path], size: int, processes: bool) -> float:
    """Seconds of building a store on disk."""
    names = [path.name for path in paths]
    table = pd.DataFrame({"id": names, "split": "all"})
    source = Source("benchmark", str(paths[0]), table, files.Reader(paths[0].parent, names))
    worth = 1 if processes else sys.maxsize
    with tempfile.TemporaryDirectory() as home, _environment(JAXBIAS_HOME=home):
        start = time.perf_counter()
        with mock.patch.object(workers, "_WORTH_PROCESSES", worth):
            open_store(source, size, "error")
        return time.perf_counter() - start


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    with mock.patch.dict(os.environ, values):
        yield


def measure(paths: list[Path], size: int, rounds: int, torch: bool) -> dict[str, float]:
    """Images per second of every way, the best of interleaved rounds."""
    ways: dict[str, Callable[[], float]] = {
        "pillow_alone": lambda: by_pillow(paths, size),
        "jaxbias_threads": lambda: by_store(paths, size, processes=False),
        "jaxbias_processes": lambda: by_store(paths, size, processes=True),
    }
    if torch:
        ways["torch_dataloader"] = lambda: by_torch(paths, size)
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            best[name] = min(best[name], way())
    found = {name: len(paths) / seconds for name, seconds in best.items()}
    mine = max(found["jaxbias_threads"], found["jaxbias_processes"])
    for peer in ("pillow_alone", "torch_dataloader"):
        if peer in found:
            found[f"times_{peer}"] = mine / found[peer]
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    """Measures, prints and, where asked, writes the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4000, help="of the small sizes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fairface", type=Path, help="folder with train/*.jpg")
    parser.add_argument("--out", type=Path, help="JSON to write")
    given = parser.parse_args()
    machine = {
        **hardware(),
        "pillow": PIL.__version__,
        "libjpeg_turbo": PIL.features.version("libjpeg_turbo"),
        "preprocessing": decode.VERSION,
    }
    result: dict[str, object] = {"hardware": machine, "results": {}}
    try:
        import torch

        result["torch"] = torch.__version__
    except ImportError:
        print("torch is not installed: its DataLoader is left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        sets: dict[str, tuple[list[Path], int]] = {}
        if given.fairface:
            paths = sorted((given.fairface / "train").glob("*.jpg"))[: given.images]
            sets["fairface_to_64"] = (paths, 64)
            sets["fairface_to_224"] = (paths, 224)
        for name, (width, height, size, share) in CASES.items():
            count = max(16, round(given.images * share))
            sets[f"{name}_{width}x{height}_to_{size}"] = (
                write_photographs(Path(folder) / name, count, width, height),
                size,
            )
        for name, (paths, size) in sets.items():
            rates = measure(paths, size, given.rounds, "torch" in result)
            result["results"][name] = {"images": len(paths), **rates}
            print(name, json.dumps(rates), file=sys.stderr)
    text = json.dumps(result, indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
