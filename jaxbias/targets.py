"""Targets: the devices that programs are for, attached to this machine or only described.

A run's target is what is attached. A plan may be for a kind of TPU or GPU that is not: its
compiler, where it is installed, tells what programs hold and how long they take, and nothing is
run. A process has one target, as JAX has one default backend; nothing here imports JAX before it
is asked.
"""

import contextlib
import dataclasses
import functools
import importlib.util
import math
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jaxbias.errors import InputError, nearest

if TYPE_CHECKING:
    import jax

_GIB = 2**30
# JAX takes three quarters of a GPU's memory, if XLA_PYTHON_CLIENT_MEM_FRACTION says nothing else.
_OF_GPU = 0.75
# Before JAX is imported: no server is asked what it is attached to, and no other process is kept
# from compiling.
_TPU_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
# Without a device nothing can be timed to choose among kernels of Triton.
_GPU_FLAG = "--xla_gpu_enable_triton_gemm=false"
_OF_HOST = 4
# Kinds whose slices are a mesh of two dimensions; of the others three.
_FLAT = ("v5e", "v6e")
_CUDA = ("jax_cuda12_plugin", "jax_cuda13_plugin")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of device, by what its maker says of it.

    Attributes:
      platform: "tpu" or "gpu".
      flops: floating-point operations of a chip in a second, of dense products in 16 bits.
      flops32: likewise of float32, as JAX multiplies it if nothing else is said: on TPU in one pass
        of bfloat16, on GPU in TF32.
      bandwidth: bytes to and from a chip's memory in a second.
      memory: bytes of a chip that programs can have.
      named: what JAX calls it, as a regular expression.
      device: what JAX calls the one meant here.
      clock: cycles of a chip in a second by which its compiler's count of them is seconds; 0: none.
      link: bytes a second that a chip with a clock sends to its neighbours in a slice.
      cuda: of a GPU the cores, their float32 units, bytes of shared memory of a block and of a
        core, of the second cache and of the memory, GHz, and compute capability.
    """

    platform: str
    flops: float
    flops32: float
    bandwidth: float
    memory: int
    named: str
    device: str
    clock: float = 0.0
    link: float = 0.0
    cuda: tuple[float, ...] = ()


def _tpu(
    flops: float,
    bandwidth: float,
    gib: float,
    named: str,
    device: str,
    clock: float = 0.0,
    link: float = 0.0,
) -> Kind:
    return Kind("tpu", flops, flops, bandwidth, int(gib * _GIB), named, device, clock, link)


def _gpu(
    flops: float,
    flops32: float,
    bandwidth: float,
    memory: int,
    name: str,
    device: str,
    *cuda: float,
) -> Kind:
    named = rf"\b{name}\b"
    return Kind("gpu", flops, flops32, bandwidth, int(_OF_GPU * memory), named, device, cuda=cuda)


# Rates from docs.cloud.google.com/tpu/docs/v4, /v5e, /v5p and /v6e, a chip each; from NVIDIA's data
# sheets, of the fastest form each: A100 SXM 80 GB, H100 SXM, H200 SXM, L4 and T4 (float16), without
# sparsity. A T4 has no TF32. Memory of TPUs is what their compiler lets programs have.
# Clocks: v5e 1.5 GHz and v5p 1.75 GHz (Austin et al., "How to Scale Your Model", 2025), with which
# 4 and 8 products of 128² a cycle make the published peaks. Of v6e pages of its maker differ about
# the products of a cycle, and none tells the clock. The compiler has each of the two cores of a v4
# chip for a device, where a run has the chip: it counts the cycles and the memory of one core.
# Links: half of what the same pages give for both directions.
KINDS = {
    "v4": _tpu(275e12, 1.2e12, 15.25, r"TPU v4$", "TPU v4"),
    "v5e": _tpu(197e12, 0.819e12, 15.75, r"TPU v5 ?(lite|e)$", "TPU v5 lite", 1.5e9, 200e9),
    "v5p": _tpu(459e12, 2.765e12, 95, r"TPU v5p?$", "TPU v5", 1.75e9, 600e9),
    "v6e": _tpu(918e12, 1.638e12, 31.25, r"TPU v6 ?(lite|e)$", "TPU v6 lite"),
    "A100": _gpu(
        312e12, 156e12, 2.039e12, 85100068864, "A100", "NVIDIA A100-SXM4-80GB",
        108, 64, 166912, 167936, 41943040, 1.41, 8, 0,
    ),
    "H100": _gpu(
        989e12, 494e12, 3.35e12, 84942979072, "H100", "NVIDIA H100 80GB HBM3",
        132, 128, 232448, 233472, 52428800, 1.98, 9, 0,
    ),
    "H200": _gpu(
        989e12, 494e12, 4.8e12, 151397597184, "H200", "NVIDIA H200",
        132, 128, 232448, 233472, 52428800, 1.98, 9, 0,
    ),
    "L4": _gpu(121e12, 60e12, 0.3e12, 24 * 10**9, "L4", "NVIDIA L4"),
    "T4": _gpu(65e12, 8.1e12, 0.32e12, 16 * 10**9, "T4", "Tesla T4"),
}  # fmt: skip


def kind_of(device: str) -> str | None:
    """Returns the kind of a device by the name that JAX gives it; None: its peaks are not known."""
    return next((name for name, kind in KINDS.items() if re.search(kind.named, device)), None)


class Target:
    """What is attached."""

    @property
    def platform(self) -> str:
        """Of its devices: "cpu", "gpu" or "tpu"."""
        import jax

        return jax.default_backend()

    @property
    def device(self) -> str:
        """What JAX calls one of its devices."""
        return self.devices()[0].device_kind

    @property
    def processes(self) -> int:
        """How many have it together."""
        import jax

        return jax.process_count()

    def devices(self, process: int | None = None) -> "list[jax.Device]":
        """Returns the devices of a process, if nothing is said of this one."""
        import jax

        return jax.local_devices(process) if process is not None else jax.local_devices()

    @property
    def limit(self) -> int | None:
        """Bytes that programs can have on a device; None: it does not tell."""
        return (self.devices()[0].memory_stats() or {}).get("bytes_limit")


class Host(Target):
    """The CPU of this machine, whatever else is attached."""

    platform = "cpu"


@dataclasses.dataclass(frozen=True)
class Unattached(Target):
    """Devices that are described to their compiler, all of one process.

    Attributes:
      name: such as "v5e:4x4" or "h100:8".
      kind: of every chip.
      shape: of the chips' mesh; of GPUs how many.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]

    platform = property(lambda self: self.kind.platform)
    device = property(lambda self: self.kind.device)
    processes = 1
    limit = property(lambda self: self.kind.memory)

    @property
    def chips(self) -> int:
        """How many there are."""
        return math.prod(self.shape)

    @property
    def environment(self) -> dict[str, str]:
        """What a process that plans for it has in its environment before it imports JAX."""
        if self.kind.platform == "tpu":
            return _TPU_ENVIRONMENT
        flags = f"{os.environ.get('XLA_FLAGS', '')} {_GPU_FLAG}".strip()
        # As many CPUs stand in for them where there is no compiler.
        told = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(self.chips)}
        return {**told, "XLA_FLAGS": flags}

    @property
    def compiled(self) -> bool:
        """Whether there is a compiler for it here."""
        found = map(importlib.util.find_spec, _CUDA)
        return self.kind.platform == "tpu" or (any(found) and bool(self.kind.cuda))

    @functools.cached_property
    def _described(self) -> "list[jax.Device]":
        import jax
        from jax.experimental import topologies

        if not self.compiled:
            return jax.local_devices(backend="cpu")[: self.chips]
        if self.kind.platform == "gpu":
            given = {"topology": f"1x1x{self.chips}", "target_config": cuda_text(self.kind)}
            return topologies.get_topology_desc(platform="cuda", **given).devices
        shape = "x".join(map(str, self.shape))
        try:
            name = f"{self.name.partition(':')[0]}:{shape}"
            # A part of a host: its compiler is told, for it takes hosts to have four chips.
            part = (*self.shape, 1, 1)[:3] if self.chips < _OF_HOST else ()
            bounds = {"chips_per_host_bounds": list(part)} if part else {}
            found = topologies.get_topology_desc(platform="tpu", topology_name=name, **bounds)
            found = found.devices
            return [device for device in found if device.core_on_chip == 0]
        except jax.errors.JaxRuntimeError as error:
            raise InputError(f"--target={self.name}: there is no such slice ({error})") from error

    def devices(self, process: int | None = None) -> "list[jax.Device]":
        """See `Target`."""
        del process
        return list(self._described)


