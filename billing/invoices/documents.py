"""What is handed to the invoicing system: all that FA(3) of KSeF needs, as a value with a JSON schema (R108). Pure.

Field names are ours; comments name those of FA(3). Amounts are grosze; a correction carries differences.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from stdnum.pl import nip

from billing.invoices.rules import BuyerKind, Kind
from billing.kernel.money import Currency, VatMethod

NAMESPACE: Final = "http://crd.gov.pl/wzor/2025/06/25/13775/"

Nip = Annotated[str, Meta(pattern=r"^\d{10}$")]
Flag = Literal[1, 2]
"""1 yes, 2 no, as FA(3) writes it."""

RECIPIENT: Final = 2
RECIPIENT_IN_LOCAL_GOVERNMENT: Final = 8
Role = Literal[2, 4, 6, 8, 10]
"""Recipient, additional buyer, payer, recipient in local government, member of a VAT group."""

PAYMENT_FORMS: Final[Mapping[str, int]] = {"card": 2, "p24": 6, "blik": 7}
"""FormaPlatnosci: card, transfer, mobile."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the document."""


class Seller(_Part, frozen=True, kw_only=True):
    """Podmiot1."""

    nip: Nip
    name: str
    address: str


class Buyer(_Part, frozen=True, kw_only=True):
    """Podmiot2: exactly one of `nip` and `no_id` (BrakID); `jst` and `gv` must always be said."""

    kind: BuyerKind
    name: str
    address_line_1: str
    address_line_2: str
    country: Literal["PL"] = "PL"
    email: str | None = None
    nip: Nip | None = None
    no_id: Literal[1] | None = None
    jst: Flag = 2
    gv: Flag = 2


class ThirdParty(_Part, frozen=True, kw_only=True):
    """Podmiot3: a school behind its municipality has role 8, and a NIP or an internal id (IDWew) by which it sees the
    invoice."""

    role: Role
    name: str
    address_line_1: str
    address_line_2: str
    nip: Nip | None = None
    internal_id: Annotated[str, Meta(pattern=r"^\d{10}-\d{5}$")] | None = None


class Item(_Part, frozen=True, kw_only=True):
    """FaWiersz: P_7, P_8A, P_8B, P_9B, P_11A, P_11, P_11Vat, P_12."""

    name: str
    unit: str
    quantity: int
    unit_gross: int
    gross: int
    net: int
    vat: int
    vat_rate_percent: int


class Totals(_Part, frozen=True, kw_only=True):
    """P_13_1, P_14_1, P_15."""

    net: int
    vat: int
    gross: int


class Paid(_Part, frozen=True, kw_only=True):
    """Platnosc: Zaplacono 1, DataZaplaty, FormaPlatnosci."""

    paid: Literal[1] = 1
    paid_on: date
    form: Literal[2, 6, 7]
    payment: str


class Corrected(_Part, frozen=True, kw_only=True):
    """DaneFaKorygowanej, with PrzyczynaKorekty: the invoice this document corrects."""

    number: str
    issued_on: date
    ksef_number: str | None = None
    reason: str


class InvoiceDocument(_Part, frozen=True, kw_only=True):
    """One document to issue. `request` names it for the answer; `issue_by` is the last day; `sold_on` is P_6."""

    schema: Literal["FA(3)"] = "FA(3)"
    namespace: Literal["http://crd.gov.pl/wzor/2025/06/25/13775/"] = NAMESPACE
    kind: Kind
    request: str
    order: str
    order_number: str
    currency: Currency = "PLN"
    seller: Seller
    buyer: Buyer
    third_parties: tuple[ThirdParty, ...] = ()
    sold_on: date
    issue_by: date
    vat_method: VatMethod
    items: tuple[Item, ...]
    totals: Totals
    payment: Paid
    corrected: Corrected | None = None


def faults(document: InvoiceDocument) -> Iterator[str]:
    """What the schema cannot say and FA(3) still wants; nothing for a document that can be issued."""
    buyer = document.buyer
    if (buyer.nip is None) == (buyer.no_id is None):
        yield "buyer: exactly one of nip and no_id"
    if (buyer.kind in {"company", "municipality"}) != (buyer.nip is not None):
        yield f"buyer: a {buyer.kind} {'has' if buyer.nip is None else 'has no'} nip"
    for number in (document.seller.nip, buyer.nip, *(party.nip for party in document.third_parties)):
        if number is not None and not nip.is_valid(number):
            yield f"{number}: not a valid NIP"
    roles = {party.role for party in document.third_parties}
    if (buyer.jst == 1) != (RECIPIENT_IN_LOCAL_GOVERNMENT in roles):
        yield "third_parties: role 8 for a municipality (jst 1), and for nobody else"
    if (buyer.kind == "municipality") != (buyer.jst == 1):
        yield "buyer: jst is 1 for a municipality, else 2"
    for party in document.third_parties:
        if (party.nip is None) == (party.internal_id is None):
            yield f"{party.name}: exactly one of nip and internal_id"
    if (document.kind == "correction") != (document.corrected is not None):
        yield "corrected: needed for a correction, and for nothing else"
    yield from _sums(document)


def _sums(document: InvoiceDocument) -> Iterator[str]:
    for item in document.items:
        if item.gross != item.net + item.vat or item.gross != item.quantity * item.unit_gross:
            yield f"{item.name}: does not add up"
    total, items = document.totals, document.items
    if (total.net, total.vat, total.gross) != (
        sum(item.net for item in items), sum(item.vat for item in items), sum(item.gross for item in items),
    ):  # fmt: skip
        yield "totals: not the sum of the items"
    if not document.items or not total.gross or (document.kind == "invoice" and total.gross < 0):
        yield "totals: an invoice is of more than nothing, a correction of something"
