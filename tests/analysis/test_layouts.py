"""Mixed layouts: told where they are, and of what."""

import json

import pandas as pd

from jaxbias.analysis.layouts import mixed_layouts

FOUR = {
    "platform": "gpu",
    "device": "NVIDIA H100",
    "devices": 4,
    "mode": "vmap",
    "store": "device",
    "width": 8,
    "jax": "0.10.2",
}
ONE = {**FOUR, "devices": 1, "store": "host"}
IN_FOUR = "on 4 × NVIDIA H100 by 'vmap' (JAX 0.10.2)"
IN_ONE = "on 1 × NVIDIA H100 by 'vmap' with images on the host (JAX 0.10.2)"


def rows(*layouts):
    return pd.DataFrame({"layouts": [json.dumps(each) for each in layouts]})


def test_nothing_is_said_of_one_layout_or_of_models_from_elsewhere():
    alike = rows([FOUR], [FOUR], [{**FOUR, "width": 4}])  # The width is of the pack.
    assert mixed_layouts(alike, rows([ONE])) == ""
    assert mixed_layouts(pd.DataFrame({"variant": ["a"]}), pd.DataFrame()) == ""
    assert mixed_layouts(rows([], []), rows([])) == ""  # Of an earlier version.


def test_each_layout_is_counted():
    said = mixed_layouts(rows([FOUR], [ONE], [FOUR], []), rows([FOUR]))
    assert said.startswith(
        f"Layouts were mixed: 2 finetunings {IN_FOUR}, 1 finetuning {IN_ONE}, 1 finetuning in a "
        "layout that an earlier version did not record; trained numbers are equal"
    )


def test_a_base_that_went_on_elsewhere_is_mixed_by_itself():
    said = mixed_layouts(rows([ONE]), rows([FOUR, {**ONE, "width": 1}, ONE]))
    assert said.startswith(f"Layouts were mixed: 1 base {IN_FOUR}, then {IN_ONE}; trained")
