"""What the processes of a gang tell each other, by real ones."""

import subprocess

from jaxbias import peers
from tests.ganged import free_port
from tests.processes import start

PROGRAM = """
import sys, time
import jax
jax.config.update("jax_num_cpu_devices", 2)
place = int(sys.argv[1])
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", 3, place)
import numpy as np
from jaxbias import parallel, peers
assert peers.is_first() == (place == 0)
if place == 0:
    time.sleep(3)  # The others wait.
assert peers.first_says(f"from {place}") == "from 0"
for turn in range(3):
    assert peers.all_say(f"{place}, {turn}") == [f"{each}, {turn}" for each in range(3)]
assert peers.first_says() == ""
said = peers.say("once", str(place))
told = peers.all_say(str(said))
assert told.count("True") == 1 and peers.wait_for("once") == str(told.index("True"))
try:
    peers.wait_for("never", seconds=0.2)
except TimeoutError:
    pass
else:
    raise AssertionError("nobody says it")

# Each has the part of its own devices, where the whole may be had too.
mesh = parallel.make_mesh(3)
assert [device.process_index for device in mesh.devices.flat] == [0, 1, 2]
mesh = parallel.make_mesh(6)
values = np.arange(12.0, dtype=np.float32).reshape(6, 2)
there, factor = parallel.split_variants(values, mesh), parallel.replicate(np.float32(2), mesh)
double = jax.jit(parallel.shard_variants(lambda own, factor: own * factor, mesh))(there, factor)
places = parallel.own_places(6, mesh)
assert places.tolist() == [2 * place, 2 * place + 1]
np.testing.assert_array_equal(parallel.own_part(double), 2 * values[places])
np.testing.assert_array_equal(parallel.everywhere(double), 2 * values)
jax.distributed.shutdown()
"""


def test_three_processes_tell_each_other():
    port = free_port()
    pipe = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    children = [start(PROGRAM, place, port, **pipe) for place in range(3)]
    try:
        told = [child.communicate(timeout=300)[1] for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0, 0, 0], told


def test_one_alone_tells_itself():
    assert peers.is_first()
    assert peers.first_says("a") == "a"
    assert peers.all_say("b") == ["b"]
