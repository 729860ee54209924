"""The one who writes a shelf: for the readers of `shelf` new bytes come first, and then the word that leads to them."""

import os
from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from typing import Final
from zlib import crc32

from entitlements.facts import AccountFacts
from entitlements.snapshot.layout import (
    CHECK,
    FEATURES_AT,
    HEAD,
    KEY,
    LENGTH,
    MAGIC,
    MOST,
    NAME,
    NAMES,
    PROBES,
    SECRET,
    SLOT,
)
from entitlements.snapshot.memory import reserve
from entitlements.snapshot.names import Names, Unfit
from entitlements.snapshot.packed import pack
from entitlements.snapshot.shelf import Shelf

_TIGHT: Final = 0.68
_FULL: Final = 0.75
_ROOM: Final = 1.6
_STEP: Final = 1 << 20
"""Bytes of memory taken from the machine at a time."""


class Full(Exception):
    """There is no room on this shelf; a larger one must be made."""


class Keeper(Shelf):
    """A shelf as its one writer sees it. Memory is taken step by step, and a machine that has none left says so by
    OSError; to write into a hole of the file would end the process."""

    def __init__(self, path: Path, accounts: int, size: int, like: "Keeper | None" = None) -> None:
        places = max(1024, int(accounts * _ROOM))
        arena = HEAD + (places + PROBES) * SLOT
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            reserve(file, 0, arena)
            os.ftruncate(file, arena + size + _STEP)
            os.pwrite(file, os.urandom(16) if like is None else like.secret, SECRET.start)
            os.pwrite(file, Struct("<QQ").pack(MAGIC, places), 0)
            super().__init__(path, writable=True)
        except OSError:
            os.close(file)
            path.unlink()
            raise
        self._file = file
        self._end = self._taken = arena
        self.used = 0
        self._most = int(places * _FULL)
        self.path = path
        if like is not None:
            self._names = Names(like.names.known)
            self.publish_names()

    @property
    def places(self) -> int:
        """Slots to look through for `copy`."""
        return self._places + PROBES

    def is_tight(self, size: int) -> bool:
        """Whether it is time for a larger one: nearly all slots are in use, or more bytes than this are written."""
        return self.used >= self._places * _TIGHT or self.size > size

    def copy(self, older: "Keeper", since: int, until: int) -> None:
        """Take over what the slots [since, until) of another shelf, of the same secret, lead to."""
        slots, held = older._slots, older._map  # noqa: SLF001 - of the same class
        for place in range(since * 2, min(until, older.places) * 2, 2):
            word = slots[place + 1]
            if word:
                start = word >> LENGTH
                self._lead(slots[place], held[start : start + (word & MOST)])

    @property
    def names(self) -> Names:
        """The features of this shelf by their numbers."""
        return self._names

    @property
    def secret(self) -> bytes:
        """What the hash of this shelf rests on."""
        return bytes(self._all[SECRET])

    @property
    def size(self) -> int:
        """Bytes of the arena that are written."""
        return self._end - self._arena

    def put(self, facts: AccountFacts) -> None:
        """From now on readers find these facts; where they do not fit, nothing. Raises Full, OSError."""
        try:
            packed = pack(facts, self._names)
            self.publish_names()
        except Unfit:
            self.drop(facts.account)
            return
        self.put_packed(facts.account.encode(), packed)

    def put_packed(self, account: bytes, packed: bytes) -> None:
        """The same for bytes of `packed.pack` by the names of this shelf, once those are published."""
        key, check = KEY.unpack(self._digest(account))
        held = packed + CHECK.pack(crc32(packed, check))
        self._lead(key, held if len(held) <= MOST else b"")

    def put_many(self, accounts: Sequence[bytes], packed: Sequence[bytes]) -> None:
        """`put_packed` for many accounts, on a shelf that nobody reads yet. Raises Full, OSError."""
        digests = b"".join(map(self._digest, accounts))
        start = end = self._end
        self._make_room(len(accounts), start + sum(map(len, packed)) + len(packed) * CHECK.size)
        slots, places, checked, written, replaced = self._slots, self._places, CHECK.pack, list[bytes](), 0
        for (key, check), body in zip(KEY.iter_unpack(digests), packed, strict=True):
            held = body + checked(crc32(body, check))
            size = len(held)
            if size > MOST:
                continue
            place = key % places * 2
            if slots[place]:
                place = self._place_of(key)
                replaced += slots[place] == key
            slots[place] = key
            slots[place + 1] = end << LENGTH | size
            end += size
            written.append(held)
        self._map[start:end] = b"".join(written)
        self._end = end
        self.used += len(written) - replaced

    def drop(self, account: str) -> None:
        """From now on nothing is known here of this account."""
        self._lead(KEY.unpack(self._digest(account.encode()))[0], b"")

    def publish_names(self) -> None:
        """Let readers know the features that have a number."""
        for number in range(self._words[FEATURES_AT], len(self._names.known)):
            name = self._names.known[number].encode()
            start = NAMES + number * NAME
            self._all[start : start + 1 + len(name)] = bytes((len(name),)) + name
            self._words[FEATURES_AT] = number + 1

    def close(self) -> None:
        """Let go of the memory and the file."""
        super().close()
        if hasattr(self, "_file"):
            os.close(self._file)
            del self._file

    def _digest(self, account: bytes) -> bytes:
        digest = self._hash.copy()
        digest.update(account)
        return digest.digest()

    def _lead(self, key: int, held: bytes) -> None:
        slots = self._slots
        place = self._place_of(key)
        is_new = not slots[place]
        if not held:
            if not is_new:
                slots[place + 1] = 0
            return
        start, end = self._end, self._end + len(held)
        self._make_room(int(is_new), end)
        self._map[start:end] = held
        self._end = end
        slots[place + 1] = start << LENGTH | len(held)
        if is_new:
            slots[place] = key
            self.used += 1

    def _place_of(self, key: int) -> int:
        """Where a key stands, or may. Raises Full."""
        slots = self._slots
        first = key % self._places * 2
        for place in range(first, first + PROBES * 2, 2):
            found = slots[place]
            if found == key or not found:
                return place
        raise Full

    def _make_room(self, accounts: int, end: int) -> None:
        """See to it that so many more have room, and memory of the machine up to there. Raises Full, OSError."""
        if self.used + accounts > self._most or end > len(self._map):
            raise Full
        if end > self._taken:
            step = min(max(_STEP, end - self._taken), len(self._map) - self._taken)
            reserve(self._file, self._taken, step)
            self._taken += step
