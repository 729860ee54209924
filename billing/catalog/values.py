"""The catalogue as a frozen value. Money is in grosz; a day is a Warsaw day; `valid_until` is exclusive."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from billing.kernel.errors import BillingError, Conflict, NotFound
from billing.kernel.ids import Ref
from billing.kernel.money import Currency, VatMethod

Locale = Literal["pl", "uk", "en"]
Method = Literal["blik", "p24", "card"]
ProductKind = Literal["season_pass", "renewing"]
RefundPolicy = Literal["full", "prorata"]
StartUnasked = Literal["at_once", "after_withdrawal"]

DayOfYear = Annotated[str, Meta(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", examples=["06-30"])]
SeasonLabel = Annotated[str, Meta(pattern=r"^20[0-9]{2}/[0-9]{2}$", examples=["2026/27"])]
Words = Annotated[str, Meta(min_length=1, max_length=300)]
Grosz = Annotated[int, Meta(ge=0, le=10_000_000)]
NoticeDays = Annotated[int, Meta(ge=1, le=60)]


class BadCatalogue(BillingError):
    """Why the catalogue cannot be used: one line a fault, all of them."""

    code = "bad_catalogue"

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class SalesClosed(Conflict):
    """The product is not sold on that day, or the season asked for is no longer (or not yet) sold (R6)."""

    code = "sales_closed"


class UnknownProduct(NotFound):
    """The catalogue holds no such product."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file; a field it does not know is a fault."""


class Names(_Part, frozen=True, kw_only=True):
    """One text in each language we speak."""

    pl: Words
    uk: Words
    en: Words

    def in_(self, locale: str) -> str:
        """The text in `locale`; Polish where we do not speak it."""
        return {"uk": self.uk, "en": self.en}.get(locale, self.pl)


class Feature(_Part, frozen=True, kw_only=True):
    """What the app asks about: `basic` is free for ever, `add_on` needs a right in the mobile app (R8, R9)."""

    key: Ref
    kind: Literal["basic", "add_on"]
    names: Names


class SeasonRule(_Part, frozen=True, kw_only=True):
    """A season ends with the day `ends` of a year and the next begins the day after; a season is sold up to and
    including `sales_close` (R5, R6). Both are month-day, `06-30`. Whose passes end with it is told `notice_days`
    before (R63)."""

    ends: DayOfYear = "06-30"
    sales_close: DayOfYear = "05-31"
    notice_days: NoticeDays = 14


class Price(_Part, frozen=True, kw_only=True):
    """A gross price in grosz from 00:00 of `valid_from` until 00:00 of `valid_until` (Warsaw). `season` is absent for
    a renewing product; a `reduced` price is an announced promotion and wins over the plain one (R7, R83)."""

    gross: Grosz
    vat_rate_percent: Annotated[int, Meta(ge=0, le=27)] = 23
    season: SeasonLabel | None = None
    valid_from: date
    valid_until: date
    reduced: bool = False
    currency: Currency = "PLN"

    def holds_on(self, on: date) -> bool:
        """Whether this price is in force on a Warsaw day."""
        return self.valid_from <= on < self.valid_until


class Product(_Part, frozen=True, kw_only=True):
    """A thing sold: the features a right to it grants, and the methods it may be paid by (R52)."""

    key: Ref
    kind: ProductKind
    enabled: bool = True
    names: Names
    features: tuple[Ref, ...]
    methods: tuple[Method, ...]
    interval: Literal["month", "year"] | None = None
    prices: tuple[Price, ...]


class TrialPolicy(_Part, frozen=True, kw_only=True):
    """How long a trial lasts (exactly one of `length_days`, `common_end`: the first day on basic) and how its end is
    told: `notice_days` before at the latest, `lead_days` earlier still as planned, within `send_hours` of Warsaw."""

    length_days: Annotated[int, Meta(ge=1, le=366)] | None = None
    common_end: date | None = None
    notice_days: Annotated[int, Meta(ge=1, le=60)] = 7
    lead_days: Annotated[int, Meta(ge=1, le=30)] = 3
    most_prolongations: Annotated[int, Meta(ge=0, le=20)] = 3
    send_hours: tuple[int, int] = (8, 20)


