"""Until when a buyer may ask for an invoice, by when it must be there, and what makes it issued. Pure; Warsaw days."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final, Literal, get_args

import msgspec
from stdnum.pl import nip

from billing.kernel.errors import Conflict, Gone, NotFound

Kind = Literal["invoice", "correction"]
State = Literal["requested", "handed_over", "issued", "refused"]
Path = Literal["ksef", "offline", "consumer"]
Marker = Literal["KSEF", "OFF", "BFK", "DI"]
BuyerKind = Literal["consumer", "company", "private_person", "municipality"]
Field = Literal["name", "street", "town", "email", "nip"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
STATES: Final[tuple[State, ...]] = get_args(State)
PATHS: Final[tuple[Path, ...]] = get_args(Path)

MOVES: Final[frozenset[tuple[State, State]]] = frozenset(
    {("requested", "handed_over"), ("requested", "refused"), ("handed_over", "issued"), ("handed_over", "refused")}
)
"""All there is. Nothing leads away from `issued`: an invoice is never cancelled, only corrected by another (R110)."""

MARKERS: Final[Mapping[Path | None, Marker]] = {"ksef": "KSEF", "offline": "OFF", "consumer": "BFK", None: "DI"}
"""What a row of sales carries in JPK_V7M: the number in KSeF, issued while KSeF was away, a consumer's invoice outside
KSeF, or no invoice at all (R111)."""

MONTHS_TO_ASK: Final = 3
DAYS_WHEN_LATER: Final = 15
DAY_OF_NEXT_MONTH: Final = 15

# The seller's NIP, the day, a technical part of 12 hexadecimal digits (once two groups of six), a checksum.
_KSEF: Final = re.compile(r"\d{10}-20\d{6}-[0-9A-F]{6}-?[0-9A-F]{6}-[0-9A-F]{2}")
_POSTCODE: Final = re.compile(r"\d{2}-\d{3} \S.*")


class TooLateToAsk(Gone):
    """The term for asking has passed (R106)."""

    code = "invoice_term_over"


class NothingToInvoice(Conflict):
    """No money is kept for this order, or all of it has an invoice already."""

    code = "nothing_to_invoice"


class NotIssued(Conflict):
    """What was given does not make an invoice issued (R109)."""

    code = "invoice_not_issued"


class UnknownRequest(NotFound):
    """There is no such request for an invoice."""


class Buyer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom the invoice names: `nip` of a company, none for a consumer. Personal data; sealed where it is kept."""

    kind: BuyerKind
    name: str
    street: str
    town: str
    email: str
    nip: str | None = None


def move(now: State, to: State) -> State:
    """The next state; an edge that is not in the table is refused (I17)."""
    if (now, to) not in MOVES:
        raise Conflict(f"A request for an invoice cannot go from {now} to {to}.", code="conflict")
    return to


def last_day_to_ask(paid_on: date) -> date:
    """The end of the third month after the month of payment (R106).

    >>> last_day_to_ask(date(2026, 11, 21))
    datetime.date(2027, 2, 28)
    """
    return _first_of_month_after(paid_on, MONTHS_TO_ASK + 1) - timedelta(days=1)


def due_on(paid_on: date, asked_on: date) -> date:
    """The last day on which the invoice may be issued: the 15th of the month after the payment; 15 days from the
    request where that was made in a later month (R107).

    >>> due_on(date(2026, 11, 21), date(2026, 11, 25)), due_on(date(2026, 11, 21), date(2027, 1, 10))
    (datetime.date(2026, 12, 15), datetime.date(2027, 1, 25))
    """
    if (asked_on.year, asked_on.month) == (paid_on.year, paid_on.month):
        return _first_of_month_after(paid_on, 1).replace(day=DAY_OF_NEXT_MONTH)
    return asked_on + timedelta(days=DAYS_WHEN_LATER)


def _first_of_month_after(on: date, months: int) -> date:
    count = on.year * 12 + on.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def buyer_of(*, name: str, street: str, town: str, email: str, nip_text: str) -> Buyer:
    """The buyer that a form names: with a NIP a company, without one a consumer."""
    number = nip.compact(nip_text) if nip_text else None
    return Buyer(kind="company" if number else "consumer", name=name, street=street, town=town, email=email, nip=number)


def faults_of(*, name: str, street: str, town: str, nip_text: str) -> list[Field]:
    """Which fields of the form an invoice cannot be made of; the address for mail is judged by who knows addresses."""
    found: list[Field] = []
    if not name:
        found.append("name")
    if not street:
        found.append("street")
    if not _POSTCODE.fullmatch(town):
        found.append("town")
    if nip_text and not nip.is_valid(nip_text):
        found.append("nip")
    return found


def checked_issue(buyer: BuyerKind, path: Path, number: str, ksef_number: str | None) -> None:
    """Nothing if this makes an invoice issued: with a KSeF number; issued offline while KSeF was away; or, for a buyer
    without NIP alone, outside KSeF altogether (R109). Raises NotIssued."""
    if not number.strip():
        raise NotIssued("An invoice has a number of its own.")
    if path == "ksef" and not _KSEF.fullmatch(ksef_number or ""):
        raise NotIssued("That is no number of KSeF.", given=ksef_number)
    if path != "ksef" and ksef_number is not None:
        raise NotIssued("With a number of KSeF it was issued in KSeF.")
    if path == "consumer" and buyer in {"company", "municipality"}:
        raise NotIssued("An invoice for a NIP is issued in KSeF.")
