"""Seconds per training step by either convolution, for every way of mapping variants.

    python -m benchmarks.convolution --out=benchmarks/results/convolution.json

`models.convolution.choose` goes by these: what `auto` takes on a platform and in a mode.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.hardware import hardware
from jaxbias.models import Network, make_network
from jaxbias.parallel import map_variants
from jaxbias.study import ModelSpec
from jaxbias.training import Hyper, Schedule, TrainingSet, make_train


def members(network: Network, schedule: Schedule, width: int) -> Any:
    """Stacked inputs of `width` runs."""
    params = jax.tree.map(np.asarray, jax.jit(network.init)(jax.random.key(0)))
    ids = np.arange(schedule.n, dtype=np.int32)
    examples = TrainingSet(
        ids, (ids[:, None] % 2).astype(np.float32), np.ones(schedule.n, np.float32), ids % 4, ids
    )
    hyper = Hyper(*map(np.float32, (0.01, 1e-4, 0.75, 0.0)))
    one = (params, examples, hyper, jax.random.key_data(jax.random.key(0)))
    return jax.tree.map(lambda leaf: np.stack([leaf] * width), one)


def seconds_per_step(network: Network, mapped: str, args: argparse.Namespace) -> dict[str, float]:
    """Times whole runs of a pack, the best of some repeats, per step and variant."""
    schedule = Schedule(args.batch * args.steps, epochs=1, batch=args.batch, momentum=0.9)
    train = make_train(network, schedule)

    def one(member: tuple, images: jax.Array) -> jax.Array:
        params, examples, hyper, key = member
        return train(params, examples, hyper, jax.random.wrap_key_data(key), images).loss

    shape = (schedule.n, args.image_size, args.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    inputs = jax.device_put((members(network, schedule, args.width), images))
    began = time.perf_counter()
    program = jax.jit(map_variants(one, mapped)).lower(*inputs).compile()
    compiled = time.perf_counter() - began
    program(*inputs).block_until_ready()
    best = float("inf")
    for _ in range(args.repeats):
        began = time.perf_counter()
        program(*inputs).block_until_ready()
        best = min(best, time.perf_counter() - began)
    return {"seconds": best / (args.steps * args.width), "compile_seconds": compiled}


def main() -> None:
    """Prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="convnet,resnet18")
    parser.add_argument("--stem", default="small")
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--width", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--modes", default="map,vmap,unroll")
    parser.add_argument("--compute_dtype", default="float32")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    for name in args.models.split(","):
        for mapped in args.modes.split(","):
            for method in ("patches", "conv"):
                spec = ModelSpec(
                    name=name,
                    stem=args.stem,
                    convolution=method,
                    compute_dtype=args.compute_dtype,
                )
                network = make_network(spec, args.image_size, 1)
                row = {"model": name, "mapped": mapped, "method": method}
                rows.append({**row, **seconds_per_step(network, mapped, args)})
                print(
                    f"{name:<10} {mapped:<7} {method:<8} {1e3 * rows[-1]['seconds']:9.1f} ms",
                    flush=True,
                )
    if args.out:
        settings = {k: v for k, v in vars(args).items() if k != "out"}
        record = {"hardware": hardware(), "settings": settings, "rows": rows}
        args.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
