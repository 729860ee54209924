"""Features by number: a mask of bits takes the place of their names, in a file that many read and one writes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

MOST_FEATURES: Final = 32
LONGEST_NAME: Final = 63
"""Bytes of a feature's name, at most."""


class Unfit(Exception):
    """These facts do not fit; whoever asks about them asks the database."""


class Torn(Exception):
    """These bytes are no facts."""


class Names:
    """Features by number, in the order in which they were first met. A number, once given, stays."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.known = list(known)
        self._numbers = {name: number for number, name in enumerate(self.known)}
        self.bits = {name: 1 << number for name, number in self._numbers.items()}
        """The bit of each feature that has a number."""
        self.sets: dict[int, frozenset[str]] = {}
        """What `of` has told before."""
        self.ends: dict[int, datetime] = {}
        """Instants on the hour that were met."""

    def number(self, name: str) -> int:
        """The number of a feature; a new one gets the next. Raises Unfit when there are too many, or no such name."""
        number = self._numbers.get(name)
        if number is None:
            if len(self.known) >= MOST_FEATURES or not name or len(name.encode()) > LONGEST_NAME:
                raise Unfit("too many features, or too long a name")
            number = self._numbers[name] = len(self.known)
            self.bits[name] = 1 << number
            self.known.append(name)
        return number

    def mask(self, names: Iterable[str]) -> int:
        """The bits of these features."""
        mask = 0
        for name in names:
            mask |= 1 << self.number(name)
        return mask

    def of(self, mask: int) -> frozenset[str]:
        """The features of these bits. Raises Torn for a bit that nobody gave out."""
        found = self.sets.get(mask)
        if found is None:
            if mask >> len(self.known):
                raise Torn("unknown features")
            found = frozenset(name for number, name in enumerate(self.known) if mask >> number & 1)
            self.sets[mask] = found
        return found
