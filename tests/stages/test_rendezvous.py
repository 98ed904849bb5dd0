"""Where a gang meets: told by the environment whole, or refused."""

import os

import pytest

from jaxbias.errors import InputError
from jaxbias.stages.rendezvous import VARIABLES, rendezvous

MORE = ("JAX_COORDINATOR_PORT", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")


@pytest.fixture
def tell(monkeypatch):
    def told(*values, **more):
        for name in MORE:
            monkeypatch.delenv(name, raising=False)
        for name, value in [*zip(VARIABLES, values, strict=True), *more.items()]:
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return rendezvous()

    return told


def test_what_the_environment_tells(tell):
    assert tell("host:1234", "2", "1") == ("host:1234", 2, 1)
    assert tell("[::1]:1234", "2", "1") == ("[::1]:1234", 2, 1)
    assert tell(None, None, None) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((None, "2", None), "not set: JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID"),
        (("host:1234", "two", "1"), "JAX_NUM_PROCESSES='two' must be a whole number"),
        (("host", "2", "1"), "JAX_COORDINATOR_ADDRESS='host' must be HOST:PORT"),
    ],
)
def test_half_an_environment_is_refused(tell, values, message):
    with pytest.raises(InputError, match=message):
        tell(*values)


@pytest.mark.parametrize("port", [1234, 65535])
def test_every_restart_meets_at_a_port_of_its_own(tell, port):
    counts = [{"SLURM_RESTART_COUNT": str(count)} for count in range(40)]
    met = [tell(f"host:{port}", "2", "1", **count)[0] for count in counts]
    ports = [int(address.removeprefix("host:")) for address in met]
    assert ports[0] == port
    assert len(set(ports)) == 40 and max(ports) < 65536


def test_so_does_every_step_and_restart_of_a_job_of_slurm(tell, monkeypatch):
    def port(job, step, restarts):
        told = {"SLURM_JOB_ID": job, "SLURM_STEP_ID": step, "SLURM_RESTART_COUNT": restarts}
        assert tell(None, None, None, **told) is None  # JAX knows the rest.
        return int(os.environ["JAX_COORDINATOR_PORT"])

    assert port("7", "0", "0") == port("7", "0", "0")
    asked = [port(job, step, count) for job in "78" for step in "01" for count in "012"]
    assert len(set(asked)) == 12 and min(asked) > 60_000
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("JAX_COORDINATOR_PORT", "5000")  # The user's own choice.
    rendezvous()
    assert os.environ["JAX_COORDINATOR_PORT"] == "5000"


def test_nothing_is_left_of_a_slice_that_was_there_before(tell):
    tell("host:1234", "2", "1", MEGASCALE_COORDINATOR_ADDRESS="gone:1", MEGASCALE_SLICE_ID="3")
    assert not [name for name in os.environ if name.startswith("MEGASCALE_")]
