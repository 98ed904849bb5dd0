"""The least that a training step of a shipped network takes on a TPU v5e; nothing is compiled.

    python -m benchmarks.rooflines --out=benchmarks/results/rooflines.json

Of every convolution and matrix product of a step, there and back, as `jax.make_jaxpr` tells them:
the time of the product unit, whose tiles are 128 by 128 and whose rows come in eights, if each is
laid out as suits it best; and the fewest bytes, if each reads its operands and writes its results
once. The programs are those of a CPU, whose every product can be seen; norms, activations and the
optimiser are free here. Beside the bounds stands what the compiler says of the whole step
(`benchmarks.targets`).
"""

import argparse
import dataclasses
import itertools
import json
import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxprs_in_params

from benchmarks.targets import EACH, program_of
from jaxbias.costs.timing import counts, step_traffic
from jaxbias.targets import KINDS
from jaxbias.training import Step
from jaxbias.training.step import Batch

ROWS = ("convnet map", "convnet vmap", "resnet50 map", "vit_s_16 map", "vit_b_16 map")
LANES, SUBLANES = 128, 8
COMPILED = Path(__file__).parent / "results" / "targets.json"


def row(network: str, mode: str) -> dict[str, Any]:
    """Returns the bounds of a step of one network of a pack of `EACH`."""
    program, kind, each = program_of(network, mode), KINDS["v5e"], EACH if mode == "vmap" else 1
    spec = dataclasses.replace(program.model.spec, convolution="conv")
    program = dataclasses.replace(program, model=dataclasses.replace(program.model, spec=spec))
    found = [product(eqn) for eqn in products(step(program.brief, each).jaxpr)]
    flops, padded, moved = (sum(column) / each for column in zip(*found, strict=True))
    told = counts(program.brief)["unit_flops"]
    unit = padded / kind.flops
    memory = (moved + step_traffic(program.brief)) / kind.bandwidth
    known = json.loads(COMPILED.read_text())["rows"].get(f"{network} {mode} v5e", {})
    return {
        "products": len(found),
        "gflops": round(flops / 1e9, 3),
        "gflops_padded": round(padded / 1e9, 3),
        "unit_ms": round(1e3 * unit, 4),
        "memory_ms": round(1e3 * memory, 4),
        "ms_compiled": known.get("step_ms"),
        "of_peak_unit": round(told / unit / kind.flops, 4),
        "of_peak_memory": round(told / memory / kind.flops, 4),
        "of_peak_bound": round(told / max(unit, memory) / kind.flops, 4),
        "of_peak_compiled": known.get("of_peak"),
    }


def step(program: Any, each: int) -> ClosedJaxpr:
    """Returns a step of a program, of so many members by `vmap`."""
    (params, _, hyper, _), _ = program.shapes
    do, batch = Step(program.model, program.schedule), program.batch
    side = program.model.image_size
    images = jax.ShapeDtypeStruct((1, batch, side, side, 3), jnp.uint8)
    ones, ids = (jax.ShapeDtypeStruct((1, batch), dtype) for dtype in (jnp.float32, jnp.int32))
    labels = jax.ShapeDtypeStruct((1, batch, 1), jnp.float32)
    state = jax.eval_shape(do.begin, params)
    key = jax.eval_shape(lambda: jax.random.key(0))
    given = (state, Batch(images, labels, ones, ids), hyper, key)
    if each == 1:
        return jax.make_jaxpr(do)(*given)
    given = jax.tree.map(lambda x: jax.ShapeDtypeStruct((each, *x.shape), x.dtype), given)
    return jax.make_jaxpr(jax.vmap(do))(*given)


