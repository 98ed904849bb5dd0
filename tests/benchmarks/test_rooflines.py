"""The benchmark of rooflines: what is counted of a product, by hand, and of a tiny network."""

import json
import sys

import jax
import jax.numpy as jnp
import pytest

from benchmarks import rooflines


def counted(function, *shapes):
    made = jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(s, jnp.bfloat16) for s in shapes))
    return [rooflines.product(eqn) for eqn in rooflines.products(made.jaxpr)]


def test_a_product_fills_whole_tiles_either_way_round():
    assert counted(jnp.matmul, (9, 5), (5, 300)) == [
        (2 * 9 * 5 * 300, 2 * 16 * 128 * 384, 2 * (45 + 1500 + 2700))
    ]
    # 3 columns are rows of the transposed product.
    assert rooflines.tiles(256, 128, 3) == 2 * 8 * 128 * 256


def convolution(size, stride=1, groups=1):
    def do(x, kernel):
        pad = [(size // 2, size // 2)] * 2
        names = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), pad, dimension_numbers=names, feature_group_count=groups
        )

    return do


def test_a_convolution_counts_what_its_outputs_meet():
    ((flops, padded, _),) = counted(convolution(3), (2, 8, 8, 4), (3, 3, 4, 16))
    met = (3 * 8 - 2) ** 2  # Each of 8 rows meets 3, the first and the last 2.
    assert flops == 2 * 2 * met * 4 * 16
    # Eight outputs side by side: 3 · 10 · 4 inputs in one tile, 128 columns, 16 rows.
    assert padded == 2 * 16 * 128 * 128


def test_the_gradients_of_a_convolution_take_as_many_flops_as_it():
    def loss(x, kernel):
        return (convolution(3, 2)(x, kernel) ** 2).sum()

    forward, *back = counted(jax.grad(loss, (0, 1)), (2, 8, 8, 4), (3, 3, 4, 16))
    assert len(back) == 2
    assert [flops for flops, *_ in back] == pytest.approx([forward[0]] * 2)


def test_groups_are_products_of_their_own():
    ((flops, padded, _),) = counted(convolution(1, groups=2), (1, 4, 4, 8), (1, 1, 4, 32))
    ((one, one_padded, _),) = counted(convolution(1), (1, 4, 4, 4), (1, 1, 4, 16))
    assert (flops, padded) == (2 * one, 2 * one_padded)


def test_a_tiny_network_is_bound_and_written(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.targets.NETWORKS", {"convnet": 16})
    monkeypatch.setattr("benchmarks.targets.WIDTHS", (4, 8))
    out = tmp_path / "rooflines.json"
    words = ["r", "--only=convnet map,convnet vmap", f"--out={out}"]
    monkeypatch.setattr(sys, "argv", words)
    rooflines.main()
    one, pack = json.loads(out.read_text())["rows"].values()
    assert one["gflops"] == pack["gflops"] < one["gflops_padded"]
    for row in (one, pack):
        assert row["of_peak_bound"] == min(row["of_peak_unit"], row["of_peak_memory"]) < 1
