"""64 finetunes of a small convnet, side by side with what people run today, in one run.

    pip install -e ".[bench]"
    python -m benchmarks.grid --out=benchmarks/results/grid.json
    python -m benchmarks.grid --flat --out=benchmarks/results/grid_flat.json

Everything alike: 64² built-in faces, stride-2 stages 16-32-64-128, n = 1,024, batch 64, 8 epochs,
flips, SGD with momentum, scores of 5,000 test images; wall-clock with everything included, from
images at rest to scores on disk. Peers, each in a process of its own: jaxbias with packs; jaxbias
with packs of one; a tuned PyTorch loop over runs in one process (decoded images in memory, channels
last, fused updates); PyTorch with a process per run that reads JPEG files and scores the test set
after every epoch, as the paper's code works (extrapolated from `--slow-runs` of them).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.hardware import hardware

WIDTHS, SIZE, N, EPOCHS, BATCH, TEST = (16, 32, 64, 128), 64, 1024, 8, 64, 5000
RATE, MOMENTUM, DECAY = 0.02, 0.9, 1e-4


def study_config(runs: int, packs: bool) -> dict:
    """A study of `runs` finetunes of fresh networks on natural draws."""
    return {
        "name": "benchmark",
        "targets": ("Wearing_Earrings",),
        "data": {
            "image_size": SIZE,
            "faces": {
                "population": {"finetune": 2000, "validation": 100, "test": TEST},
                "cell_minimum": {"finetune": 20, "validation": 2, "test": 2},
                "strata": {
                    "finetune": ("Wearing_Earrings",),
                    "validation": ("Wearing_Earrings",),
                },
            },
        },
        "group": {"column": "Male", "values": ("0", "1"), "names": ("female", "male")},
        "bases": {"Scratch": {"role": "scratch"}},
        "model": {"widths": WIDTHS},
        "finetune": {
            "n": (N,), "seeds": runs, "epochs": EPOCHS, "batch": BATCH,
            "learning_rate": RATE, "momentum": MOMENTUM, "weight_decay": DECAY,
        },
        "grid": {"pack_width": 16, "devices": 2} if packs else {"pack_width": 1, "devices": 1},
    }  # fmt: skip


def flat_config(runs: int) -> dict:
    """A study of small finetunes: 128 images, 2 epochs, packs of up to 64."""
    config = study_config(runs, packs=True)
    config["finetune"] |= {"n": (128,), "epochs": 2}
    config["grid"] = {"pack_width": 0, "devices": 2}
    return config


def run_jaxbias(config: dict) -> dict[str, float]:
    """Trains and scores with jaxbias; the images are decoded already."""
    import jax

    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", False)  # Compiling counts.
    from jaxbias.data import load
    from jaxbias.stages import train as train_stage
    from jaxbias.study import make_study
    from jaxbias.workdir.results import ResultDirectory

    study = make_study(config)
    load(study.data)
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        timings = train_stage.train(study, directory)
        seconds = time.perf_counter() - began
        scores = ResultDirectory(directory).scores()
        labels = scores.examples.query("split == 'test'")["Wearing_Earrings"].to_numpy(bool)
        return _outcome(seconds, scores.test, labels) | {
            "compile_s": timings["compile_seconds"],
            "finetune_s": timings["finetune_seconds"],
        }


def flatness() -> dict[str, object]:
    """Time and memory per variant in grids of 64 to 1,024 small finetunes, each alone."""
    found = {}
    for runs in (64, 256, 1024):
        outcome = _alone("--peer=flat", f"--runs={runs}")
        steady = outcome["finetune_s"] - outcome["compile_s"]
        found[str(runs)] = {
            "ms_per_variant": 1e3 * steady / runs,
            "peak_GiB": outcome["peak_GiB"],
            "seconds": outcome["seconds"],
        }
    return found


def _outcome(seconds: float, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    aucs = [roc_auc_score(labels, row) for row in scores]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "runs": len(scores),
        "seconds": seconds,
        "mean_auc": float(np.mean(aucs)),
        "peak_GiB": round(peak, 2),
    }


def _torch_network(device: str = "cpu"):
    import torch

    layers, channels = [], 3
    for width in WIDTHS:
        layers += [torch.nn.Conv2d(channels, width, 3, 2, 1), torch.nn.ReLU()]
        channels = width
    side = SIZE // 2 ** len(WIDTHS)
    network = torch.nn.Sequential(
        *layers, torch.nn.Flatten(), torch.nn.Linear(channels * side**2, 1)
    )
    for layer in network:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    network = network.to(device, memory_format=torch.channels_last)
    sgd = torch.optim.SGD(
        network.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, foreach=True
    )
    return network, sgd


def _torch_step(network, sgd, images, labels) -> None:
    """One step on uint8 [B, 3, S, S]."""
    import torch

    x = images.float().mul_(2 / 255).sub_(1)
    flipped = torch.rand(len(x), device=x.device) < 0.5
    x = torch.where(flipped[:, None, None, None], x.flip(3), x)
    logits = network(x)[:, 0]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    sgd.zero_grad(set_to_none=True)
    loss.backward()
    sgd.step()


def _faces() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Finetuning images and labels, test images and labels."""
    from jaxbias.data import load
    from jaxbias.study import make_study

    dataset = load(make_study(study_config(1, True)).data)
    split = dataset.table["split"].to_numpy()
    labels = dataset.table["Wearing_Earrings"].to_numpy(bool)
    return tuple(
        part
        for name in ("finetune", "test")
        for part in (np.asarray(dataset.images[split == name]), labels[split == name])
    )