def products(jaxpr: Any) -> Iterator[Any]:
    """Yields the products of a program, those in loops once a turn."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in ("conv_general_dilated", "dot_general"):
            yield eqn
        inside = jaxprs_in_params(eqn.params)
        for _ in range(eqn.params["length"] if eqn.primitive.name == "scan" else 1):
            yield from itertools.chain.from_iterable(map(products, inside))


def product(eqn: Any) -> tuple[float, float, float]:
    """Returns a product's FLOPs, those of its tiles, and the bytes of its operands and result."""
    moved = sum(x.aval.size * x.aval.dtype.itemsize for x in (*eqn.invars, *eqn.outvars))
    of = _convolved if eqn.primitive.name == "conv_general_dilated" else _multiplied
    return *of(eqn.params, *(x.aval.shape for x in eqn.invars)), moved


def _multiplied(params: Any, left: tuple, right: tuple) -> tuple[float, float]:
    (summed, _), (batched, _) = params["dimension_numbers"]
    many, inner = (math.prod(left[i] for i in which) for which in (batched, summed))
    size = math.prod(left) // many // inner, inner, math.prod(right) // many // inner
    return 2.0 * many * math.prod(size), many * tiles(*size)


def _convolved(params: Any, left: tuple, right: tuple) -> tuple[float, float]:
    """A convolution is the product of what its outputs see and its kernel.

    Outputs that lie side by side may be columns of one product: they see less together than
    apart, and the kernel is written for each of them among zeros.
    """
    at = params["dimension_numbers"]
    split, parts = params["feature_group_count"], params["batch_group_count"]
    images, inputs = left[at.lhs_spec[0]] // parts, left[at.lhs_spec[1]] // split
    outputs = right[at.rhs_spec[0]] // (split * parts)
    sides = [
        _side(left[a], right[b], *(params[name][i] for name in _WINDOW))
        for i, (a, b) in enumerate(zip(at.lhs_spec[2:], at.rhs_spec[2:], strict=True))
    ]

    def padded(layout: tuple) -> float:
        blocks = (
            tuple(map(math.prod, zip(*block, strict=True))) for block in itertools.product(*layout)
        )
        return sum(tiles(images * many, inputs * seen, outputs * out) for seen, out, many in blocks)

    met = math.prod(met for met, _ in sides)
    least = min(map(padded, itertools.product(*(ways for _, ways in sides))))
    return 2.0 * split * parts * images * inputs * outputs * met, split * parts * least


_WINDOW = ("window_strides", "padding", "lhs_dilation", "rhs_dilation")


def _side(
    size: int, taps: int, stride: int, pad: tuple, holes: int, apart: int
) -> tuple[int, list[list[tuple[int, int, int]]]]:
    """Of one side: inputs that outputs meet, and ways to lay outputs out in blocks.

    A way is [(inputs that a block sees, its outputs, how many such blocks)].
    """
    wide = (size - 1) * holes + 1
    count = (wide + sum(pad) - (taps - 1) * apart - 1) // stride + 1
    sees = [
        {p for t in range(taps) if (p := o * stride + t * apart - pad[0]) % holes == 0}
        for o in range(count)
    ]
    ways = []
    for block, every in itertools.product((1, 2, 4, 8), {1, holes}):
        parts = [range(o, count, every) for o in range(every)]
        made = [part[i : i + block] for part in parts for i in range(0, len(part), block)]
        met = Counter((len(set().union(*(sees[o] for o in each))), len(each)) for each in made)
        ways.append([(*each, many) for each, many in met.items()])
    return sum(0 <= p < wide for each in sees for p in each), ways


def tiles(rows: int, inner: int, columns: int) -> float:
    """Returns the FLOPs of the tiles that a product fills; either operand may be the rows."""
    over = _up(inner, LANES)
    one, other = (
        _up(rows, SUBLANES) * _up(columns, LANES),
        _up(rows, LANES) * _up(columns, SUBLANES),
    )
    return 2.0 * over * min(one, other)


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def main() -> None:
    """Counts row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(ROWS))
    parser.add_argument("--out", type=Path, help="JSON to write")
    given = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    rows = {name: row(*name.split()) for name in given.only.split(",")}
    for name, found in rows.items():
        print(name, json.dumps(found))
    if given.out:
        given.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
