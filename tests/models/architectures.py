"""Narrow architectures of every kind, in the table while a test that wants them runs."""

import pytest

from jaxbias.models.architectures import (
    ARCHITECTURES,
    InvertedStage,
    efficientnet_lite,
    resnet,
    vit,
)

_STAGES = (InvertedStage(1, 3, 1, 1, 8), InvertedStage(2, 5, 2, 2, 12))
TINY = {
    "lite_block": efficientnet_lite((InvertedStage(1, 3, 2, 1, 4),), tf=True),
    "lite_tiny": efficientnet_lite(_STAGES, tf=True),
    "resnet_block": resnet((1,), bottleneck=True, width=4),
    "resnet_tiny": resnet((1, 1), bottleneck=False, width=4),
    "vit_block": vit(width=8, depth=1, heads=2, patch=4),
    "vit_tiny": vit(width=8, depth=2, heads=2, patch=4),
}


@pytest.fixture(scope="module", autouse=True)
def tiny_architectures():
    with pytest.MonkeyPatch.context() as patch:
        for name, architecture in TINY.items():
            patch.setitem(ARCHITECTURES, name, architecture)
        yield
