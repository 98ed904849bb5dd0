"""What one accelerator does of all that takes long, in one command of at most 25 minutes.

    pip install -e ".[bench]"
    python -m benchmarks.accelerator --out=benchmarks/results/accelerator.json
    python -m benchmarks.accelerator --smoke --only=packs,metrics   # tiny sizes, on any device
    python -m benchmarks.accelerator --out=found.json --table=$HOME/.cache/jaxbias/modes.json

Sections (`accelerator_sections.py`), each in a process of its own, in order of what they are worth:
pretraining (the long loop, images per second) and PyTorch's; depthwise convolutions by method;
packs of whole finetunes, packs of one and PyTorch's loop over them; modes times models (ms per step
of a variant), and PyTorch's loop at their batch; metrics of a grid, on the host's CPU; heads by SGD
and by L-BFGS. What is found is written as soon as it is, so a run that is stopped loses the
measurement under way; one that fails leaves its error in one line. `--table` adds what modes and
heads did to a table of modes, such as the user's own, by which `config.grid.mode="auto"` chooses
and plans are corrected.

Images are noise on the device and compiling is told apart. Shares of the peak are of the card's
dense one by its data sheet, bfloat16, or TF32 where models compute in float32; FLOPs of training
are those XLA counts of a step by plain convolutions.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxbias.files.atomic import write_text

# Seconds after which a section is stopped, in the order in which they run.
LIMITS = {
    "pretraining": 150,
    "pretraining_torch": 60,
    "depthwise": 150,
    "packs": 120,
    "packs_torch": 25,
    "modes": 760,
    "modes_torch": 60,
    "metrics": 50,
    "heads": 60,
}
# With less than this left no section is begun.
_LEAST = 10.0


def write(found: dict[str, object], out: Path | None) -> None:
    """Writes everything so far, whole or not at all."""
    if out:
        write_text(out, json.dumps(found, indent=1) + "\n")


def run_section(name: str, smoke: bool, limit: float, cache: str) -> Iterator[tuple[str, object]]:
    """Runs a section in a process of its own; yields what it measured, and last how it ended."""
    command = [sys.executable, "-m", "benchmarks.accelerator", f"--section={name}"]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, *(["--smoke"] if smoke else [])],
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(cache),
    ) as process:
        timer = threading.Timer(limit, process.kill)
        timer.start()
        try:
            for line in process.stdout or ():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    said = json.loads(line)
                    yield said["measured"], said["values"]
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
    seconds = time.perf_counter() - began
    yield "seconds", round(seconds, 1)
    if code:
        stopped = seconds >= limit
        yield "error", f"stopped after {limit:.0f} s" if stopped else f"exit status {code}"


def _environment(cache: str) -> dict[str, str]:
    """Sections share what XLA found out about kernels, and each has the card to itself."""
    added = {"JAX_COMPILATION_CACHE_DIR": cache}
    return {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.9", **os.environ, **added}


def run_measurements(name: str, smoke: bool) -> None:
    """Does the measurements of a section and prints each, or its error, as a line of JSON."""
    from benchmarks.accelerator_sections import SECTIONS
    from benchmarks.accelerator_sizes import FULL, SMOKE

    def tell(measured: str, values: object) -> None:
        print(json.dumps({"measured": measured, "values": values}), flush=True)

    if not name.endswith("_torch"):  # JAX would take the memory of the card.
        from benchmarks.hardware import hardware

        tell("hardware", outcome(hardware))
    for measured, work in SECTIONS[name](SMOKE if smoke else FULL):
        tell(measured, outcome(work))


def outcome(work: Callable[[], dict[str, object]]) -> dict[str, object]:
    """What a measurement finds, or why it failed, and the seconds it took in all."""
    began = time.perf_counter()
    try:
        found = work()
    except Exception as error:  # Whatever it is, the next measurement goes on.
        lines = str(error).strip().splitlines() or [""]
        found = {"error": f"{type(error).__name__}: {lines[0][:300]}"}
    return {**found, "took_s": round(time.perf_counter() - began, 2)}


def main() -> None:
    """Runs the sections and writes after every measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=1450, help="seconds of all sections")
    parser.add_argument("--only", default="", help=f"of {','.join(LIMITS)}")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--out", type=Path, help="JSON to write")
    parser.add_argument("--table", type=Path, help="table of modes to add to")
    parser.add_argument("--section", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.section:
        run_measurements(given.section, given.smoke)
        return
    chosen = given.only.split(",") if given.only else list(LIMITS)
    if unknown := set(chosen) - set(LIMITS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    began = time.perf_counter()
    found: dict[str, object] = {"smoke": given.smoke, "budget_s": given.budget}
    with tempfile.TemporaryDirectory() as cache:
        for name in chosen:
            left = given.budget - (time.perf_counter() - began)
            section = found[name] = {}
            if left < _LEAST:
                section["error"] = "not begun: the budget is spent"
                write(found, given.out)
                continue
            for measured, values in run_section(name, given.smoke, min(LIMITS[name], left), cache):
                if measured == "hardware":
                    found.setdefault(measured, values)
                    continue
                section[measured] = values
                print(f"{name}: {measured}: {json.dumps(values)}", flush=True)
                write(found, given.out)
    if given.table and "hardware" in found:  # Else no section of ours ran.
        from benchmarks.mode_table import measured as entries
        from jaxbias.costs.mode_table import write_table

        write_table(given.table, list(entries(found)))


if __name__ == "__main__":
    main()
