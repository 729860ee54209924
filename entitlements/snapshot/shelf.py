"""Bytes by account in a mapped file: one process writes, any number read, and nobody ever waits.

    head      numbers, the secret of the hash, the names of the features
    slots     16 bytes each: hash of the account (8), where its bytes lie and how many they are (8); open addressing
    arena     the bytes, each followed by a check of the account and of itself; written once, never changed

A change writes new bytes at the end of the arena and then the one aligned 8-byte word that leads to them: a reader
finds the old or the new. Should a machine show it the word before the bytes, or anybody garble the file, the check
says so, and the account is one that is not known here. Old bytes stay until all is copied to a fresh shelf.
"""

import mmap
import os
from collections.abc import Iterable, Sequence
from hashlib import blake2s
from pathlib import Path
from struct import Struct
from typing import Final
from zlib import crc32

from entitlements.facts import NO_SPAN, AccountFacts, Only, Span
from entitlements.snapshot.memory import reserve
from entitlements.snapshot.packed import LONGEST_NAME, MOST_FEATURES, Names, Torn, Unfit, only, pack, spans, unpack

_MAGIC: Final = int.from_bytes(b"shelf\0\0\2", "little")
_HEAD: Final = 4096
_MAGIC_AT, _SLOTS_AT, _FEATURES_AT = 0, 1, 2
_SECRET: Final = slice(64, 80)
_NAMES: Final = 1024
_NAME: Final = LONGEST_NAME + 1
_SLOT: Final = 16
_PROBES: Final = 512
"""Slots looked at for one account, at most; so many are added behind the last, and no look goes round."""
_TIGHT: Final = 0.68
_FULL: Final = 0.75
_ROOM: Final = 1.6
_STEP: Final = 1 << 20
"""Bytes of memory taken from the machine at a time."""
_LENGTH: Final = 16
_MOST: Final = (1 << _LENGTH) - 1
_KEY: Final = Struct("<QI")
_CHECK: Final = Struct("<I")
_WHOLE: Final = 0x2144DF1C
"""What CRC-32 is of any bytes that their own CRC-32 follows, whatever it began with: here, with the account's check."""


class Full(Exception):
    """There is no room on this shelf; a larger one must be made."""


