"""Strict numerics, several virtual devices and a cache of its own for every test run."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

# Before any import of jaxbias: tests never touch the user's own data directory.
_HOME = Path(os.environ.get("JAXBIAS_TEST_HOME", Path(tempfile.gettempdir()) / "jaxbias-tests"))
os.environ["JAXBIAS_HOME"] = str(_HOME)

import jax  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests import buckets  # noqa: E402

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(_HOME / "compilation"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

# Every run draws examples of its own and keeps those that fail; CI draws the same every time.
_DEFAULT = settings.get_profile("default")
settings.register_profile("dev", _DEFAULT, deadline=None, derandomize=False)
settings.register_profile("ci", _DEFAULT, deadline=None, derandomize=True, database=None)
settings.load_profile("dev")


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Returns `once(name, make)`, which makes a directory once per test run, for all workers."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # Above all workers' own.
    root = root / "once"
    root.mkdir(exist_ok=True)

    def made(name, make):
        place, whole = root / name, root / f"{name}.whole"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                shutil.rmtree(place, ignore_errors=True)
                make(place)
                whole.touch()
        return place

    return made


@pytest.fixture(scope="session")
def bucket():
    """Returns the URL of a bucket of a real server's, on this machine."""
    pytest.importorskip("moto")
    with buckets.served() as url, pytest.MonkeyPatch.context() as patch:
        for name, value in buckets.environment(url).items():
            patch.setenv(name, value)
        yield buckets.made(url)


@pytest.fixture
def jaxbias(capsys):
    """Calls the command in this process; returns its exit code, stdout and stderr."""
    from jaxbias.cli import command as cli

    def call(*words):
        try:
            cli.main(["jaxbias", *map(str, words)])
            code = 0
        except SystemExit as stop:
            code = stop.code
        out = capsys.readouterr()
        return code, out.out, out.err

    return call
