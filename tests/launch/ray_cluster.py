"""A Ray cluster of two nodes of one core each, on this machine and its loopback alone."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.launch.processes import below, free_ports

# In a process of its own, for Ray changes the one that it is imported in. Prints each node's pid.
_NODES = """
import json, sys
from ray.cluster_utils import Cluster
cluster, port = Cluster(), int(sys.argv[1])
each = dict(num_cpus=1, node_ip_address="127.0.0.1", object_store_memory=80_000_000,
            min_worker_port=0, max_worker_port=0, dashboard_agent_listen_port=0)
dashboard = dict(include_dashboard=True, dashboard_host="127.0.0.1", dashboard_port=port)
for more in (dashboard, {}):
    node = cluster.add_node(**each, **more)
    print(json.dumps(node.all_processes["raylet"][0].process.pid), flush=True)
sys.stdin.read()
"""


class Cluster:
    """The nodes of a cluster, killed with all that they run at the end of the `with` block.

    Attributes:
      address: of its jobs.
      nodes: the process of each node that lives; the first is the head.
    """

    def __enter__(self):
        # Not in the test's own folder: its path is too long for a socket.
        self._place = Path(tempfile.mkdtemp(prefix="ray-"))
        [port] = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._changed = {
            "PATH": path,
            "RAY_TMPDIR": str(self._place),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",  # For this machine may have other users.
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            # As off Linux: the loopback is this machine's address, and nothing listens elsewhere.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        }
        self._before = {name: os.environ.get(name) for name in self._changed}
        os.environ.update(self._changed)
        words = [sys.executable, "-c", _NODES, str(port)]
        self._starter = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.nodes = [json.loads(self._starter.stdout.readline()) for _ in range(2)]
        return self

    def __exit__(self, *error):
        for pid in (*below(self._starter.pid), self._starter.pid):
            _kill(pid)
        self._starter.communicate()
        for name, text in self._before.items():
            os.environ.pop(name) if text is None else os.environ.update({name: text})
        shutil.rmtree(self._place, ignore_errors=True)

    def kill_node(self):
        """Kills the node that is not the head, and whatever runs below it: the machine is gone."""
        pid = self.nodes.pop()
        for each in (pid, *below(pid)):
            _kill(each)

    def ask(self, *words):
        """Returns what the program `ray` says in JSON."""
        words = ["ray", *words, f"--address={self.address}", "--format=json"]
        return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)


def _kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
