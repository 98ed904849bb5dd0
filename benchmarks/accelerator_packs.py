"""Packs of finetunes for `accelerator.py`: by width, by mode, and by PyTorch's loop.

    pip install -e ".[bench]"

Programs are those of the runner, through its own executor; images and labels are noise.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import grid, pretrain
from benchmarks.accelerator_sizes import Sizes, Subject
from benchmarks.accelerator_timing import Measurements, peak_gib, repeated, with_shares


def packs(sizes: Sizes) -> Measurements:
    """Whole finetunes of a small convnet, from arrays on the host to scores there, by width."""
    wide = next(pack for pack in sizes.packs if pack[0] == "vmap")
    for mode, width, dtype in (*((*pack, "float32") for pack in sizes.packs), (*wide, "bfloat16")):
        name = f"{mode}, packs of {width}, {dtype}"
        yield name, lambda given=(mode, width, dtype): _finetunes(sizes, *given)


def _finetunes(sizes: Sizes, mode: str, width: int, dtype: str) -> dict[str, Any]:
    pack = _Pack(sizes, mode, width, dtype)
    compiling = pack.once()
    calls = sizes.finetunes // width
    times = repeated(lambda: sum(pack.once() for _ in range(calls)), sizes.rounds)
    seconds = float(np.median(times))
    images = sizes.finetunes * sizes.n * sizes.epochs
    return {
        "finetunes": sizes.finetunes,
        "seconds": seconds,
        "ms_per_finetune": 1e3 * seconds / sizes.finetunes,
        "trained_images_per_second": images / seconds,
        "first_call_s": compiling,
        "program_GiB": pack.gib(),
        "all_s": times,
    }


class _Pack:
    """A pack of whole finetunes, as the runner hands them to the executor."""

    def __init__(self, sizes: Sizes, mode: str, width: int, dtype: str) -> None:
        from jaxbias.engine.programs import Networks
        from jaxbias.models import make_network
        from jaxbias.study import ModelSpec
        from jaxbias.training import Schedule, stored

        spec = ModelSpec(widths=grid.WIDTHS, compute_dtype=dtype)
        network = make_network(spec, sizes.finetuned_size, 1, mapped=mode)
        schedule = Schedule(sizes.n, sizes.epochs, grid.BATCH, grid.MOMENTUM)
        count = sizes.n + sizes.scored
        images = _noise(count, sizes.finetuned_size)
        self.executor = _executor(mode)
        self.program = Networks(network, sizes.scored, images.shape, schedule)
        self.members = [_member(self.program, seed) for seed in range(width)]
        scored = np.arange(sizes.n, count, dtype=np.int32)
        self.shared = scored, _placed(stored(images), self.executor)

    def once(self) -> float:
        """Seconds of the pack; the first time it is compiled too."""
        began = time.perf_counter()
        self.executor.run(self.program, self.members, len(self.members), self.shared)
        return time.perf_counter() - began

    def gib(self) -> float | None:
        """What the program holds on the device, by XLA's analysis."""
        return _gib(self.executor)


def packs_torch(sizes: Sizes) -> Measurements:
    """The same finetunes by a PyTorch loop over runs."""
    yield "loop over runs", lambda: _torch_finetunes(sizes)


