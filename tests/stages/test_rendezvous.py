"""Where a gang meets: told by the environment whole, or refused."""

import pytest

from jaxbias.errors import InputError
from jaxbias.stages.rendezvous import VARIABLES, rendezvous


@pytest.fixture
def tell(monkeypatch):
    def told(*values):
        for name, value in zip(VARIABLES, values, strict=True):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return rendezvous()

    return told


def test_what_the_environment_tells(tell):
    assert tell("host:1234", "2", "1") == ("host:1234", 2, 1)
    assert tell(None, None, None) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((None, "2", None), "not set: JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID"),
        (("host:1234", "two", "1"), "JAX_NUM_PROCESSES='two' must be a whole number"),
    ],
)
def test_half_an_environment_is_refused(tell, values, message):
    with pytest.raises(InputError, match=message):
        tell(*values)