_target = Target()


def target() -> Target:
    """Returns the target of this process."""
    return _target


def aim(at: Target) -> None:
    """Makes a target that of this process, which is to do nothing else from then on."""
    global _target
    _target = at


@contextlib.contextmanager
def aimed(at: Target) -> Iterator[None]:
    """Makes a target that of this process inside a `with` block."""
    before = target()
    aim(at)
    try:
        yield
    finally:
        aim(before)


def described(name: str) -> Unattached:
    """Returns the target of a name such as "v5e:4x4", "v5p:2x2x2", "h100" or "h100:8".

    Raises:
      InputError: there is no such kind, its shape is none, or a TPU's compiler is not installed.

    >>> described("h100:8").chips, described("H200").device
    (8, 'NVIDIA H200')
    """
    first, colon, rest = name.partition(":")
    kinds = {each.lower(): kind for each, kind in KINDS.items()}
    if first.lower() not in kinds:
        raise InputError(
            f"--target={name}: '{first}' is no kind of device; {nearest(first, kinds)}"
        )
    kind = kinds[first.lower()]
    shape = tuple(int(side) if side.isdecimal() else 0 for side in rest.split("x")) if colon else ()
    if kind.platform == "gpu":
        shape, dimensions, example = shape or (1,), (1,), f"{first} or {first}:8"
    else:
        flat = first.lower() in _FLAT
        dimensions, example = ((2,), f"{first}:4x4") if flat else ((3,), f"{first}:2x2x2")
    if len(shape) not in dimensions or 0 in shape:
        raise InputError(f"--target={name}: write how many chips there are, as in {example}")
    if kind.platform == "tpu" and importlib.util.find_spec("libtpu") is None:
        raise InputError(
            f"--target={name}: the compiler for TPUs is not installed; pip install '{_libtpu()}'"
        )
    return Unattached(f"{first.lower()}:{rest}" if colon else first.lower(), kind, shape)


