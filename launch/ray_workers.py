"""What a job on Ray runs: as many workers as it was given, each an actor.

python -m launch.ray_workers COUNT OPTIONS COMMAND ...

OPTIONS, in JSON, are of the actors. Ends with 0 when a worker found the study done, or else as the
last worker did.
"""

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence

import ray

# For workers to end that have done their part; one that waits for a node does not.
_GRACE = 30.0


class Worker:
    """An actor that is started again as often as its node, or itself, dies."""

    def run(self, command: Sequence[str]) -> int:
        """Runs the command by this node's own Python, and returns its exit code."""
        # Whoever kills an actor stops all that runs below it, which may save first.
        bound = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
        python = [*bound, sys.executable]
        words = [python if word == "python" else [word] for word in command]
        return subprocess.run([*itertools.chain(*words)], check=False).returncode


def main(argv: Sequence[str]) -> int:
    """Runs the workers to the end; returns how the job ends."""
    count, options, command = int(argv[0]), json.loads(argv[1]), list(argv[2:])
    # Far from one another, so that a node that dies takes few with it.
    actor = ray.remote(Worker).options(
        max_restarts=-1, max_task_retries=-1, scheduling_strategy="SPREAD", **options
    )
    actors = [actor.remote() for _ in range(count)]
    # An actor ends, and sets its devices free, when its run has ended and nobody knows it any more.
    running = {each.run.remote(command): each for each in actors}
    del actors
    code = 1
    while running and code:
        [ended], _ = ray.wait([*running])
        code = ray.get(ended)
        del running[ended]
    if running:
        ray.wait([*running], num_returns=len(running), timeout=_GRACE)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
