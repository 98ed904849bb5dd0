"""How many cycles the kernels of attention take on a v5e that is not attached; nothing is run.

    pip install -e . 'jax[tpu]'
    python -m benchmarks.kernels --tokens=17,65,145,197,257 --heads=3,6,12

The compiler writes down its schedule of a kernel: instructions in words, one a cycle. It has the
products of a unit follow each other closer than the published peak of a chip allows, so they wait
here: each takes its unit a cycle for each of 16 rows, and so does each load of weights. Of a
product of 768 x 768 that XLA schedules itself this gives 0.98 times the cycles that it expects.
Bytes to and from the memory are hidden behind it: they take a third of the time at most. Printed
are words, cycles of an image, and those that `jaxbias.models.attention_kernel.cycles` tells.
"""

import argparse
import multiprocessing
import os
import re
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROWS = 16  # Of bfloat16 in a register.
_WORD = re.compile(r"\s*0x[0-9a-f]+\s*(?:[A-Z]+)?\s*:\s*(?:>+\s*)?\{(.*)")
_UNIT = re.compile(r"\bvmat(mul|push)[a-z0-9.]*\.(mxu\d)")
_DUMP = (
    "--xla_jf_dump_to={} --xla_jf_dump_llo_text=true --xla_jf_dump_llo_pass_label_regex=.*final.*"
)


def counted(schedule: str) -> tuple[int, int]:
    """Counts the words of a kernel's schedule, and the cycles of one turn of its grid.

    Args:
      schedule: the text of its "final_bundles".
    """
    free: Counter[tuple[str, str]] = Counter()
    words = now = 0
    for line in schedule.splitlines():
        word = _WORD.match(line)
        if word is None:
            continue
        asked = _UNIT.findall(word[1])
        now = max([now, *(free[each] for each in asked)])
        free.update({each: now + ROWS - free[each] for each in set(asked)})
        words, now = words + 1, now + 1
    return words, now


def measured(tokens: int, heads: int) -> dict[str, tuple[int, int]]:
    """Compiles both kernels: name -> words and cycles. In a process of its own."""
    from jaxbias.targets import aim, described

    at = described("v5e:2x2")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(at.environment, LIBTPU_INIT_ARGS=_DUMP.format(folder))
        aim(at)
        import jax
        import jax.numpy as jnp

        from jaxbias.models.attention_kernel import attend_packed

        width, lies = 64 * heads, jax.sharding.SingleDeviceSharding(at.devices()[0])
        shapes = (2, tokens, 3 * width), (3 * width,), (2, tokens, width)

        def both(made: jax.Array, bias: jax.Array, slopes: jax.Array) -> tuple:
            seen, back = jax.vjp(lambda *x: attend_packed(heads, *x), made, bias)
            return seen, back(slopes)

        given = [jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=lies) for shape in shapes]
        jax.jit(both).lower(*given).compile()
        texts = {
            name: path.read_text()
            for name in ("look", "back")
            for path in Path(folder).glob(f"*{name}*final_bundles.txt")
            if "schedule-analysis" not in path.name
        }
    return {name: counted(text) for name, text in texts.items()}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", default="17,65,145,197,257")
    parser.add_argument("--heads", default="3,6,12")
    given = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    from jaxbias.models.attention_kernel import cycles

    print("tokens heads kernel  words cycles   told")
    for tokens in map(int, given.tokens.split(",")):
        for heads in map(int, given.heads.split(",")):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                found = pool.submit(measured, tokens, heads).result()
            for name, told in zip(("look", "back"), cycles(tokens, heads), strict=True):
                words, taken = found[name]
                print(f"{tokens:6} {heads:5} {name:6} {words:6} {taken:6} {told:6}", flush=True)


if __name__ == "__main__":
    main()
