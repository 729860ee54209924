"""Waiting for what other processes do."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], never: str, seconds: float = 60) -> None:
    """Wait until it holds; what to say if it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, never
        time.sleep(0.1)
