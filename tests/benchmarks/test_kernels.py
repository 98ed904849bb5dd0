"""The benchmark of kernels: schedules written by hand, and on a TPU's compiler what is told."""

import importlib.util

import pytest

from benchmarks import kernels
from jaxbias.models.attention_kernel import cycles
from tests import compiled

SCHEDULE = """// kernel: look
0x0   :  { %1 = vmatpush.bf16.msra.mxu0 %v1 }
0x1 LH: > { %2 = vmatmul.bf16.gmra.mxu0 %v2  ;;  %3 = vmatmul.msk.bf16.gmra.mxu1 %v3 }
0x2   : > { %v4 = vpop.f32.mrf.mxu0 }
0x3   : > { %5 = vmatmul.bf16.vlgmr.msra.gmra.mxu0 %v5 }
0x4   :  { %6 = vmatmul.bf16.gmra.mxu1 %v6 }
0x5   :  {}
"""


def test_products_of_a_unit_wait_for_each_other():
    """The second of mxu0 waits from 3 until 17; by then mxu1, free from 17, has waited too."""
    assert kernels.counted(SCHEDULE) == (6, 20)


@pytest.mark.targets
@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is missing: make test-targets"
)
@pytest.mark.parametrize("heads", [3, 6, 12])
def test_no_more_is_found_than_is_told(heads):
    found = compiled.apart(kernels.measured, 197, heads)
    for name, told in zip(("look", "back"), cycles(197, heads), strict=True):
        assert 0.9 * told < found[name][1] <= told
