"""The product's web server as it runs in earnest: a process of its own, on a database of a test's."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx2

from billing.openapi import PLACE
from tests.benchmarks.place import free_port

ROOT = Path(__file__).parents[1]


@contextlib.contextmanager
def served(database_url: str, **settings: str) -> Generator[tuple[int, subprocess.Popen[bytes]]]:
    """The server in a session of its own, once it answers; killed at the end with all below it."""
    port = free_port()
    told = {f"BILLING_{name}": value for name, value in settings.items()}
    given = {**PLACE, "BILLING_DATABASE_URL": database_url, "BILLING_BROKER_URL": "redis://127.0.0.1:9/0", **told}
    argv = [sys.executable, "-m", "billing", "serve", "--port", str(port)]
    process = subprocess.Popen(
        argv, cwd=ROOT, env={**os.environ, **given}, stdout=-3, stderr=-3, start_new_session=True
    )
    try:
        for _ in range(600):
            with contextlib.suppress(httpx2.TransportError):
                httpx2.get(f"http://127.0.0.1:{port}/livez")
                break
            time.sleep(0.05)
        yield port, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
