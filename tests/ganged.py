"""Processes that call the command together, on a tiny study, each with two devices of its own."""

import os
import socket
import subprocess

from tests.processes import start

# Arguments: the config file, the directory, and words more.
PROGRAM = """
import sys
import jax; jax.config.update("jax_num_cpu_devices", {devices})
from jaxbias import data
from jaxbias.cli import command
from jaxbias.data import readers
from tests.tiny import tiny_dataset
data.load = lambda spec, check=None: tiny_dataset()
readers.READERS["tiny"] = "tests.tiny"  # Its name alone is looked up.
{more}
config, workdir, *words = sys.argv[1:]
command.main(["jaxbias", "run", f"--config={{config}}", f"--workdir={{workdir}}", *words])
"""
CONFIG = """
from ml_collections import ConfigDict
from tests.tiny import tiny_config
def get_config(arg=""):
    return ConfigDict(tiny_config(**{changes}))
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Gang:
    """Two processes of the command, and one alone with as many devices to compare with.

    Args:
      folder: for the config file, and what the processes write to the terminal.
      changes: of the tiny study.
      devices: of each process of the gang.
    """

    def __init__(self, folder, changes, devices=2, count=2):
        self.folder, self.devices, self.count = folder, devices, count
        self.children = []
        for each in (devices, devices * count):
            text = CONFIG.format(changes={**changes, "grid": {"pack_width": 4, "devices": each}})
            (folder / f"config{each}.py").write_text(text)

    def _start(self, name, devices, workdir, *words, more="", **variables):
        env = {**os.environ, "JAX_PLATFORMS": "cpu", **variables}
        program = PROGRAM.format(devices=devices, more=more)
        config = self.folder / f"config{devices}.py"
        with (self.folder / name).open("w") as told:
            child = start(program, config, workdir, *words, env=env, stdout=told, stderr=told)
        self.children.append(child)
        return child

    def together(self, workdir, *words, more=("", ""), port=None):
        """Starts them; returns the processes."""
        address = f"127.0.0.1:{port or free_port()}"
        return [
            self._start(
                f"told{place}",
                self.devices,
                workdir,
                "--distributed",
                *words,
                more=more[place],
                JAX_COORDINATOR_ADDRESS=address,
                JAX_NUM_PROCESSES=str(self.count),
                JAX_PROCESS_ID=str(place),
                JAXBIAS_HEARTBEAT_SECONDS="10",
            )
            for place in range(self.count)
        ]

    def alone(self, workdir, *words):
        """Runs one process with as many devices."""
        child = self._start("told", self.devices * self.count, workdir, *words)
        assert child.wait(timeout=300) == 0, self.told("")

    def told(self, place):
        """Returns what a process has written to the terminal."""
        return (self.folder / f"told{place}").read_text()

    def ended(self, children, timeout=300):
        """Returns the exit codes."""
        try:
            return [child.wait(timeout=timeout) for child in children]
        except subprocess.TimeoutExpired:
            print(self.told(0), self.told(1))
            raise

    def close(self):
        """Kills whoever is left."""
        for child in self.children:
            child.kill()
            child.wait()
