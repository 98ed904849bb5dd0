"""Small file systems of our own, which can be filled."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest


class Disk:
    def __init__(self, path):
        self.path = path

    def mount(self, options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
        return subprocess.run(command, capture_output=True, text=True)

    def remount(self, options):
        assert self.mount(f"remount,{options}").returncode == 0


@contextlib.contextmanager
def mounted(path, size):
    """A file system of a size, or a reason to skip."""
    disk = Disk(path)
    disk.path.mkdir()
    if sys.platform != "linux" or shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    done = disk.mount(f"size={size}")
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk.path)], check=True)
