"""How long plans for devices that are not attached take: with nothing kept, and again.

    pip install -e . 'jax[tpu]'                       # of GPUs: 'jax[cuda12-local]'
    python -m benchmarks.plans --fairface=PATH --out=benchmarks/results/plans.json
    python -m benchmarks.plans --only=programme --targets=v5e:16x16

Each is `jaxbias run --dry_run --target=T --price=1`, a command of its own, twice: with the images
prepared and no analysis kept, and with what the first kept. Rows that the file has are not measured
again. `of_page` is what the page says of all that is to be done.
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
from typing import Any

from benchmarks.hardware import hardware
from jaxbias.data.directories import home
from jaxbias.files.atomic import write_text

RESNET = (
    "--config.model.name=resnet50", "--config.model.stem=imagenet",
    "--config.model.compute_dtype=bfloat16", "--config.data.image_size=224",
)  # fmt: skip
CONFIGS = {
    "programme": ("configs/programme.py", ()),
    "resnet50": ("configs/fairface_age.py", RESNET),
}
TARGETS = ("v5e:16x16", "h100")


def measured(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Returns what a command takes, and what its page says of all that is to be done."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [""])[-1][:300]}
    return {
        "seconds": round(seconds, 1),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "of_page": [x for x in done.stdout.splitlines() if x.startswith("All that is to be done")],
    }


def row(name: str, target: str, fairface: str) -> dict[str, Any]:
    """Returns the cold and the cached plan of a config for a target."""
    config, given = CONFIGS[name]
    command = [sys.executable, "-m", "jaxbias", "run", f"--config={config}", "--dry_run", *given]
    if name == "resnet50":
        command.append(f"--config.data.path={fairface}")
    with tempfile.TemporaryDirectory() as kept:
        for each in home().iterdir() if home().exists() else ():
            if each.name != "analyses":  # Images are prepared already.
                (Path(kept) / each.name).symlink_to(each)
        environment = {**os.environ, "JAXBIAS_HOME": kept}
        asked = [*command, f"--target={target}", "--price=1"]
        return {each: measured(asked, environment) for each in ("cold", "cached")}


def main() -> None:
    """Measures plan by plan and writes after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(CONFIGS))
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--fairface", default="", help="its folder")
    parser.add_argument("--out", type=Path, help="JSON to write")
    given = parser.parse_args()
    found = json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    rows = found.setdefault("rows", {})
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    found.setdefault("hardware", hardware())
    for name in given.only.split(","):
        for target in given.targets.split(","):
            if f"{name} {target}" in rows:
                continue
            rows[f"{name} {target}"] = row(name, target, given.fairface)
            print(name, target, json.dumps(rows[f"{name} {target}"]), flush=True)
            if given.out:
                write_text(given.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
