"""A Slurm cluster of two nodes of one core each, all of it on this machine and in one folder."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess

from tests.launch.processes import below, free_ports, wait_for

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
# Two partitions: what runs in "low" is cancelled where "high" needs its nodes.
CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={place}/munge.socket
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/%n.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/%n.log
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
MaxArraySize=2
SlurmdTimeout=30
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=CANCEL
PartitionName=high Nodes=n1,n2 PriorityTier=2 PreemptMode=OFF
"""


class Cluster:
    """The daemons of a cluster, stopped with their jobs at the end of the `with` block.

    Args:
      place: a folder for all that they write.
    """

    def __init__(self, place):
        self.place = place
        self.daemons = {}

    def __enter__(self):
        place, host = self.place, socket.gethostname()
        place.mkdir()
        (place / "state").mkdir()
        port, first, second = free_ports(3)
        names = dict(place=place, host=host, port=port, first=first, second=second)
        (place / "slurm.conf").write_text(CONFIG.format(**names))
        (place / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        (place / "munge.key").write_bytes(os.urandom(1024))
        (place / "munge.key").chmod(0o400)
        os.environ["SLURM_CONF"] = str(place / "slurm.conf")
        files = [f"--{name}-file={place}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        socket_ = f"--socket={place}/munge.socket"
        self._start("munged", "munged", "--foreground", "--force", *files, socket_)
        wait_for((place / "munge.socket").exists)
        self._start("slurmctld", "slurmctld", "-D")
        for node in ("n1", "n2"):
            self._start(node, "slurmd", "-D", "-N", node)
        wait_for(lambda: self.ask("sinfo", "--noheader", "--format=%T").split() == ["idle"])
        return self

    def __exit__(self, *error):
        self.ask("scancel", "--me")
        with contextlib.suppress(AssertionError):  # A daemon that has a job left ends late.
            wait_for(lambda: not self.ask("squeue", "--noheader").split())
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(timeout=60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        del os.environ["SLURM_CONF"]

    def ask(self, *words):
        """Returns what a program prints; "" where it fails."""
        done = subprocess.run(words, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def run(self, partition, command):
        """Runs a command as a job of its own on every node, at most for a minute."""
        out = f"--output={self.place}/others-%a.out"
        words = (f"--partition={partition}", "--array=0-1", "--time=1", out, f"--wrap={command}")
        assert self.ask("sbatch", "--parsable", *words)

    def jobs(self, **wanted):
        """Facts of every job known to slurmctld, the ended ones too, that are as wanted."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return [job for job in found if wanted.items() <= job.items()]

    def kill_node(self, node):
        """Kills a node's daemon and whatever runs below it: the machine is gone."""
        daemon = self.daemons.pop(node)
        children = below(daemon.pid)
        daemon.kill()
        daemon.wait()
        for pid in children:
            os.kill(pid, signal.SIGKILL)

    def _start(self, name, *words):
        with (self.place / f"{name}.out").open("wb") as out:
            self.daemons[name] = subprocess.Popen(words, stdout=out, stderr=out)


def missing():
    """The programs that are not installed."""
    return [name for name in NEEDED if not shutil.which(name)]
