"""Memory of devices and programs, and the width rule, by hand-made analyses and small systems."""

import types

import jax
import numpy as np
import pytest

from jaxbias.capacity import available_ram
from jaxbias.engine import executor
from jaxbias.engine.memory import Room, device_room, widest
from jaxbias.errors import InputError
from jaxbias.parallel import make_mesh

MIB = 2**20


def nobody(width):
    pytest.fail(f"asked for {width}")


def test_what_fits_is_compiled_once_and_taken():
    asked = []
    room = Room(100, 100)
    width = widest(64, 2, room, lambda width: asked.append(width) or width, nobody)
    assert (width, asked) == (64, [64])


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (5 + 3 * 64, 64),
        (5 + 3 * 64 - 1, 32),  # Two halves, not 62 and 2.
        (5 + 3 * 25, 22),  # Three parts, of 22, 22 and 20.
        (5 + 3 * 11, 10),
        (5 + 3 * 2, 2),
    ],
)
def test_the_width_is_of_the_fewest_even_parts_that_fit(budget, expected):
    room = Room(budget, budget)
    assert widest(64, 2, room, lambda width: 5 + 3 * width, nobody) == expected


def test_the_analysis_of_the_width_itself_has_the_last_word():
    """Beyond 8 the memory jumps, which no line through 1 and 2 tells."""
    asked = []

    def analysed(width):
        asked.append(width)
        return 10 * width + (1000 if width > 8 else 0)

    assert widest(64, 1, Room(500, 500), analysed, nobody) == 8
    assert asked == [64, 1, 2, 32, 22, 16, 11, 8]


def test_without_an_analysis_two_small_packs_are_measured_and_nothing_wide_is_run():
    asked = []

    def measured(width):
        asked.append(width)
        return 5 + 3 * width

    room = Room(5 + 3 * 20, 100)
    assert widest(64, 2, room, lambda width: None, measured) == 16
    assert asked == [2, 4]
    assert widest(64, 2, room, lambda width: None, lambda width: None) is None
    # What does not grow was not seen, as arguments alone do.
    assert widest(64, 2, room, lambda width: None, lambda width: 7) is None


def test_one_member_on_each_device_may_take_what_is_kept_free_otherwise():
    assert widest(64, 2, Room(5, 12), lambda width: 6 * width, nobody) == 2
    assert widest(2, 2, Room(5, 12), lambda width: 6 * width, nobody) == 2


def test_what_never_fits_is_refused_with_the_numbers():
    with pytest.raises(InputError, match=r"2 trainings at once need 6.0 MiB .* has 5.0"):
        widest(8, 2, Room(4 * MIB, 5 * MIB), lambda width: 3 * width * MIB, nobody)


def _system(root, meminfo, cgroup, files):
    for name, text in {"proc/meminfo": meminfo, "proc/self/cgroup": cgroup, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_available_ram_minds_both_kinds_of_cgroups(tmp_path):
    meminfo = "MemTotal: 900 kB\nMemAvailable: 800 kB\n"
    plain = _system(tmp_path / "plain", meminfo, "0::/\n", {})
    assert available_ram(plain) == 800 * 1024
    second = _system(
        tmp_path / "second",
        meminfo,
        "0::/a/b\n",
        {
            "sys/fs/cgroup/a/b/memory.max": "max\n",
            "sys/fs/cgroup/a/b/memory.current": "1000\n",
            # The limit is that of the parent, and its page cache can be given back.
            "sys/fs/cgroup/a/memory.max": "500000\n",
            "sys/fs/cgroup/a/memory.current": "200000\n",
            "sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 50000\n",
        },
    )
    assert available_ram(second) == 350_000
    first = _system(
        tmp_path / "first",
        meminfo,
        "4:memory:/elsewhere/on/the/host\n2:cpu:/\n",
        {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "400000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "100000\n",
        },
    )
    assert available_ram(first) == 300_000


@pytest.mark.parametrize(
    ("stats", "room"), [({"bytes_limit": 1000}, Room(900, 1000)), ({}, None), (None, None)]
)
def test_accelerators_say_what_they_have(monkeypatch, stats, room):
    device = types.SimpleNamespace(memory_stats=lambda: stats)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert device_room(0, 1) == room


def test_a_setting_goes_before_what_the_device_says():
    assert device_room(3, 2) == Room(3 * MIB, 3 * MIB)
    alone, shared = device_room(0, 1), device_room(0, 4)
    assert alone.budget < alone.limit
    assert shared.limit < alone.limit / 2


def test_xla_is_asked_once_what_a_program_holds_however_often_it_is_called(monkeypatch):
    def doubled(mode):
        return lambda members, shared: jax.tree.map(lambda leaf: leaf * shared, members)

    one = np.ones(3, np.float32)
    program = _Program(function=doubled, shapes=((one,), np.float32(2)), donated=0, everywhere=True)
    asked = []
    monkeypatch.setattr(executor, "program_bytes", lambda compiled: asked.append(compiled) or 5)
    at = executor.Executor(make_mesh(1), "vmap", Room(100, 100))
    for _ in range(3):
        (told,) = at.call(program, (np.ones((4, 3), np.float32),), np.float32(2))
        np.testing.assert_array_equal(told, np.full((4, 3), 2, np.float32))
    assert at.analysed_bytes(program, 4) == 5 and len(asked) == 1
    small = executor.Executor(make_mesh(1), "vmap", Room(4, 4))
    with pytest.raises(InputError, match="a program of 4 needs"):
        small.call(program, (np.ones((4, 3), np.float32),), np.float32(2))


class _Program(types.SimpleNamespace):
    __hash__ = object.__hash__