class Shelf:
    """A shelf as its readers see it. Raises OSError, or Torn for a file that is none."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        with path.open("r+b" if writable else "rb") as file:
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            if os.fstat(file.fileno()).st_size < _HEAD:
                raise Torn("no shelf")
            self._map = mmap.mmap(file.fileno(), 0, access=access)
        self._all = memoryview(self._map)
        self._words = self._all[:_HEAD].cast("Q")
        if self._words[_MAGIC_AT] != _MAGIC:
            self.close()
            raise Torn("no shelf")
        self._places = self._words[_SLOTS_AT]
        self._slots = self._all[_HEAD : _HEAD + (self._places + _PROBES) * _SLOT].cast("Q")
        self._arena = _HEAD + (self._places + _PROBES) * _SLOT
        secret = bytes(self._all[_SECRET])
        self._hash = blake2s(digest_size=_KEY.size, salt=secret[:8], person=secret[8:])
        self._names = Names()

    def find(self, account: str) -> AccountFacts | None:
        """The facts of an account; None: not known here."""
        if not account.isascii():
            return None
        (held,) = self.find_packed([account.encode()])
        return self._read(account, held[: -_CHECK.size]) if held else None

    def spans(self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]) -> list[Span]:
        """What `packed.spans` says of these accounts, each with a pupil and a feature."""
        try:
            return spans(self.find_packed(accounts), pupils, self._masks(features))
        except Torn:
            return [NO_SPAN] * len(accounts)

    def only(self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]) -> list[Only | None]:
        """What `packed.only` says of them."""
        try:
            return only(self.find_packed(accounts), pupils, self._masks(features), self._names)
        except Torn:
            return [None] * len(accounts)

    def find_packed(self, accounts: Iterable[bytes]) -> list[bytes]:
        """For each account the bytes of `packed.pack`, and a check behind them; no bytes: not known here."""
        found: list[bytes] = []
        slots, places, whole, hashed, keyed, crc = self._slots, self._places, self._map, self._hash, _KEY.unpack, crc32
        for account in accounts:
            digest = hashed.copy()
            digest.update(account)
            key, check = keyed(digest.digest())
            place = key % places * 2
            at = slots[place]
            if at != key:
                last = place + _PROBES * 2 - 2
                while at and at != key and place < last:
                    place += 2
                    at = slots[place]
            held = b""
            if at == key and (word := slots[place + 1]):
                start = word >> _LENGTH
                held = whole[start : start + (word & _MOST)]
                if crc(held, check) != _WHOLE:
                    held = b""
            found.append(held)
        return found

    def close(self) -> None:
        """Let go of the memory."""
        for view in ("_slots", "_words", "_all"):
            if hasattr(self, view):
                getattr(self, view).release()
        self._map.close()

    def _read(self, account: str, packed: bytes) -> AccountFacts | None:
        try:
            return unpack(account, packed, self._names)
        except Torn:
            if len(self._names.known) == self._words[_FEATURES_AT]:
                return None
        self._names = Names(self._read_names())  # a feature was met that is newer than our list of them
        try:
            return unpack(account, packed, self._names)
        except Torn:
            return None

    def _masks(self, features: Sequence[str]) -> Iterable[int]:
        """The bit of each feature; 0: no right gives it."""
        bits = {feature: self._names.bit(feature) for feature in {*features}}
        if 0 in bits.values() and len(self._names.known) != self._words[_FEATURES_AT]:
            self._names = Names(self._read_names())
            bits = {feature: self._names.bit(feature) for feature in bits}
        return map(bits.__getitem__, features)

    def _read_names(self) -> list[str]:
        many = min(self._words[_FEATURES_AT], MOST_FEATURES)
        cells = (bytes(self._all[_NAMES + n * _NAME : _NAMES + (n + 1) * _NAME]) for n in range(many))
        return [str(cell[1 : 1 + cell[0]], "utf-8") for cell in cells]


class Keeper(Shelf):
    """A shelf as its one writer sees it. Memory is taken step by step, and a machine that has none left says so by
    OSError; to write into a hole of the file would end the process."""

    def __init__(self, path: Path, accounts: int, size: int, like: "Keeper | None" = None) -> None:
        places = max(1024, int(accounts * _ROOM))
        arena = _HEAD + (places + _PROBES) * _SLOT
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            reserve(file, 0, arena)
            os.ftruncate(file, arena + size + _STEP)
            os.pwrite(file, os.urandom(16) if like is None else like.secret, _SECRET.start)
            os.pwrite(file, Struct("<QQ").pack(_MAGIC, places), 0)
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
        return self._places + _PROBES

    def is_tight(self, size: int) -> bool:
        """Whether it is time for a larger one: nearly all slots are in use, or more bytes than this are written."""
        return self.used >= self._places * _TIGHT or self.size > size

    def copy(self, older: "Keeper", since: int, until: int) -> None:
        """Take over what the slots [since, until) of another shelf, of the same secret, lead to."""
        slots, held = older._slots, older._map  # noqa: SLF001 - of the same class
        for place in range(since * 2, min(until, older.places) * 2, 2):
            word = slots[place + 1]
            if word:
                start = word >> _LENGTH
                self._lead(slots[place], held[start : start + (word & _MOST)])

    @property
    def names(self) -> Names:
        """The features of this shelf by their numbers."""
        return self._names

    @property
    def secret(self) -> bytes:
        """What the hash of this shelf rests on."""
        return bytes(self._all[_SECRET])

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
        digest = self._hash.copy()
        digest.update(account)
        key, check = _KEY.unpack(digest.digest())
        held = packed + _CHECK.pack(crc32(packed, check))
        self._lead(key, held if len(held) <= _MOST else b"")

    def put_many(self, accounts: Sequence[bytes], packed: Sequence[bytes]) -> None:
        """`put_packed` for many accounts, on a shelf that nobody reads yet. Raises Full, OSError."""
        digests = list[bytes]()
        for account in accounts:
            digest = self._hash.copy()
            digest.update(account)
            digests.append(digest.digest())
        start = end = self._end
        self._make_room(len(accounts), start + sum(map(len, packed)) + len(packed) * _CHECK.size)
        slots, places, checked, written, replaced = self._slots, self._places, _CHECK.pack, list[bytes](), 0
        for (key, check), body in zip(_KEY.iter_unpack(b"".join(digests)), packed, strict=True):
            held = body + checked(crc32(body, check))
            size = len(held)
            if size > _MOST:
                continue
            place = key % places * 2
            if slots[place]:
                place = self._place_of(key)
                replaced += slots[place] == key
            slots[place] = key
            slots[place + 1] = end << _LENGTH | size
            end += size
            written.append(held)
        self._map[start:end] = b"".join(written)
        self._end = end
        self.used += len(written) - replaced

    def drop(self, account: str) -> None:
        """From now on nothing is known here of this account."""
        digest = self._hash.copy()
        digest.update(account.encode())
        self._lead(_KEY.unpack(digest.digest())[0], b"")

    def publish_names(self) -> None:
        """Let readers know the features that have a number."""
        for number in range(self._words[_FEATURES_AT], len(self._names.known)):
            name = self._names.known[number].encode()
            start = _NAMES + number * _NAME
            self._all[start : start + 1 + len(name)] = bytes((len(name),)) + name
            self._words[_FEATURES_AT] = number + 1

    def close(self) -> None:
        """Let go of the memory and the file."""
        super().close()
        if hasattr(self, "_file"):
            os.close(self._file)
            del self._file

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
        slots[place + 1] = start << _LENGTH | len(held)
        if is_new:
            slots[place] = key
            self.used += 1

    def _place_of(self, key: int) -> int:
        """Where a key stands, or may. Raises Full."""
        slots = self._slots
        first = key % self._places * 2
        for place in range(first, first + _PROBES * 2, 2):
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
