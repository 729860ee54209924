"""What all processes of a machine have counted, told by whichever of them is asked.

Counters live in the memory of their process, and who reads /metrics reaches one web process at a time. So each process
writes a sheet every few seconds into a folder that they share, and every sample says whose it is by the label
`process`: no counter is ever mistaken for another's, and no process is missing, be it a worker's.
"""

import os
import socket
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, cast

import structlog
from prometheus_client import CollectorRegistry, Metric, generate_latest

from billing.kernel.clock import SystemClock
from billing.kernel.metrics import COUNTED, TOLD
from billing.kernel.settings import Standing

EVERY: Final = 5.0
"""Seconds between two writings of a sheet."""
STALE: Final = 60.0
"""Seconds after which a sheet that nobody writes any more is its dead process's, and taken away."""
_SUFFIX: Final = ".prom"
_HEAD: Final = "# HELP "
_OPEN_TO_OTHERS: Final = 0o022
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the machine's shared memory; the folder in it is private

log = structlog.get_logger(__name__)


def folder_of(settings: Standing) -> Path:
    """Where the sheets of an installation lie: as the settings say, else in memory, by user and database."""
    if settings.metrics_folder:
        return Path(settings.metrics_folder)
    root = _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())
    whose = sha256(settings.database_url.value.encode()).hexdigest()[:16]
    return root / f"billing-counts-{os.geteuid()}-{whose}"


class Sheets:
    """The sheets of a folder, one of them this process's, which does `role`. Nothing is written before `begin`; where
    the folder is not to be written to, each process tells of itself alone."""

    def __init__(self, folder: Path, role: str) -> None:
        self._folder = folder
        self._process = f"{role}-{socket.gethostname()}-{os.getpid()}"
        self._own = folder / f"{self._process}{_SUFFIX}"
        self._ended = Event()
        self._is_told = False
        self._writer = Thread(target=self._keep, name="sheets", daemon=True)

    def begin(self) -> None:
        """Write this process's sheet from now on."""
        self._writer.start()

    def end(self) -> None:
        """Take this process's sheet away."""
        self._ended.set()
        self._writer.join()
        with suppress(OSError):
            self._own.unlink()
            self._folder.rmdir()

    @asynccontextmanager
    async def open(self, _: object) -> AsyncGenerator[None]:
        """A lifespan of an application."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def told(self) -> bytes:
        """All sheets, this process's as it stands now, and what is the same whoever tells it; in Prometheus's text."""
        families: dict[str, list[str]] = {}
        for sheet in (self._counted(), *self._others()):
            for part in sheet.split(_HEAD)[1:]:
                name, (says, kind, *samples) = part.partition(" ")[0], part.splitlines(keepends=True)
                families.setdefault(name, [_HEAD + says + kind]).extend(samples)
        return generate_latest(TOLD) + "".join(line for lines in families.values() for line in lines).encode()

    def _keep(self) -> None:
        while not self._ended.is_set():
            try:
                self._write()
            except OSError as fault:
                if not self._is_told:
                    log.warning("counts_not_shared", folder=str(self._folder), fault=type(fault).__name__)
                self._is_told = True
            self._ended.wait(EVERY)

    def _write(self) -> None:
        """Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._is_ours():
            raise PermissionError("others may write into the folder of counts")
        fresh = self._own.with_suffix(".new")
        fresh.write_text(self._counted(), encoding="utf-8")
        fresh.replace(self._own)
        self._is_told = False
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):
                if not _is_fresh(path):
                    path.unlink()

    def _counted(self) -> str:
        signed = cast("CollectorRegistry", _Signed(COUNTED, self._process))
        return generate_latest(signed).decode()

    def _is_ours(self) -> bool:
        try:
            found = self._folder.stat()
        except FileNotFoundError:
            return False
        return found.st_uid == os.geteuid() and not found.st_mode & _OPEN_TO_OTHERS

    def _others(self) -> Iterator[str]:
        if not self._is_ours():
            return
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            with suppress(FileNotFoundError):
                if path != self._own and _is_fresh(path):
                    yield path.read_text(encoding="utf-8")


def _is_fresh(sheet: Path) -> bool:
    return sheet.stat().st_mtime >= SystemClock().now().timestamp() - STALE


class _Signed:
    """A registry whose samples say which process they are from."""

    def __init__(self, registry: CollectorRegistry, process: str) -> None:
        self._registry = registry
        self._process = process

    def collect(self) -> Iterator[Metric]:
        """Everything the registry has now."""
        for metric in self._registry.collect():
            samples: list[Any] = metric.samples
            metric.samples = [each._replace(labels=each.labels | {"process": self._process}) for each in samples]
            yield metric
