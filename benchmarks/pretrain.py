"""Images per second of pretraining a ResNet, beside a plain PyTorch loop of the same network.

    pip install -e ".[bench]"
    python -m benchmarks.pretrain --out=benchmarks/results/pretrain.json            # ResNet-18, 64²
    python -m benchmarks.pretrain --model=resnet50 --size=224 --batch=256 --dtype=bfloat16
    python -m benchmarks.pretrain --model=vit_b_16 --size=224 --batch=256 --dtype=bfloat16

Everything alike: uint8 images in memory (jaxbias: on the device), flips, float conversion, forward
and backward in training mode, SGD with momentum and weight decay. The stem is the small-image one
below 100 pixels. Each round runs in a process of its own, the two taking turns; compiling and the
first steps are not timed; the best round of each counts. jaxbias runs `pretraining.fit`. FLOP/s
are those XLA counts of a step, beside the device's own matrix product.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.hardware import hardware

RATE, MOMENTUM, DECAY, COUNT = 0.05, 0.9, 1e-4, 2048


def data(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels; what they show does not matter here."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, size, size, 3), np.uint8)
    return images, rng.integers(0, 2, COUNT).astype(np.int32)


HYPER = (RATE, DECAY, 0.75, 0)  # As of `Hyper`.


def make_step(network, batch: int, steps: int):
    """The step of the long loop, as a supervised training by SGD takes it."""
    from jaxbias.training import Schedule, Step

    return Step(network, Schedule(COUNT, -(-steps * batch // COUNT), batch, MOMENTUM))


def run_jaxbias(asked: argparse.Namespace) -> dict[str, float]:
    """Times the loop as `jaxbias pretrain` runs it."""
    import jax

    devices = asked.devices if jax.default_backend() == "cpu" else 1
    from jaxbias.models import make_network
    from jaxbias.parallel import make_data_mesh, replicate
    from jaxbias.study import ModelSpec
    from jaxbias.training import Hyper, batches_of, stored
    from jaxbias.training.feeds import Batches, Curated
    from jaxbias.training.loop import fit
    from jaxbias.training.saves import Saves

    images, labels = data(asked.size)
    spec = ModelSpec(
        name=asked.model,
        stem="small" if asked.size < 100 else "imagenet",
        compute_dtype=asked.dtype,
        convolution=asked.convolution,
    )
    steps = asked.warm + asked.steps
    network = make_network(spec, asked.size, 1, mapped="loop")
    step = make_step(network, asked.batch, steps)
    key = np.asarray(jax.random.key_data(jax.random.key(0)))
    hyper = Hyper(*map(np.float32, HYPER))
    order = np.asarray(batches_of(key, step.schedule))[:steps]
    ids = np.arange(COUNT, dtype=np.int32)
    curated = Curated(ids, labels[:, None], np.ones(COUNT, np.float32))
    mesh = make_data_mesh(devices)
    fresh = jax.jit(network.init)(jax.random.key(0))
    with tempfile.TemporaryDirectory() as directory:
        saves = Saves(Path(directory) / "run", 1, {}, {})
        ended = fit(
            asked.model, step, lambda: step.begin(fresh, key), Batches(curated, order, 1, None),
            hyper, key, mesh, asked.lift, saves, steps, store=replicate(stored(images), mesh),
        )  # fmt: skip
        saves.close()
    memory = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
    return {
        "images_per_second": (steps - 1) * asked.batch / ended.seconds,
        "GFLOP_per_image": flops_per_image(step) / 1e9,
        "device_peak_GiB": round(memory / 2**30, 2),
    }


def flops_per_image(step) -> float:
    """Floating-point operations of training on an image, as XLA counts those of a step."""
    import jax

    from jaxbias.costs.flops import count_flops
    from jaxbias.training import Batch, Hyper

    step, b, s = _counted(step), step.schedule.batch, step.network.image_size
    batch = Batch(
        jax.ShapeDtypeStruct((1, b, s, s, 3), np.uint8),
        jax.ShapeDtypeStruct((1, b, 1), np.int32),
        jax.ShapeDtypeStruct((1, b), np.float32),
        jax.ShapeDtypeStruct((1, b), np.int32),
    )
    key = np.zeros(2, np.uint32)
    params = jax.eval_shape(step.network.init, jax.random.key(0))
    state = jax.eval_shape(lambda p: step.begin(p, key), params)
    return count_flops(step, state, batch, Hyper(*map(np.float32, HYPER)), key) / b


def _counted(step):
    """The same step without loops, of which XLA counts one turn."""
    network = step.network
    plain = dataclasses.replace(network.spec, convolution="conv")
    return dataclasses.replace(step, network=dataclasses.replace(network, spec=plain))


def run_product(asked: argparse.Namespace) -> dict[str, float]:
    """GFLOP/s of a large matrix product in the dtype of computation."""
    import jax
    import jax.numpy as jnp

    side = 8192 if jax.default_backend() != "cpu" else 2048
    x = jnp.ones((side, side), asked.dtype)
    product = jax.jit(lambda x: x @ x)
    best = np.inf
    for _ in range(6):
        began = time.perf_counter()
        jax.block_until_ready(product(x))
        best = min(best, time.perf_counter() - began)
    return {"GFLOP_per_second": 2 * side**3 / best / 1e9, "device": jax.devices()[0].device_kind}


def _torch_network(asked: argparse.Namespace):
    import torch

    declared = torch.library.Library("torchvision", "FRAGMENT")
    try:
        import torchvision
    except RuntimeError:
        # Its compiled operators are not there beside a CPU PyTorch, and not needed.
        for name in ("nms", "qnms"):
            declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

    if asked.model == "vit_s_16":  # The one that it has no name for.
        network = torchvision.models.VisionTransformer(
            asked.size, patch_size=16, num_layers=12, num_heads=6, hidden_dim=384, mlp_dim=1536,
            num_classes=1,
        )  # fmt: skip
    else:
        network = getattr(torchvision.models, asked.model)(num_classes=1)
    if asked.size < 100 and asked.model.startswith("resnet"):
        network.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        network.maxpool = torch.nn.Identity()
    return network, declared


def run_torch(asked: argparse.Namespace) -> dict[str, float]:
    """Times a plain loop: channels last, fused updates, autocast where the dtype is bfloat16."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(os.cpu_count() or 1)
    torch.backends.cudnn.benchmark = True
    images, labels = data(asked.size)
    images = torch.from_numpy(images).permute(0, 3, 1, 2).to(device)
    labels = torch.from_numpy(labels.astype(np.float32)).to(device)
    network, _declared = _torch_network(asked)
    network = network.to(device, memory_format=torch.channels_last)
    sgd = torch.optim.SGD(
        network.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, foreach=True
    )
    half = asked.dtype == "bfloat16"

    def step(places: torch.Tensor) -> None:
        x = images[places].float().mul_(2 / 255).sub_(1)
        flipped = torch.rand(len(x), device=device) < 0.5
        x = torch.where(flipped[:, None, None, None], x.flip(3), x)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            logits = network(x)[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels[places])
        sgd.zero_grad(set_to_none=True)
        loss.backward()
        sgd.step()

    began = 0.0
    for i in range(asked.warm + asked.steps):
        if i == asked.warm:
            if device == "cuda":
                torch.cuda.synchronize()
            began = time.perf_counter()
        step(torch.randperm(COUNT)[: asked.batch].to(device))
    if device == "cuda":
        torch.cuda.synchronize()
    return {"images_per_second": asked.steps * asked.batch / (time.perf_counter() - began)}


