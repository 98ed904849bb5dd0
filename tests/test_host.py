"""The host's CPU device, and what there is where JAX has none."""

import jax

from jaxbias.host import host_device


def test_without_a_cpu_backend_it_is_the_first_device(monkeypatch):
    first, there = host_device(), jax.local_devices()[3]
    assert first == jax.local_devices(backend="cpu")[0]

    def devices(backend=None):
        if backend == "cpu":
            raise RuntimeError("Unknown backend cpu")
        return [there]

    monkeypatch.setattr(jax, "local_devices", devices)
    assert host_device() == there
