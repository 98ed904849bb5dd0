"""Every model and mode of the shipped configs compiles for a slice of TPUs and fits its chips."""

import importlib.util
from pathlib import Path

import pytest

from jaxbias.study import MODES, config_file, make_study
from tests import compiled

ROOT = Path(__file__).parents[1]
# One config of each kind of finetune, and the network of imported weights where it has one.
KINDS = (
    ("quickstart", ""),
    ("celeba", ""),
    ("initialisations", ""),
    ("fairface_imagenet", ""),
    ("fairface_imagenet", "tf_efficientnet_lite0"),
    ("paper/s1", ""),
    ("paper/u2", ""),
    ("paper/u4", ""),
)


def kind_of(name):
    """What decides which program a config's finetunes are."""
    study = make_study(config_file.load(str(ROOT / "configs" / f"{name}.py")))
    fine = study.finetune
    network = () if fine.mode == "head" else (study.model,)
    return (*network, study.model.name, study.data.image_size, fine.batch, fine.mode, fine.solver)


def test_no_config_is_of_another_kind():
    """A new one has to be added above, or its program would be compiled for no target."""
    folder = ROOT / "configs"
    paths = [*folder.glob("*.py"), *folder.glob("paper/*.py")]
    every = {kind_of(str(path.relative_to(folder).with_suffix(""))) for path in paths}
    assert every == {kind_of(name) for name, _ in KINDS}


@pytest.mark.targets
@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="libtpu is missing: make test-targets"
)
@pytest.mark.parametrize(("name", "network"), KINDS)
def test_it_compiles_in_every_mode_and_fits(name, network):
    config = str(ROOT / "configs" / f"{name}.py")
    found = compiled.apart(compiled.brief_analyses, "v5e:2x2", config, MODES, 1, network)
    assert found.keys() == set(MODES)
    for analysis in found.values():
        assert analysis.fits and 0 < analysis.peak < 0.9 * 15.75 * 2**30
        assert analysis.instructions.collectives == {}
        assert analysis.instructions.work.cycles > 0
