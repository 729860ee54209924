"""What the embedded servers have in common: an account to run as, a folder to own, a parent to die with."""

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

_ACCOUNTS = ("nobody", "daemon", "postgres")
_PR_SET_PDEATHSIG = 1
_SHORT = Path("/tmp")  # noqa: S108 - mkdtemp makes what is below ours alone


class EmbeddedServerError(Exception):
    """An embedded server cannot run here; the message says why and what to do about it."""


@dataclass(frozen=True, slots=True)
class Account:
    """An operating system account by number."""

    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """True when a server started as this account needs no change of user."""
        return self.uid == os.geteuid()

    @property
    def user(self) -> int | None:
        """What ``subprocess`` takes as its user; None leaves things as they are."""
        return None if self.is_ours else self.uid

    @property
    def group(self) -> int | None:
        """The like for its group."""
        return None if self.is_ours else self.gid

    @property
    def groups(self) -> list[int] | None:
        """The like for its further groups: none of root's shall be left."""
        return None if self.is_ours else []


def account_for(folder: Path) -> Account:
    """The account an embedded server runs as: our own, unless that is root (PostgreSQL refuses to run as root).

    A folder that already belongs to somebody else but root keeps its owner, so that data made by an ordinary user can
    be opened again by root. Raises ``EmbeddedServerError`` when there is no unprivileged account.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if folder.exists() and (status := folder.stat()).st_uid != 0:
        return Account(status.st_uid, status.st_gid)
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        f"running as root, and none of the accounts {', '.join(_ACCOUNTS)} exists to run the embedded servers as; "
        "run as an ordinary user, or set BILLING_DATABASE_URL and BILLING_BROKER_URL"
    )


def can_reach(path: Path, account: Account) -> bool:
    """True when the account may walk down to this path; a 0700 home above it is the usual obstacle."""
    if account.is_ours:
        return True
    probe = ["/bin/sh", "-c", 'test -x "$0"', str(path)]
    return (
        subprocess.run(
            probe, cwd="/", check=False, user=account.user, group=account.group, extra_groups=account.groups
        ).returncode
        == 0
    )


def own_folder(folder: Path, account: Account) -> None:
    """Makes the folder if need be and gives it to the account, for it alone."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK) or (os.geteuid() != 0 and folder.stat().st_uid != os.geteuid()):
        raise EmbeddedServerError(
            f"{folder} belongs to another user (uid {folder.stat().st_uid}); remove it, or choose another DATA_DIR"
        )
    if not account.is_ours:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)


class FolderLock:
    """One holder per folder. The system lets go of it when the holder dies, however it dies."""

    def __init__(self, folder: Path, what: str) -> None:
        """``what`` names the holder in the error of whoever comes second."""
        self._path = folder / "lock"
        self._what = what
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Takes the folder. Raises ``EmbeddedServerError`` when somebody has it already."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = self._path.open("a+", encoding="ascii")
        except PermissionError as error:
            raise EmbeddedServerError(f"{self._path} belongs to another user; choose another DATA_DIR") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise EmbeddedServerError(
                f"{self._what} already runs on {self._path.parent} (process {holder}); "
                "stop it, or choose another DATA_DIR"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Gives the folder back; twice does no harm."""
        if self._file is not None:
            self._file.close()
            self._file = None


class RuntimeFolder:
    """A short-lived private folder under /tmp for sockets (their paths must be short) and copies of programs.

    A holder killed by force leaves it behind; whoever makes the next one removes those that nobody holds any more.
    """

    def __init__(self, account: Account) -> None:
        """Makes the folder and gives it to the account."""
        self.account = account
        for old in _SHORT.glob("billing-*/held"):
            with suppress(OSError), old.open("ab") as file:  # somebody else's, or still held
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(old.parent, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix="billing-", dir=_SHORT))
        self._held = (self.path / "held").open("ab")
        fcntl.flock(self._held, fcntl.LOCK_EX)
        self.hand_over()

    def hand_over(self) -> None:
        """Gives everything put into it to the account."""
        for place, _, files in os.walk(self.path):
            for path in (place, *(str(Path(place, name)) for name in files)):
                os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._held.close()


def die_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    """What a child does between fork and exec so that it does not outlive its parent, even one killed by ``kill -9``.

    Linux sends the child the signal when the *thread* that started it ends; start servers from a thread that lives as
    long as they shall. The setting survives exec, but not a change of user, hence after it (as ``preexec_fn`` runs).
    Elsewhere there is no such thing: an orphan is found and stopped at the next start on its folder.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # now: between fork and exec nothing may be loaded
    parent = os.getpid()

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return before_exec


def spawn(
    argv: Sequence[str],
    *,
    account: Account,
    output: IO[bytes],
    dies_by: signal.Signals,
    cwd: Path | None = None,
    keep: Iterable[int] = (),
    source: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a server in a session of its own: Ctrl-C in a terminal must reach us only, who stop things in order."""
    return subprocess.Popen(
        argv,
        cwd=cwd or "/",
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"},
        stdin=source or subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(keep),
        start_new_session=True,
        preexec_fn=die_with_parent(dies_by),  # noqa: PLW1509 - one system call, its library loaded beforehand
        user=account.user,
        group=account.group,
        extra_groups=account.groups,
    )


def run_tool(argv: Sequence[str], *, account: Account, keep: Iterable[int] = (), seconds: float = 120) -> None:
    """Runs a short program as the account. Raises ``EmbeddedServerError`` with its words when it fails."""
    done = subprocess.run(
        argv,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"},
        capture_output=True,
        text=True,
        pass_fds=tuple(keep),
        timeout=seconds,
        check=False,
        user=account.user,
        group=account.group,
        extra_groups=account.groups,
    )
    if done.returncode != 0:
        raise EmbeddedServerError(f"{Path(argv[0]).name} failed: {(done.stderr or done.stdout).strip()[-800:]}")


def stop_process(process: subprocess.Popen[bytes], first: signal.Signals, seconds: float = 20) -> None:
    """Asks the process to end and, should it not, ends it."""
    if process.poll() is None:
        process.send_signal(first)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def stop_orphans(folder: Path, program: str, how: signal.Signals, seconds: float = 10) -> None:
    """Ends servers that still work inside the folder after their parent was killed.

    Safe only while holding the folder's lock: then nobody else can have a right to be there.
    """
    deadline = time.monotonic() + seconds
    while pids := list(_working_in(folder, program)):
        for pid in pids:
            try:
                os.kill(pid, how if time.monotonic() < deadline else signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline + seconds:
            raise EmbeddedServerError(f"process {pids[0]} still works in {folder} and cannot be stopped")
        time.sleep(0.1)


def _working_in(folder: Path, program: str) -> Iterator[int]:
    """Processes of that program whose working directory is the folder (empty where there is no /proc)."""
    try:
        wanted = folder.stat()
    except FileNotFoundError:
        return
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = (entry / "cwd").stat()
            name = (entry / "comm").read_text(encoding="utf-8").strip()
            state = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if (here.st_dev, here.st_ino) == (wanted.st_dev, wanted.st_ino) and name == program and state != "Z":
            yield int(entry.name)


def is_program(path: Path) -> bool:
    """True for an executable file."""
    return path.is_file() and bool(path.stat().st_mode & stat.S_IXUSR)
