"""A job: the workers of one study in one directory, and the command that each of them runs."""

import dataclasses
import pprint
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxbias.errors import InputError
from jaxbias.files.atomic import make_directory, write_text
from jaxbias.files.content import content_id
from jaxbias.study import Study, to_dict
from launch.settings import LaunchSpec

# Of a name, on every engine: a label of DNS, with room for what engines add.
_LONGEST = 24


@dataclasses.dataclass(frozen=True)
class Job:
    """What an engine is to run.

    Attributes:
      workdir: the result directory, as workers see it; or its URL.
      folder: where all files of the launch lie.
      spec: the launch's settings.
      study: None where workers are only asked after.
    """

    workdir: Path | str
    folder: Path
    spec: LaunchSpec
    study: Study | None = None

    @property
    def name(self) -> str:
        """Its name on every engine; of the directory alone, so that it is found again."""
        place = str(self.workdir)
        last = place.rstrip("/").rpartition("/")[2].lower()
        words = re.sub(r"[^a-z0-9]+", "-", last).strip("-") or "study"
        return f"jaxbias-{words[:_LONGEST]}-{content_id(place)[:8]}".replace("--", "-")

    @property
    def config(self) -> str:
        """The study as a config file: as submitted, whatever becomes of the files it is from."""
        settings = pprint.pformat(to_dict(self.study), width=96, sort_dicts=False)
        return (
            f'"""Study {self.study.name!r}, as it was submitted."""\n\n\n'
            f'def get_config(arg: str = "") -> dict:\n    return {_indented(settings)}\n'
        )

    def command(self, config: Path | str, python: str = sys.executable) -> list[str]:
        """Returns the words that run a worker: until the study is done.

        Args:
          config: where the worker sees the config file.
          python: that has jaxbias installed.
        """
        where = [f"--config={config}", f"--workdir={self.workdir}"]
        return [python, "-m", "jaxbias", "run", *where]

    def supervised(
        self, config: Path | str, python: str = sys.executable, failures: int = 0
    ) -> list[str]:
        """Returns the words that run a worker and start it again where it fails.

        Args:
          config: as of `command`.
          python: as of `command`.
          failures: of the worker until it is given up; 0: as many as the launch's settings say.
        """
        limits = [str(failures or self.spec.failures), str(self.spec.retry_seconds)]
        words = [python, "-m", "launch.worker", str(self.workdir), *limits]
        return [*words, *self.command(config, python)]

    def write(self, files: dict[str, str]) -> list[Path]:
        """Writes files of the launch, and returns their paths."""
        make_directory(self.folder)
        return [write_text(self.folder / name, text) for name, text in files.items()]


def cpu_environment(job: Job) -> dict[str, str]:
    """Returns what makes a worker compute on its cores, a device each."""
    count = job.study.grid.devices or job.spec.devices
    return {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(count)}


def exports(environment: Mapping[str, str]) -> str:
    """Returns the lines of a shell script that set variables."""
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in environment.items())


def log_ends(folder: Path, lines: int = 20) -> str:
    """Returns the last lines of every log of a folder, each under its file's name."""
    ends = {path: path.read_text(errors="replace").splitlines() for path in folder.glob("*.log")}
    return "\n".join(f"==> {path} <==\n" + "\n".join(ends[path][-lines:]) for path in sorted(ends))


def call(words: Sequence[str]) -> str:
    """Runs a program of an engine, and returns what it prints.

    Raises:
      InputError: there is no such program here, or it fails; with the last line it wrote.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(
            f"'{words[0]}' cannot be run here ({error.strerror}); `python -m launch render` writes "
            "what would be submitted, to be taken to a machine that has it"
        ) from error
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise InputError(f"`{shlex.join(words)}` failed ({done.returncode}): {told}")
    return done.stdout


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
