"""The folder of a machine's snapshot: who writes, which shelf is the present one, and when the feed was last heard.

    page        two numbers that all processes see: the present shelf's, and the instant of the last complete reading
    writer      whoever holds the lock of this file writes; the lock ends with its process, however that ends
    readers     every process shares the lock of this file; the last to leave takes everything away
    shelf.<n>   the shelves; a new one is complete before its number is told

The folder is private: what others could write we would answer with.
"""

import fcntl
import mmap
import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from sqlalchemy.engine import Engine

from entitlements.snapshot.memory import reserve

FORMAT: Final = 2
"""Changes with what the files look like: two versions of the program may run on a machine, each with its own folder."""
_GENERATION, _HEARD = 0, 1
_PAGE: Final = mmap.PAGESIZE
_TRIES: Final = 10
_PRIVATE: Final = 0o077
_OURS: Final = ("page", "readers", "shelf.*", "writer")
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the machine's shared memory; the folder in it is private


class NotOurs(OSError):
    """The folder, or a file in it, belongs to somebody else, or others may write there."""


def folder_for(engine: Engine) -> Path:
    """Where a database's snapshot lies when nobody has said: in the machine's shared memory, by user and database."""
    url = engine.url
    whose = "\n".join((str(FORMAT), url.host or "", str(url.port), url.database or "", repr(sorted(url.query.items()))))
    root = _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())
    return root / f"billing-{os.geteuid()}-{sha256(whose.encode()).hexdigest()[:16]}"


def sweep(root: Path) -> None:
    """Take away what this user's processes have left in shared memory that were all killed: it would stay for ever."""
    for folder in root.glob(f"billing-{os.geteuid()}-*"):
        with suppress(OSError):
            readers = os.open(folder / "readers", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(readers, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _take_away(folder)
            finally:
                os.close(readers)


def _take_away(folder: Path) -> None:
    """Delete what is ours, and the folder if there is nothing else in it. Raises OSError where there is."""
    for name in _OURS:
        for path in folder.glob(name):
            path.unlink(missing_ok=True)
    folder.rmdir()


class Place:
    """The folder, opened by one process. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: list[int] = []
        try:
            self._join()
            self._writer = self._open("writer")
            page = self._open("page")
            there = os.fstat(page).st_size
            if there < _PAGE:
                reserve(page, there, _PAGE - there)
            self._map = mmap.mmap(page, _PAGE)
        except OSError:
            self._close_files()
            raise
        self._bytes = memoryview(self._map)
        self.words = self._bytes.cast("Q")
        """Number of the present shelf (0: none); instant (`clock.ticks`) at which the last complete reading began."""

    @property
    def generation(self) -> int:
        """The number of the present shelf; 0: there was never one."""
        return self.words[_GENERATION]

    @property
    def heard(self) -> int:
        """The instant (`clock.ticks`) up to which every commit is on the present shelf."""
        return self.words[_HEARD]

    def take(self) -> bool:
        """Become the writer, if there is none."""
        try:
            fcntl.flock(self._writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def leave(self) -> None:
        """Let somebody else write."""
        fcntl.flock(self._writer, fcntl.LOCK_UN)

    def shelf(self, generation: int) -> Path:
        """The file of a shelf."""
        return self.folder / f"shelf.{generation}"

    def fresh(self) -> int:
        """A number for a new shelf; what a writer before us left unfinished is taken away."""
        number = self.generation + 1
        for path in self.folder.glob("shelf.*"):
            if path != self.shelf(self.generation):
                path.unlink(missing_ok=True)
        return number

    def present(self, generation: int) -> None:
        """From now on this shelf is the present one; the one before goes when its last reader has noticed."""
        before = self.generation
        self.words[_GENERATION] = generation
        if before != generation:
            self.shelf(before).unlink(missing_ok=True)

    def hear(self, ticks: int) -> None:
        """All that was committed by then is on the present shelf."""
        self.words[_HEARD] = ticks

    def close(self) -> None:
        """Leave; the last one takes everything away."""
        try:
            fcntl.flock(self._readers, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            with suppress(OSError):  # somebody comes in at this very moment
                _take_away(self.folder)
        self.words.release()
        self._bytes.release()
        self._map.close()
        self._close_files()

    def _join(self) -> None:
        """Share the readers' lock. Whoever left last may have taken the folder away while we waited."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _be_ours(self.folder.lstat())
                self._readers = self._open("readers")
                fcntl.flock(self._readers, fcntl.LOCK_SH)
                if os.path.samestat(os.fstat(self._readers), (self.folder / "readers").lstat()):
                    return
            self._close_files()
        raise NotOurs("the snapshot's folder comes and goes")

    def _open(self, name: str) -> int:
        file = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._files.append(file)
        _be_ours(os.fstat(file))
        return file

    def _close_files(self) -> None:
        while self._files:
            os.close(self._files.pop())


def _be_ours(found: os.stat_result) -> None:
    if found.st_uid != os.geteuid() or found.st_mode & _PRIVATE:
        raise NotOurs("the snapshot's folder must belong to this user, and be closed to all others")
