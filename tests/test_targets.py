"""Targets: what a name means, what is refused in one line, and the table of kinds."""

import importlib.util

import jax
import pytest

from jaxbias import targets
from jaxbias.errors import InputError
from jaxbias.targets import KINDS, Target, aim, described, kind_of, target


def installed(monkeypatch, *names):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in names or None)


def test_the_target_is_what_is_attached_if_nothing_else_is_said():
    at = target()
    assert (at.platform, at.device, at.processes) == ("cpu", "cpu", 1)
    assert at.devices() == jax.local_devices() == at.devices(0)
    assert at.limit is None


def test_a_process_can_aim_at_another():
    at = described("h200:4")
    aim(at)
    try:
        assert target() is at
        assert (at.platform, at.chips, at.processes) == ("gpu", 4, 1)
    finally:
        aim(Target())


@pytest.mark.parametrize(
    ("name", "chips", "kind"),
    [
        ("v5e:4x4", 16, "v5e"),
        ("v5p:2x2x2", 8, "v5p"),
        ("v6e:8x8", 64, "v6e"),
        ("v4:2x2x4", 16, "v4"),
        ("h100", 1, "H100"),
        ("H100:8", 8, "H100"),
        ("a100", 1, "A100"),
    ],
)
def test_names_are_of_kinds_and_chips(monkeypatch, name, chips, kind):
    installed(monkeypatch, "libtpu")
    at = described(name)
    assert (at.chips, at.kind) == (chips, KINDS[kind])
    assert at.limit == KINDS[kind].memory


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("v5x:4x4", "'v5x' is no kind of device; did you mean 'v5p'?"),
        ("h10", "did you mean 'h100'?"),
        ("tpu", "valid: a100, h100, h200, l4, t4, v4, v5e, v5p, v6e"),
        ("v5e", "write how many chips there are, as in v5e:4x4"),
        ("v5e:4x4x4", "as in v5e:4x4"),
        ("v5p:4x4", "as in v5p:2x2x2"),
        ("v5e:0x4", "as in v5e:4x4"),
        ("h100:two", "as in h100 or h100:8"),
        ("h100:", "as in h100 or h100:8"),
    ],
)
def test_what_is_no_name_is_refused_with_the_nearest(monkeypatch, name, said):
    installed(monkeypatch, "libtpu")
    with pytest.raises(InputError) as refused:
        described(name)
    assert str(refused.value).startswith(f"--target={name}: ")
    assert str(refused.value).endswith(said)


def test_without_the_compiler_of_tpus_the_command_is_told(monkeypatch):
    installed(monkeypatch)
    with pytest.raises(InputError, match=r"is not installed; pip install 'libtpu==[\d.*]+'$"):
        described("v5e:4x4")


def test_a_gpu_is_compiled_for_where_its_plug_in_is(monkeypatch):
    installed(monkeypatch)
    assert not described("h100").compiled
    installed(monkeypatch, "jax_cuda13_plugin")
    assert described("h100").compiled
    assert not described("t4").compiled  # Nobody has described one.


def test_a_gpu_that_is_not_compiled_for_has_stand_ins(monkeypatch):
    installed(monkeypatch)
    assert described("h100:3").devices() == jax.local_devices(backend="cpu")[:3]
    assert described("h100:3").environment["JAX_NUM_CPU_DEVICES"] == "3"


def test_a_kind_is_told_by_the_name_that_jax_gives_it():
    named = {
        "TPU v4": "v4",
        "TPU v5 lite": "v5e",
        "TPU v5e": "v5e",
        "TPU v5": "v5p",
        "TPU v5p": "v5p",
        "TPU v6 lite": "v6e",
        "NVIDIA A100-SXM4-40GB": "A100",
        "NVIDIA H100 80GB HBM3": "H100",
        "NVIDIA H200": "H200",
        "NVIDIA L4": "L4",
        "Tesla T4": "T4",
        "NVIDIA L40S": None,
        "cpu": None,
    }
    assert {device: kind_of(device) for device in named} == named
    assert all(kind_of(kind.device) == name for name, kind in KINDS.items())


def test_a_clock_makes_the_published_peak_with_whole_products():
    """Products of 128² in a cycle: 4 of a v5e, 8 of the two cores of a v5p."""
    for name, products in (("v5e", 4), ("v5p", 8)):
        kind = KINDS[name]
        assert 2 * 128**2 * products * kind.clock == pytest.approx(kind.flops, rel=0.01)


def test_a_description_of_a_gpu_is_what_its_maker_says():
    text = targets.cuda_text(KINDS["H100"])
    for line in (
        "core_count: 132",
        "device_memory_size: 84942979072",
        "memory_bandwidth: 3350000000000",
        "clock_rate_ghz: 1.98",
        "major: 9",
    ):
        assert line in text
