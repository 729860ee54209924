"""What the list is asked for, read from the address: every filter is in the URL, so that it can be shared. Pure."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final, Literal, TypeVar, cast, get_args
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from billing.kernel.days import end_of, start_of
from billing.kernel.errors import Fault, Malformed, NotFound
from billing.kernel.ids import parse, public

Kind = Literal["trial", "pass", "order"]
Need = Literal["overdue", "staff"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NEEDS: Final[tuple[Need, ...]] = get_args(Need)
SIZES: Final = (25, 50, 100)
STATES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "trial": ("running", "ended", "converted"),
    "pass": ("active", "past_due", "paused", "ended", "withdrawn", "refunded", "disputed"),
    "order": ("incomplete", "pending", "paid", "failed", "expired"),
}
ALL_STATES: Final = tuple(dict.fromkeys(state for states in STATES.values() for state in states))
_AUDIT_NAMES: Final = frozenset({"actor", "action", "subject", "from", "to", "after", "lang"})
_NAMES: Final = frozenset({"q", "kind", "state", "from", "to", "season", "need", "size", "after", "lang"})
_LONGEST: Final = 200
_CURSOR: Final = "row"
_POLISH: Final = str.maketrans("ĄĆĘŁŃÓŚŹŻąćęłńóśźż", "ACELNOSZZacelnoszz")
_One = TypeVar("_One", bound=str)


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows, and which page of them. Days are Warsaw days, `first` and `last` both included; `after` is the last
    row of the page before."""

    q: str = ""
    kind: Kind | None = None
    state: str | None = None
    first: date | None = None
    last: date | None = None
    season: str | None = None
    need: Need | None = None
    size: int = SIZES[0]
    after: UUID | None = None

    @property
    def since(self) -> datetime | None:
        """The first instant of the first day."""
        return None if self.first is None else start_of(self.first)

    @property
    def until(self) -> datetime | None:
        """The first instant after the last day."""
        return None if self.last is None else end_of(self.last)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the page is asked for."""
        return msgspec.structs.replace(self, size=SIZES[0], after=None) != Filters()

    def query(self, *, after: UUID | None = None, size: int | None = None) -> str:
        """The filters as a query string; the page is the one after `after`."""
        given = {
            "q": self.q,
            "kind": self.kind,
            "state": self.state,
            "from": self.first,
            "to": self.last,
            "season": self.season,
            "need": self.need,
            "size": (size or self.size) if (size or self.size) != SIZES[0] else None,
            "after": None if after is None else public(_CURSOR, after),
        }
        return urlencode({name: str(value) for name, value in given.items() if value})


class AuditAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Filters of the audit log: parts of texts, a whole subject, and Warsaw days, both included."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    first: date | None = None
    last: date | None = None
    after: UUID | None = None
    size: int = 50

    def query(self, *, after: UUID | None = None) -> str:
        """The filters as a query string; the page is the one after `after`."""
        given = {"actor": self.actor, "action": self.action, "subject": self.subject, "from": self.first,
                 "to": self.last, "after": None if after is None else public(_CURSOR, after)}  # fmt: skip
        return urlencode({name: str(value) for name, value in given.items() if value})


def read(pairs: Iterable[tuple[str, str]]) -> Filters:
    """The filters of the list's query string; fields left blank are not set. Raises Malformed naming every fault."""
    values, faults = _given(pairs, _NAMES)
    found = Filters(
        q=_text(values, "q", faults),
        kind=_choice(values, "kind", KINDS, faults),
        state=_choice(values, "state", ALL_STATES, faults),
        first=_day(values, "from", faults),
        last=_day(values, "to", faults),
        season=_text(values, "season", faults) or None,
        need=_choice(values, "need", NEEDS, faults),
        size=int(_choice(values, "size", tuple(str(size) for size in SIZES), faults) or SIZES[0]),
        after=_after(values, faults),
    )
    _refuse(found.first, found.last, faults)
    return found


def read_audit(pairs: Iterable[tuple[str, str]]) -> AuditAsked:
    """The filters of the audit log's query string. Raises Malformed naming every fault."""
    values, faults = _given(pairs, _AUDIT_NAMES)
    found = AuditAsked(
        actor=_text(values, "actor", faults),
        action=_text(values, "action", faults),
        subject=_text(values, "subject", faults),
        first=_day(values, "from", faults),
        last=_day(values, "to", faults),
        after=_after(values, faults),
    )
    _refuse(found.first, found.last, faults)
    return found


def _given(pairs: Iterable[tuple[str, str]], known: frozenset[str]) -> tuple[dict[str, str], list[Fault]]:
    given = [(name, value.strip()) for name, value in pairs if value.strip()]
    names = [name for name, _ in given]
    faults = [Fault(name, "unknown_parameter", "?") for name in names if name not in known]
    faults += [Fault(name, "repeated", "2×") for name in sorted(set(names)) if names.count(name) > 1]
    return dict(given), faults


def _refuse(first: date | None, last: date | None, faults: list[Fault]) -> None:
    if first and last and first > last:
        faults.append(Fault("to", "invalid", f"{last} < {first}"))
    if faults:
        raise Malformed("The address of this list cannot be understood.", faults=tuple(faults))


def fold(text: str) -> str:
    """Text as it is compared in a search: case and Polish letters do not matter (R115).

    >>> fold("  Łódź ")
    'lodz'
    """
    return unicodedata.normalize("NFC", text).strip().translate(_POLISH).lower()


def pattern_of(text: str) -> str:
    """A LIKE pattern that finds the folded text anywhere; `%`, `_` and backslash mean themselves."""
    plain = fold(text)
    for sign in ("\\", "%", "_"):
        plain = plain.replace(sign, f"\\{sign}")
    return f"%{plain}%"


def _text(values: Mapping[str, str], name: str, faults: list[Fault]) -> str:
    text = values.get(name, "")
    if len(text) > _LONGEST or "\0" in text or not text.isprintable():
        faults.append(Fault(name, "invalid", f"≤ {_LONGEST}"))
        return ""
    return text


def _choice(values: Mapping[str, str], name: str, known: tuple[_One, ...], faults: list[Fault]) -> _One | None:
    value = values.get(name)
    if value is None or value in known:
        return cast("_One | None", value)
    faults.append(Fault(name, "invalid", ", ".join(known)))
    return None


def _day(values: Mapping[str, str], name: str, faults: list[Fault]) -> date | None:
    value = values.get(name)
    if value is None:
        return None
    try:
        on = date.fromisoformat(value)
    except ValueError:
        on = None
    if on is None or not 1990 <= on.year <= 2200 or value != on.isoformat():  # noqa: PLR2004 - far beyond both ends
        faults.append(Fault(name, "invalid", "YYYY-MM-DD"))
        return None
    return on


def _after(values: Mapping[str, str], faults: list[Fault]) -> UUID | None:
    value = values.get("after")
    if value is None:
        return None
    try:
        return parse(_CURSOR, value)
    except NotFound:
        faults.append(Fault("after", "invalid", f"{_CURSOR}_…"))
        return None
