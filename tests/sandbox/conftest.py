"""What the tests of the sandbox share."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from billing.sandbox.home import Home
from billing.sandbox.keeping import kept_port

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop the product runs on."""
    return "asyncio"


@dataclass
class Outside:
    """A running outside process."""

    home: Home
    base: str
    smtp_port: int
    process: subprocess.Popen[bytes]
    client: httpx2.Client


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """The outside process, as the sandbox runs it, with a conductor of nothing but the clock."""
    folder = tmp_path_factory.mktemp("outside")
    port, smtp_port = kept_port(folder / "http"), kept_port(folder / "smtp")
    argv = [sys.executable, str(Path(__file__).with_name("outside_example.py")), str(folder), str(port), str(smtp_port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=PROJECT, env={"PYTHONPATH": str(PROJECT)}, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    with httpx2.Client(base_url=base) as client:
        deadline = time.monotonic() + 30
        while True:
            try:
                client.get("/sandbox/clock")
                break
            except httpx2.ConnectError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield Outside(Home(folder, port), base, smtp_port, process, client)
    process.terminate()
    assert process.wait(20) == 0, (folder / "log").read_text()