def _torch_finetunes(sizes: Sizes) -> dict[str, Any]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.benchmark = True
    pool, test = _noise(sizes.n, grid.SIZE), _noise(sizes.scored, grid.SIZE)
    labels = np.arange(sizes.n) % 2 == 1
    runs = max(1, sizes.finetunes // 4)
    grid.torch_loop(1, pool, labels, test, sizes.epochs, device)
    began = time.perf_counter()
    grid.torch_loop(runs, pool, labels, test, sizes.epochs, device)
    each = (time.perf_counter() - began) / runs
    return {
        "finetunes": runs,
        "device": device,
        "ms_per_finetune": 1e3 * each,
        "trained_images_per_second": sizes.n * sizes.epochs / each,
    }


def modes(sizes: Sizes) -> Measurements:
    """Packs of every model in every mode, all on the device."""
    both = ("map", "vmap")
    asked = [(subject, mode, "auto") for subject in (sizes.small, *sizes.large) for mode in both]
    asked += [(subject, "map", "auto") for subject in sizes.largest]
    # What takes long to compile, and as one grouped convolution.
    asked += [(sizes.small, "unroll", "auto"), (sizes.small, "vmap", "conv")]
    asked += [(subject, "unroll", "auto") for subject in sizes.large]
    for subject, mode, convolution in asked:
        name = f"{subject.model}, {mode}" + (", grouped" if convolution == "conv" else "")
        given = (subject, mode, convolution, sizes.rounds)
        yield name, lambda given=given: time_mode(*given)


def time_mode(subject: Subject, mode: str, convolution: str, rounds: int) -> dict[str, Any]:
    """Times the runner's program for a few steps, scores of 64 images included."""
    import jax

    from jaxbias.engine.programs import Networks
    from jaxbias.models import make_network
    from jaxbias.parallel import split_variants
    from jaxbias.study import ModelSpec
    from jaxbias.training import Schedule, stored

    spec = ModelSpec(
        name=subject.model,
        widths=grid.WIDTHS,
        stem="small" if subject.size < 100 else "imagenet",
        compute_dtype=subject.dtype,
        convolution=convolution,
    )
    network = make_network(spec, subject.size, 1, mapped=mode)
    n = subject.batch * subject.steps
    executor = _executor(mode)
    images = _noise(512, subject.size)
    schedule = Schedule(n, 1, subject.batch, grid.MOMENTUM)
    program = Networks(network, 64, images.shape, schedule)
    one = _member(program, 0)
    stacked = jax.tree.map(lambda leaf: np.stack([leaf] * subject.width), one)
    stacked = split_variants(stacked, executor.mesh)
    shared = _placed((np.arange(64, dtype=np.int32), stored(images)), executor)

    def once() -> float:
        began = time.perf_counter()
        jax.block_until_ready(executor.on_devices(program, stacked, shared))
        return time.perf_counter() - began

    once()
    once()
    times = repeated(once, rounds)
    seconds = float(np.median(times))
    step = pretrain.make_step(network, subject.batch, 1)
    found = {
        **dataclasses.asdict(subject),
        "convolution": network.spec.convolution,
        "ms_per_variant_step": 1e3 * seconds / (subject.width * subject.steps),
        "images_per_second": subject.width * n / seconds,
        "GFLOP_per_image": pretrain.flops_per_image(step) / 1e9,
        "compile_s": round(executor.compile_seconds, 2),
        "program_GiB": _gib(executor),
        "process_peak_GiB": peak_gib(),  # Of all measurements so far.
        "all_s": times,
    }
    return with_shares(found, subject.dtype)


def _executor(mode: str) -> Any:
    from jaxbias.engine.executor import Executor
    from jaxbias.engine.memory import device_room
    from jaxbias.parallel import make_mesh

    return Executor(make_mesh(1), mode, device_room(0, 1))


def _placed(tree: Any, executor: Any) -> Any:
    from jaxbias.parallel import replicate

    return replicate(tree, executor.mesh)


def _noise(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def _member(program: Any, seed: int) -> tuple:
    """A finetune of noise, from fresh parameters."""
    import jax

    from jaxbias.engine.members import key_of
    from jaxbias.training import Hyper

    (_, examples, *_), _ = program.sample()
    params = jax.tree.map(np.asarray, _init(program.model)(jax.random.key(seed)))
    hyper = Hyper(*(np.float32(x) for x in (grid.RATE, grid.DECAY, 0.75, 0.01)))
    return params, examples, hyper, key_of("finetune", seed)


@functools.cache
def _init(network: Any) -> Callable:
    """Compiled once: a bound method is another function to JAX each time it is looked up."""
    import jax

    return jax.jit(network.init)


def _gib(executor: Any) -> float | None:
    from jaxbias.engine.memory import program_bytes

    needed = program_bytes(next(iter(executor.programs.values())))
    return None if needed is None else round(needed / 2**30, 3)
