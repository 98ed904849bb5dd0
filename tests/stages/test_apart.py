"""Plans for devices that are not attached: refusals in one line; and by the compiler, what fits."""

import importlib.util

import pytest

from jaxbias.stages import apart
from tests import compiled

CONFIG = "configs/quickstart.py"
SMOKE = f"--config={CONFIG}:smoke"
LIBTPU = importlib.util.find_spec("libtpu")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dry_run", "--target=v5x:4x4"), "is no kind of device; did you mean 'v5p'?"),
        (("--dry_run", "--target=h100:0"), "write how many chips there are"),
        (("--target=h100",), "--target is of plans"),
        (("--dry_run", "--price=2"), "--price is of plans"),
        (("--dry_run", "--target=h100", "--price=-1"), "--price=-1.0: what a chip costs"),
        (("--dry_run", "--target=h100", "--stage=plan"), "--stage changes nothing in"),
        (("--dry_run", "--target="), "--target= is empty"),
    ],
)
def test_what_is_wrong_is_one_line_before_any_process_is_begun(jaxbias, monkeypatch, words, said):
    monkeypatch.setattr(apart, "ProcessPoolExecutor", lambda *_: pytest.fail("began"))
    code, out, err = jaxbias("run", SMOKE, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_without_the_compiler_of_tpus_what_installs_it_is_said(jaxbias, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = jaxbias("run", SMOKE, "--dry_run", "--target=v5e:4x4")
    assert (code, err.count("\n")) == (2, 1)
    assert "pip install 'libtpu==" in err


by_libtpu = [
    pytest.mark.targets,
    pytest.mark.skipif(LIBTPU is None, reason="libtpu is not installed: make test-targets"),
]


class TestCompiled:
    """By the compiler of TPUs."""

    pytestmark = by_libtpu

    def test_members_exchange_nothing(self):
        modes = ("map",)
        found = compiled.apart(compiled.brief_analyses, "v5e:4x4", CONFIG, modes, 2)
        assert found["map"].instructions.collectives == {}

    def test_a_plan_says_what_it_needs_and_what_that_rests_on(self, jaxbias):
        words = ("run", SMOKE, "--dry_run", "--target=v5e:2x2", "--price=1.2")
        code, out, err = jaxbias(*words)
        assert code == 0, err
        table, rest = out.splitlines()[:4], "\n".join(out.splitlines()[4:])
        assert table[0].startswith("v5e:2x2: 4 chips (TPU v5 lite) with 15.8 GiB each, mode 'map'")
        assert "of 15.75 GiB" in table[2] and "%" in table[2] and "≥" not in table[2]
        assert "at 1.5 GHz" in rest and "chip-hours" in rest and "at 1.2 a chip and hour" in rest

    def test_a_slice_that_does_not_exist_is_one_line(self, jaxbias):
        code, _, err = jaxbias("run", SMOKE, "--dry_run", "--target=v5e:3x3")
        assert (code, err.splitlines()[-1].startswith("jaxbias: --target=v5e:3x3: ")) == (2, True)
