"""A real S3 server on this machine, moto's, which honours conditions of reads and writes.

It answers one request after another: moto looks whether a condition holds and then writes, and of
two threads that do so at once both may write.
"""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from urllib.error import URLError

NAME = "grids"
SERVER = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app))
"""


@contextlib.contextmanager
def served():
    """Yields the server's URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVER, str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except URLError:
                assert server.poll() is None and time.monotonic() < end
                time.sleep(0.1)
        yield url
    finally:
        server.kill()
        server.wait()


def environment(url):
    """The variables by which programs find the server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "anyone",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def made(url):
    """Makes a bucket and returns its URL."""
    request = urllib.request.Request(f"{url}/{NAME}", method="PUT")
    urllib.request.urlopen(request, timeout=30).close()
    return f"s3://{NAME}"
