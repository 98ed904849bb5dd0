"""What is planned for devices that are not attached, in a process of its own.

Compilers read their environment before JAX is imported, and this process may have JAX already.
"""

import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from jaxbias.errors import InputError
from jaxbias.study import Study, make_study, to_dict
from jaxbias.targets import aim, described


def predicted(study: Study, workdir: str, name: str, price: float) -> tuple[str, str]:
    """Predicts what a run of a study would need of devices that are not attached.

    Args:
      study: the study.
      workdir: of its results so far; "": there are none.
      name: of the target, as of `targets.described`.
      price: of a chip, an hour; 0: not known.

    Returns:
      The plan in lines for a terminal, and what does not fit; "" where all does.

    Raises:
      InputError: as of `outlook.dry_run`, there is no such target, or its compiler ended.
    """
    described(name)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
        try:
            return apart.submit(_predict, to_dict(study), workdir, name, price).result()
        except BrokenProcessPool as error:
            raise InputError(
                f"--target={name}: its compiler ended without an answer, as it does when memory is "
                "short or another process compiles; try again alone"
            ) from error


def _predict(config: dict[str, Any], workdir: str, name: str, price: float) -> tuple[str, str]:
    at = described(name)
    os.environ.update(at.environment)
    from jaxbias.stages import outlook

    aim(at)
    at.devices()  # What does not exist is told before images are read.
    with tempfile.TemporaryDirectory() as nowhere:
        return outlook.predict(make_study(config), workdir or f"{nowhere}/new", at, price)
