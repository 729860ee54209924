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
from zlib import crc32

from entitlements.facts import NO_SPAN, AccountFacts, Only, Span
from entitlements.snapshot.layout import (
    CHECK,
    FEATURES_AT,
    HEAD,
    KEY,
    LENGTH,
    MAGIC,
    MAGIC_AT,
    MOST,
    NAME,
    NAMES,
    PROBES,
    SECRET,
    SLOT,
    SLOTS_AT,
    WHOLE,
)
from entitlements.snapshot.names import MOST_FEATURES, Names, Torn
from entitlements.snapshot.packed import only, spans, unpack


class Shelf:
    """A shelf as its readers see it. Raises OSError, or Torn for a file that is none."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        with path.open("r+b" if writable else "rb") as file:
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            if os.fstat(file.fileno()).st_size < HEAD:
                raise Torn("no shelf")
            self._map = mmap.mmap(file.fileno(), 0, access=access)
        self._all = memoryview(self._map)
        self._words = self._all[:HEAD].cast("Q")
        if self._words[MAGIC_AT] != MAGIC:
            self.close()
            raise Torn("no shelf")
        self._places = self._words[SLOTS_AT]
        self._slots = self._all[HEAD : HEAD + (self._places + PROBES) * SLOT].cast("Q")
        self._arena = HEAD + (self._places + PROBES) * SLOT
        secret = bytes(self._all[SECRET])
        self._hash = blake2s(digest_size=KEY.size, salt=secret[:8], person=secret[8:])
        self._names = Names()

    def find(self, account: str) -> AccountFacts | None:
        """The facts of an account; None: not known here."""
        if not account.isascii():
            return None
        (held,) = self.find_packed([account.encode()])
        return self._read(account, held[: -CHECK.size]) if held else None

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
        slots, places, whole, hashed, keyed, crc = self._slots, self._places, self._map, self._hash, KEY.unpack, crc32
        for account in accounts:
            digest = hashed.copy()
            digest.update(account)
            key, check = keyed(digest.digest())
            place = key % places * 2
            at = slots[place]
            if at != key:
                last = place + PROBES * 2 - 2
                while at and at != key and place < last:
                    place += 2
                    at = slots[place]
            held = b""
            if at == key and (word := slots[place + 1]):
                start = word >> LENGTH
                held = whole[start : start + (word & MOST)]
                if crc(held, check) != WHOLE:
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
            if len(self._names.known) == self._words[FEATURES_AT]:
                return None
        self._names = Names(self._read_names())  # a feature was met that is newer than our list of them
        try:
            return unpack(account, packed, self._names)
        except Torn:
            return None

    def _masks(self, features: Sequence[str]) -> list[int]:
        """The bit of each feature; 0: no right gives it."""
        bits = self._names.bits
        try:
            return [bits[feature] for feature in features]
        except KeyError:
            if len(bits) != self._words[FEATURES_AT]:
                self._names = Names(self._read_names())
            return [self._names.bits.get(feature, 0) for feature in features]

    def _read_names(self) -> list[str]:
        many = min(self._words[FEATURES_AT], MOST_FEATURES)
        cells = (bytes(self._all[NAMES + n * NAME : NAMES + (n + 1) * NAME]) for n in range(many))
        return [str(cell[1 : 1 + cell[0]], "utf-8") for cell in cells]
