"""Where the processes of a gang meet, as the environment tells it; without JAX."""

import os

from jaxbias.errors import InputError

# As `jax.distributed.initialize` names its arguments.
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def rendezvous() -> tuple[str, int, int] | None:
    """Returns the coordinator's address, the number of processes and this one's place.

    None: the environment names none, and JAX asks the cluster.

    Raises:
      InputError: some of the variables are set and others not, or two are no whole numbers.
    """
    given = [os.environ.get(name, "") for name in VARIABLES]
    if not any(given):
        return None
    if not all(given):
        missing = ", ".join(name for name, value in zip(VARIABLES, given, strict=True) if not value)
        raise InputError(f"--distributed needs all of {', '.join(VARIABLES)}; not set: {missing}")
    for name, value in zip(VARIABLES[1:], given[1:], strict=True):
        if not value.isdecimal():
            raise InputError(f"--distributed: {name}={value!a} must be a whole number")
    return given[0], int(given[1]), int(given[2])
