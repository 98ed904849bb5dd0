"""What compilers say of the shipped networks on chips that are not attached; nothing is run.

    pip install -e ".[bench]" 'jax[tpu]'          # of GPUs: 'jax[cuda12-local]'
    python -m benchmarks.targets --out=benchmarks/results/targets.json
    python -m benchmarks.targets --only=convnet,vit_s_16 --targets=v5e --modes=map,vmap

One row per network, mode and kind of chip, of a pack with 4 networks on every chip: n = 1,024
examples in batches of 64, 20,000 scored, a store of 30,000 images, computed in bfloat16; and of
heads on 512 features, 256 on a chip, in float32. `peak_gib` is of that program, compiled at low
effort; `step_ms`, `images_s` (of one chip) and `of_peak` of a step as a run compiles it, by the
compiler's cycles, and of GPUs, whose compiler tells none, by the roofline: bounds.
`compile_cpu_s` is the CPU time of the compiler, low effort and full. Rows that the file has are not
measured again.
"""

import argparse
import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.hardware import hardware
from jaxbias.files.atomic import write_text

# Names of networks -> the side of their images.
NETWORKS = {
    "convnet": 64,
    "resnet18": 224,
    "resnet50": 224,
    "vit_s_16": 224,
    "vit_b_16": 224,
    "tf_efficientnet_lite0": 224,
    "head": 1,
}
MODES = ("map", "vmap", "unroll")
TARGETS = {"v5e": "v5e:2x2", "v5p": "v5p:2x2x1", "h100": "h100"}
N, BATCH, SCORED, IMAGES, FEATURES = 1024, 64, 20000, 30000, 512
WIDTHS = (16, 32, 64, 128)  # Of the convnet
# Members of a pack on a chip.
EACH, HEADS = 4, 256


def row(network: str, mode: str, name: str) -> dict[str, Any]:
    """Returns what the compiler of a target says of a network's packs. In a process of its own."""
    from jaxbias.targets import aim, described

    at = described(name)
    os.environ.update(at.environment)
    aim(at)
    from jaxbias.costs import prediction
    from jaxbias.costs.timing import counts
    from jaxbias.engine.memory import device_room
    from jaxbias.engine.unattached import BRIEFLY, UnattachedExecutor
    from jaxbias.parallel import make_mesh

    program, most = program_of(network, mode), width_of(network)
    width = most * at.chips
    executor = UnattachedExecutor(make_mesh(at.chips), mode, device_room(0, at.chips))
    found: dict[str, Any] = {"chip": at.device}
    if at.compiled:
        began = time.process_time()
        analysis = executor.analysis(program, width, BRIEFLY)
        found["compile_cpu_s"] = [round(time.process_time() - began, 1)]
        found |= {"fits": analysis.fits, "peak_gib": round(analysis.peak / 2**30, 2)}
    flops = counts(program.brief)["unit_flops"]
    if at.kind.clock:
        each, began = most if mode == "vmap" else 1, time.process_time()
        seconds = prediction.step_seconds(executor, program.brief, each * at.chips, at.kind) / each
        found["compile_cpu_s"].append(round(time.process_time() - began, 1))
    else:
        seconds = flops / prediction.peak_flops(at.kind, program)
        seconds = max(seconds, counts(program.brief)["unit_traffic"] / at.kind.bandwidth)
    share = flops / seconds / prediction.peak_flops(at.kind, program)
    return found | {
        "basis": "cycles" if at.kind.clock else "roofline",
        "step_ms": round(1e3 * seconds, 4),
        "images_s": round(BATCH / seconds),
        "of_peak": round(share, 4),
    }


def width_of(network: str) -> int:
    """Returns how many train on a chip at once."""
    return HEADS if network == "head" else EACH


def program_of(network: str, mode: str) -> Any:
    """Returns the finetuning of a network in bfloat16, or of heads."""
    from jaxbias.engine.members import schedule_of
    from jaxbias.engine.programs import Heads, training_of
    from jaxbias.models import Head, make_network
    from jaxbias.plan.variants import Recipe
    from jaxbias.study import FinetuneSpec, ModelSpec

    finetune = FinetuneSpec(batch=BATCH, mode="head" if network == "head" else "full")
    recipe, size = Recipe.of(finetune), NETWORKS[network]
    schedule = schedule_of(recipe, "erm", N, cells=4)
    if network == "head":
        return Heads(Head(FEATURES), SCORED, (IMAGES, FEATURES), schedule)
    spec = ModelSpec(name=network, compute_dtype="bfloat16", widths=WIDTHS)
    made, images = make_network(spec, size, 1, mapped=mode), (IMAGES, size, size, 3)
    return training_of(made, recipe, schedule, scored=SCORED, images=images, rows=IMAGES)


def apart(*asked: str) -> dict[str, Any]:
    """Returns `row`, or what it failed by in one line."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(row, *asked).result()
        except Exception as error:  # Whatever it is, the next row goes on.
            return {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}"}


def _compilers() -> dict[str, str]:
    """The versions of those that are installed."""
    installed = {each.name: each.version for each in metadata.distributions()}
    return {name: installed[name] for name in ("libtpu", "jax-cuda12-plugin") if name in installed}


def main() -> None:
    """Measures row by row and writes after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(NETWORKS))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--out", type=Path, help="JSON to write")
    given = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    found = json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    rows = found.setdefault("rows", {})
    if "hardware" not in found:
        found["hardware"] = hardware() | _compilers()
    for kind in given.targets.split(","):
        for network in given.only.split(","):
            for mode in given.modes.split(","):
                name = f"{network} {mode} {kind}"
                if name in rows:
                    continue
                rows[name] = apart(network, mode, TARGETS[kind])
                print(name, json.dumps(rows[name]), flush=True)
                if given.out:
                    write_text(given.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