def slice_name(kind: str, chips: int) -> str:
    """Returns the name of a target of so many chips, of TPUs in the shape of a usual slice.

    >>> slice_name("v5e", 8), slice_name("v5p", 16), slice_name("H100", 2), slice_name("v5e", 3)
    ('v5e:2x4', 'v5p:2x2x4', 'h100:2', 'v5e:1x3')
    """
    if KINDS[kind].platform == "gpu":
        return f"{kind.lower()}:{chips}"
    sides = [1, 1] if kind in _FLAT else [1, 1, 1]
    rest = chips
    while rest % 2 == 0:
        sides[sides.index(min(sides))] *= 2
        rest //= 2
    sides.sort(reverse=len(sides) == 3 and max(sides) == 2)
    sides[-1] *= rest
    return f"{kind}:{'x'.join(map(str, sides))}"


def _libtpu() -> str:
    """What the installed JAX asks for."""
    from importlib.metadata import requires

    asked = (each.partition(";")[0].strip() for each in requires("jax") or ())
    return next((each for each in asked if each.startswith("libtpu")), "jax[tpu]")


def cuda_text(kind: Kind) -> str:
    """The description of a GPU that XLA reads, a `GpuTargetConfigProto`."""
    cores, units, of_block, of_core, cache, clock, major, minor = kind.cuda
    feature = "ACCELERATED_FEATURES" if major >= 9 else "NONE"
    return f"""
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_block_optin: {of_block:g}
  shared_memory_per_core: {of_core:g} core_count: {cores:g} fpus_per_core: {units:g}
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  memory_bandwidth: {kind.bandwidth:.0f} l2_cache_size: {cache:.0f} clock_rate_ghz: {clock}
  device_memory_size: {kind.memory / _OF_GPU:.0f} name: "{kind.device}"
  cuda_compute_capability {{ major: {major:g} minor: {minor:g} feature_extension: {feature} }}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
device_description_str: "{kind.device}"
"""