def run_torch(runs: int) -> dict[str, float]:
    """A loop over runs in one process, everything decoded once."""
    pool, pool_labels, test, test_labels = _faces()
    began = time.perf_counter()
    scores = torch_loop(runs, pool, pool_labels, test)
    with tempfile.TemporaryDirectory() as directory:
        np.save(Path(directory) / "scores.npy", scores)
    return _outcome(time.perf_counter() - began, scores, test_labels)


def torch_loop(
    runs: int,
    pool: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    epochs: int = EPOCHS,
    device: str = "cpu",
) -> np.ndarray:
    """Trains and scores runs one after another; returns their scores [runs, tested]."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    images = torch.from_numpy(pool).permute(0, 3, 1, 2).to(device)  # Channels last, as they lie.
    scored = torch.from_numpy(test).permute(0, 3, 1, 2).to(device)
    targets = torch.from_numpy(labels.astype(np.float32)).to(device)
    scores = np.zeros((runs, len(test)), np.float32)
    for run in range(runs):
        torch.manual_seed(run)
        network, sgd = _torch_network(device)
        chosen = torch.randperm(len(images), device=device)[:N]
        for epoch in range(epochs):
            if epoch == int(0.75 * epochs):
                sgd.param_groups[0]["lr"] = RATE / 10
            for batch in chosen[torch.randperm(len(chosen), device=device)].split(BATCH):
                _torch_step(network, sgd, images[batch], targets[batch])
        with torch.inference_mode():
            parts = [network(x.float().mul_(2 / 255).sub_(1))[:, 0] for x in scored.split(250)]
            scores[run] = torch.cat(parts).cpu().numpy()
    return scores


def write_jpegs(folder: Path) -> None:
    """Writes the faces as JPEG files, as a dataset of photographs comes."""
    from PIL import Image

    for name, images, labels in zip(("pool", "test"), *_pairs(_faces()), strict=True):
        (folder / name).mkdir()
        np.save(folder / f"{name}.npy", labels)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{i:05d}.jpg", quality=95)


def _pairs(parts: tuple) -> tuple[tuple, tuple]:
    return parts[::2], parts[1::2]


class JpegFolder:
    """A map-style dataset of JPEG files, decoded at every access."""

    def __init__(self, folder: Path, name: str) -> None:
        self.paths = sorted((folder / name).glob("*.jpg"))
        self.labels = np.load(folder / f"{name}.npy").astype(np.float32)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        import torch
        from PIL import Image

        with Image.open(self.paths[index]) as image:
            pixels = np.asarray(image.convert("RGB"))
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1), self.labels[index]


def run_torch_from_files(folder: Path, seed: int) -> None:
    """One run as the paper's code does it: a process, JPEGs, the test set after every epoch."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(seed)
    pool, test = JpegFolder(folder, "pool"), JpegFolder(folder, "test")
    subset = torch.utils.data.Subset(pool, torch.randperm(len(pool))[:N].tolist())
    settings = {"num_workers": 2, "batch_size": BATCH}
    train = torch.utils.data.DataLoader(subset, shuffle=True, **settings)
    scored = torch.utils.data.DataLoader(test, **settings)
    network, sgd = _torch_network()
    for _ in range(EPOCHS):
        for images, labels in train:
            _torch_step(network, sgd, images, labels)
        with torch.inference_mode():
            for images, _ in scored:
                network(images.float().mul_(2 / 255).sub_(1))


