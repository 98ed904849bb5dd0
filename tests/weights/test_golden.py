"""Every architecture against what PyTorch computed with the same seeded weights, kept here.

test_parity.py compares with PyTorch itself, where there is one; `make_golden.py` writes these.
"""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbias.weights import convert
from jaxbias.weights.imported import fixed_images
from tests.weights.seeded import names_of, noise, seeded_arrays

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
SHOWN = 8


def close(got, want):
    want = np.asarray(want)
    np.testing.assert_allclose(got[:, :SHOWN], want, rtol=0, atol=1e-4 * np.abs(want).max())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["arch"])
def test_activations_are_those_of_pytorch(case):
    arch, source, size = (case[name] for name in ("arch", "source", "size"))
    arrays = seeded_arrays(arch, source, case["classes"], size)
    # A file of PyTorch's has just these tensors.
    assert names_of({name: value.shape for name, value in arrays.items()}) == case["names"]
    converted = convert(arrays, arch, source)
    sized = dataclasses.replace(converted.network.preprocessing, size=size)
    network = dataclasses.replace(converted.network, preprocessing=sized)
    params = converted.params
    # Half the time of a compilation is LLVM's optimisation, which these few images do not need.
    options = {"xla_backend_optimization_level": 0}

    def both(params):
        parts = network.partition(params, "full")
        seen = "train_logits" in case
        trained = network.train_logits(parts, noise(size), "full") if seen else None
        return network.features(params, fixed_images(size)), trained

    features, trained = jax.jit(both, compiler_options=options)(params)
    close(features, case["features"])
    head = params["head"]
    close(np.asarray(features) @ head["kernel"] + head["bias"], case["logits"])
    if trained:
        close(trained[0][:2], case["train_logits"])
        last = ("stages", 3, max(p[2] for p in trained[1] if p[:2] == ("stages", 3)), "norms", 1)
        for leaf, name in (("mean", "running_mean"), ("var", "running_var")):
            close(trained[1][(*last, leaf)][None], [case[name]])