class RenewalRule(_Part, frozen=True, kw_only=True):
    """How many days before each charge of a renewing product its buyer is told of it, most days first (R65).

    The law's 30 and 7 days are what a yearly product needs. A month has no room for a letter 30 days ahead: it would go
    out before the charge of the period it stands in, and tell of two charges at once. So a monthly product is told of
    7 days before each charge. No charge without the last of these letters handed over in time, so each is planned
    `lead_days` earlier still. `grace_days`: so long a right is left on while its next payment is awaited;
    `blik_mandates`: whether BLIK may be charged again (R68)."""

    lead_days: Annotated[int, Meta(ge=0, le=30)] = 3
    yearly_notice_days: tuple[NoticeDays, ...] = (30, 7)
    monthly_notice_days: tuple[NoticeDays, ...] = (7,)
    grace_days: Annotated[int, Meta(ge=0, le=60)] = 7
    blik_mandates: bool = False

    def notice_days(self, interval: str) -> tuple[int, ...]:
        """The days for an interval, most first."""
        return self.monthly_notice_days if interval == "month" else self.yearly_notice_days


class SellerFacts(_Part, frozen=True, kw_only=True):
    """Who sells, as the buyer must be told; `hours` are those of Monday to Friday."""

    name: Words
    address: Words
    nip: str
    email: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+$", max_length=254)]
    phone: Words
    hours: Words


class OrderRules(_Part, frozen=True, kw_only=True):
    """What an order page says and how long things last: `button` is the binding one (R40), `statement_text` stands on
    the bank statement (R59), a payment link lives `link_days` Warsaw days (R32); a pass whose buyer did not ask for an
    early start begins `start_unasked` (R44); VAT is counted and rounded for the
    whole order or for each line, by `vat_method`, everywhere (R103)."""

    button: Names
    statement_text: str
    link_days: Annotated[int, Meta(ge=1, le=90)] = 14
    withdrawal_days: Annotated[int, Meta(ge=14, le=100)] = 14
    refund_policy: RefundPolicy = "full"
    start_unasked: StartUnasked = "at_once"
    refund_limit: Grosz = 10_000
    vat_method: VatMethod = "per_document"


class Catalogue(_Part, frozen=True, kw_only=True):
    """All that is sold and by which rules. Made by `reading.read`; anything in it has been checked."""

    version: Words
    features: tuple[Feature, ...]
    season: SeasonRule
    products: tuple[Product, ...]
    trial: TrialPolicy
    order: OrderRules
    seller: SellerFacts
    renewal: RenewalRule = RenewalRule()

    @property
    def basic(self) -> tuple[str, ...]:
        """The keys of what is free for ever, in the order of the file."""
        return tuple(feature.key for feature in self.features if feature.kind == "basic")

    @property
    def add_ons(self) -> tuple[str, ...]:
        """The keys of what needs a right, in the order of the file."""
        return tuple(feature.key for feature in self.features if feature.kind == "add_on")

    def feature(self, key: str) -> Feature | None:
        """The feature of that key."""
        return next((feature for feature in self.features if feature.key == key), None)

    def product(self, key: str) -> Product:
        """The product of that key, switched on or not. Raises UnknownProduct."""
        for product in self.products:
            if product.key == key:
                return product
        raise UnknownProduct("There is no product of this key.", product=key)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What may be bought on one Warsaw day. The pass covers `first_day` to `last_day`, both included; money in grosz.

    `lowest_30_days` is the lowest price of the 30 days before the reduction began, given when `reduced` (R83, R84).
    """

    product: str
    kind: ProductKind
    names: Names
    features: tuple[str, ...]
    methods: tuple[Method, ...]
    season: str
    first_day: date
    last_day: date
    unit_gross: int
    vat_rate_percent: int
    vat_method: VatMethod = "per_document"
    currency: Currency = "PLN"
    price_key: str
    reduced: bool = False
    lowest_30_days: int | None = None
    interval: Literal["month", "year"] | None = None
    catalogue_version: str