def _matmul_rate() -> float:
    """GFLOP/s of a large float32 matrix product."""
    import jax
    import jax.numpy as jnp

    size = 2048
    x = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda x: x @ x)
    product(x).block_until_ready()
    began = time.perf_counter()
    for _ in range(5):
        product(x).block_until_ready()
    return 5 * 2 * size**3 / (time.perf_counter() - began) / 1e9


def flops(runs: int) -> float:
    """Of the convolutions and the head, forward and backward, and of scoring."""
    side, channels, forward = SIZE, 3, 0
    for width in WIDTHS:
        side //= 2
        forward += 2 * 9 * channels * width * side**2
        channels = width
    forward += 2 * channels * side**2
    return runs * forward * (3 * N * EPOCHS + TEST)


def _alone(*words: str) -> dict[str, float]:
    """Runs one peer in a process of its own and reads what it prints last."""
    command = [sys.executable, "-m", "benchmarks.grid", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def side_by_side(runs: int, slow_runs: int) -> dict[str, object]:
    """Times all peers."""
    _alone("--peer=jaxbias", "--runs=2")  # Renders the faces.
    found: dict[str, object] = {
        "jaxbias": _alone("--peer=jaxbias", f"--runs={runs}"),
        "torch_loop": _alone("--peer=torch", f"--runs={runs}"),
        "jaxbias_packs_of_one": _alone("--peer=jaxbias-one", f"--runs={runs}"),
    }
    with tempfile.TemporaryDirectory() as directory:
        write_jpegs(Path(directory))
        began = time.perf_counter()
        for seed in range(slow_runs):
            words = [f"--peer=torch-files:{directory}", f"--runs={seed}"]
            subprocess.run([sys.executable, "-m", "benchmarks.grid", *words], check=True)
        each = (time.perf_counter() - began) / slow_runs
    found["torch_process_per_run"] = {
        "seconds_per_run": each,
        "seconds": each * runs,
        "extrapolated_from_runs": slow_runs,
    }
    ours = found["jaxbias"]["seconds"]
    return found | {
        "times_torch_loop": found["torch_loop"]["seconds"] / ours,
        "times_torch_process_per_run": found["torch_process_per_run"]["seconds"] / ours,
        "times_packs_of_one": found["jaxbias_packs_of_one"]["seconds"] / ours,
        "jaxbias_GFLOP_per_s": flops(runs) / ours / 1e9,
        "torch_GFLOP_per_s": flops(runs) / found["torch_loop"]["seconds"] / 1e9,
        "matmul_GFLOP_per_s": _matmul_rate(),
    }


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--slow-runs", type=int, default=2)
    parser.add_argument("--flat", action="store_true", help="64 to 1,024 small finetunes instead")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peer", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    peer, _, folder = arguments.peer.partition(":")
    if peer == "torch-files":
        run_torch_from_files(Path(folder), arguments.runs)
        return
    if peer:
        runs = arguments.runs
        if peer == "torch":
            found = run_torch(runs)
        elif peer == "flat":
            found = run_jaxbias(flat_config(runs))
        else:
            found = run_jaxbias(study_config(runs, packs=peer == "jaxbias"))
        print(json.dumps(found))
        return
    found = {
        "hardware": hardware(),
        **(flatness() if arguments.flat else side_by_side(arguments.runs, arguments.slow_runs)),
    }
    text = json.dumps(found, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
