"""The web server: an application's factory, by name, in as many processes as the settings say."""

import gc
import os
import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, Final, TypeVar

SLOWEST_HEAD: Final = 10_000
"""Milliseconds in which the head of a request must have come."""
LONGEST_HEAD: Final = 65_536
"""Bytes of a request's head; a longer one is refused (431)."""

LONGEST_STOP: Final = 15
"""Seconds in which a process that is asked to stop must have finished what it was asked before."""

App = TypeVar("App")


def serve(factory: str, host: str, port: int, workers: int) -> None:
    """Serve until told to stop. What the application is made of is loaded once, before there are processes: they share
    it, and one that takes another's place is there at once."""
    loaded(factory.partition(":")[0])
    from granian import Granian  # noqa: PLC0415 - only where something is served
    from granian.constants import Interfaces, Loops  # noqa: PLC0415
    from granian.http import HTTP1Settings  # noqa: PLC0415

    Granian(
        factory,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=workers,
        loop=Loops.uvloop,
        log_access=False,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=SLOWEST_HEAD, max_buffer_size=LONGEST_HEAD),
        respawn_failed_workers=True,
        workers_kill_timeout=LONGEST_STOP,
        backlog=2048,
    ).serve(target_loader=_made)


def loaded(module: str) -> ModuleType:
    """A module with all that it needs. What is loaded stays: garbage is looked for neither on the way, which is a third
    of the time, nor in it ever after."""
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


def _made(factory: str) -> Any:
    """The application, in the process that answers. Until it stands, a process that is asked to stop just ends: the
    server would let the request pass, answer for a quarter of a minute more, and be killed in the middle of answers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    Thread(target=_end_with_the_first, daemon=True).start()
    module, _, name = factory.partition(":")
    return getattr(loaded(module), name)()


def _end_with_the_first() -> None:
    """Stop once the process that began this one has gone, also where it was killed: nobody else would ever stop this
    one, and it would go on to take every second connection beside those that come after it."""
    if first := parent_process():
        first.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LONGEST_STOP)
        os.kill(os.getpid(), signal.SIGKILL)


def settled(app: App) -> App:
    """The application, with all that was made for it out of the garbage collector's sight: it stays as long as the
    process does, and to look through it again takes tenths of a second, in the middle of somebody's question."""
    gc.freeze()
    undisturbed()
    return app


def undisturbed() -> None:
    """From now on, threads of this process that share a core let each other finish (sched(7), SCHED_BATCH). Else the
    thread that reads from the network breaks in on the one that answers with each question that comes, only to wait for
    the interpreter's lock: a fifth of all that an answer costs. Where the system has no such policy, or whoever runs us
    has chosen another, nothing changes.
    """
    if sys.platform == "linux":
        _reschedule(os.SCHED_OTHER, os.SCHED_BATCH)


@contextmanager
def interruptible() -> Generator[None]:
    """While the block runs, threads may break in on each other: for work that keeps the interpreter busy for so long
    that whoever reads from the network would starve beside it."""
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_BATCH:
        yield
        return
    _reschedule(os.SCHED_BATCH, os.SCHED_OTHER)
    try:
        yield
    finally:
        _reschedule(os.SCHED_OTHER, os.SCHED_BATCH)


def _reschedule(now: int, then: int) -> None:
    """Give another policy to the threads that are under one."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            if os.sched_getscheduler(int(thread.name)) == now:
                os.sched_setscheduler(int(thread.name), then, os.sched_param(0))
