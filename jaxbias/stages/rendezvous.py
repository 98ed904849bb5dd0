"""Where the processes of a gang meet, as the environment tells it; without JAX."""

import os
import zlib

from jaxbias.errors import InputError

# As `jax.distributed.initialize` names its arguments.
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
# Ports that restarts take in turn, and where JAX has those of Slurm's jobs.
_PORTS, _SLURM_PORTS = 64, range(61440, 65536)
_SLURM = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")


def rendezvous() -> tuple[str, int, int] | None:
    """Returns the coordinator's address, the number of processes and this one's place.

    Each restart of a job of Slurm meets at a port of its own: what is left of the run before may
    still listen. Elsewhere whoever starts a gang again sees to that.
    Variables of a TPU slice that was there before are dropped, which would have libtpu wait for it;
    a gang is one slice.

    Returns:
      None: the environment names none, and JAX asks the cluster.

    Raises:
      InputError: some of the variables are set and others not, or they are no whole numbers.
    """
    for name in [name for name in os.environ if name.startswith("MEGASCALE_")]:
        del os.environ[name]
    given = [os.environ.get(name, "") for name in VARIABLES]
    if not any(given):
        if "SLURM_JOB_ID" in os.environ:
            os.environ.setdefault("JAX_COORDINATOR_PORT", str(_slurm_port()))
        return None
    if not all(given):
        missing = ", ".join(name for name, value in zip(VARIABLES, given, strict=True) if not value)
        raise InputError(f"--distributed needs all of {', '.join(VARIABLES)}; not set: {missing}")
    host, _, port = given[0].rpartition(":")
    if not (host and port.isdecimal()):
        raise InputError(f"--distributed: {VARIABLES[0]}={given[0]!a} must be HOST:PORT")
    count, place = (number(name) for name in VARIABLES[1:])
    restarts = number(_SLURM[-1]) % _PORTS
    up = int(port) + _PORTS <= 65536
    return f"{host}:{int(port) + (restarts if up else -restarts)}", count, place


def number(name: str, default: int = 0) -> int:
    """Returns a whole number of the environment.

    Raises:
      InputError: it is none.
    """
    value = os.environ.get(name, "") or str(default)
    if not value.isdecimal():
        raise InputError(f"--distributed: {name}={value!a} must be a whole number")
    return int(value)


def _slurm_port() -> int:
    """A port of this step of this job, another after each restart."""
    told = "/".join(os.environ.get(name, "") for name in _SLURM)
    return _SLURM_PORTS[zlib.crc32(told.encode()) % len(_SLURM_PORTS)]