PEERS = {"jaxbias": run_jaxbias, "torch": run_torch, "product": run_product}


def alone(asked: argparse.Namespace, peer: str) -> dict[str, float]:
    """Runs a peer in a process of its own."""
    given = [f"--{name}={value}" for name, value in vars(asked).items() if name != "peer"]
    command = [sys.executable, "-m", "benchmarks.pretrain", f"--peer={peer}", *given]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Runs both in turn and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--warm", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--devices", type=int, default=2, help="of a CPU")
    parser.add_argument("--lift", default="shard_map")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--convolution", default="auto")
    parser.add_argument("--out", type=Path, default=Path("pretrain.json"))
    parser.add_argument("--peer", default="")
    asked = parser.parse_args()
    if asked.peer:
        if asked.peer == "jaxbias":
            import jax

            jax.config.update("jax_num_cpu_devices", asked.devices)
        print(json.dumps(PEERS[asked.peer](asked)))
        return
    rounds = {name: [] for name in ("jaxbias", "torch")}
    for _ in range(asked.rounds):
        for name, done in rounds.items():
            done.append(alone(asked, name))
            print(name, done[-1], flush=True)
    best = {n: max(r["images_per_second"] for r in done) for n, done in rounds.items()}
    product = alone(asked, "product")
    work = best["jaxbias"] * rounds["jaxbias"][0]["GFLOP_per_image"]
    settings = {name: value for name, value in vars(asked).items() if name not in ("out", "peer")}
    found = {
        "hardware": hardware(),
        "settings": settings,
        "rounds": rounds,
        "images_per_second": best,
        "times_torch": best["jaxbias"] / best["torch"],
        "GFLOP_per_second": work,
        "matrix_product": product,
        "fraction_of_matrix_product": work / product["GFLOP_per_second"],
    }
    asked.out.write_text(json.dumps(found, indent=1))
    print(json.dumps({k: v for k, v in found.items() if k != "rounds"}, indent=1))


if __name__ == "__main__":
    main()
