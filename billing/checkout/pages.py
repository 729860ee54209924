"""What a parent sees of an offer and of an order: frozen facts in, one page of HTML out.

No page names a child, a school or a parent: a link may be forwarded (R36). Money is in grosz; days are Warsaw days and
both ends of a period are included, as people say them.
"""

from datetime import date, datetime
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct

from billing.kernel.pages import Page, Seller, show
from billing.kernel.speech import Speech

RefundReason = Literal[
    "withdrawal", "duplicate", "late", "non_conformity", "sponsor_overlap", "goodwill", "dispute", "school_block"
]
Interval = Literal["month", "year"]
OrderState = Literal["waiting", "open", "paid", "failed", "expired", "refunded", "part_refunded"]

BINDING_LABELS: Final = MappingProxyType(
    {"Zamawiam i płacę": "Order and pay", "Zamówienie z obowiązkiem zapłaty": "Order with obligation to pay"}
)
METHODS: Final = MappingProxyType({"blik": "BLIK", "p24": "Przelewy24", "card": "card"})


class Covered(Struct, frozen=True, kw_only=True):
    """A pupil taken out of the order: the last day of the right there is, and whether somebody else gave it."""

    until: date
    source: Literal["paid", "sponsored"]


class Renewal(Struct, frozen=True, kw_only=True):
    """The terms of a product that renews: how often, the day and the amount of the next charge, and how many days
    before each charge a letter tells of it, most first (R41, R65)."""

    interval: Interval
    next_charge_on: date
    amount: int
    notice_days: tuple[int, ...]


class Choice(Struct, frozen=True, kw_only=True):
    """One of the things the same link may be used for; `interval` is None for what is paid once."""

    name: str
    url: str
    unit_price: int
    last_day: date
    interval: Interval | None
    is_shown: bool


class FieldError(Struct, frozen=True, kw_only=True):
    """What is wrong with a field, in the reader's words; `field` is its id on the page."""

    field: str
    text: str


class OfferPage(Page, frozen=True, kw_only=True):
    """All that may be known before the button is pressed, and nothing about who (R36, R41)."""

    action: str
    offer_digest: str
    product_name: str
    features: tuple[str, ...]
    basic_features: tuple[str, ...]
    pupil_count: int
    unit_price: int
    total: int
    vat_rate_percent: int
    vat_amount: int
    first_day: date
    last_day: date
    link_valid_until: date
    terms_version: str
    covered: tuple[Covered, ...] = ()
    blocked_features: tuple[str, ...] = ()
    later_first_day: date | None = None
    lowest_30_days: int | None = None
    price_changed: bool = False
    product: str = ""
    renewal: Renewal | None = None
    choices: tuple[Choice, ...] = ()
    full_refund: bool = True
    methods: tuple[str, ...] = ("blik", "p24", "card")
    errors: tuple[FieldError, ...] = ()
    button: str = "Zamawiam i płacę"
    not_now_url: str = "/nie-teraz"


class RenewalLine(Struct, frozen=True, kw_only=True):
    """How the renewal of an order stands, and the page with its controls."""

    url: str
    state: Literal["on", "off", "past_due", "paused", "ended"]
    next_charge_on: date | None
    next_amount: int


class OrderPage(Page, frozen=True, kw_only=True):
    """The truth about one order. The page grants nothing (R55); links that are None are not offered."""

    order_number: str
    state: OrderState
    product_name: str
    pupil_count: int
    total: int
    first_day: date | None = None
    last_day: date | None = None
    refunded: int | None = None
    refund_reason: RefundReason | None = None
    refund_done: bool = False
    check_url: str = ""
    pay_again_url: str | None = None
    withdrawal_url: str | None = None
    withdrawal_last_day: date | None = None
    invoice_url: str | None = None
    withdrawn_at: datetime | None = None
    renewal: RenewalLine | None = None
    full_refund: bool = True


class Consents(Struct, frozen=True, kw_only=True):
    """The exact texts beside the boxes, as shown in one language; their hashes are kept on the order (R43, R45)."""

    start_now: str
    terms: str
    renew: str
    button: str


def binding_label(label: str, speech: Speech) -> str:
    """The binding words in the reader's language; any label outside the allow-list is a ValueError (R40)."""
    if label == "Zamawiam i płacę":
        return speech.say("Order and pay")
    if label == "Zamówienie z obowiązkiem zapłaty":
        return speech.say("Order with obligation to pay")
    raise ValueError(f"{label!r} does not bind; use one of {', '.join(BINDING_LABELS)}")


def consents(speech: Speech, button: str = "Zamawiam i płacę", renewal: Renewal | None = None) -> Consents:
    """What a parent agrees to by each box and by the button."""
    return Consents(
        start_now=speech.say("I ask that the service start before the withdrawal period ends."),
        terms=speech.say("I am at least 18 years old and I accept the terms of service."),
        renew=renewal_consent(renewal.interval, renewal.amount, speech) if renewal else "",
        button=binding_label(button, speech),
    )


def renewal_consent(interval: Interval, amount: int, speech: Speech) -> str:
    """The consent to renewing, which names what is charged and how often: it is a consent to that price (R64, R66)."""
    money = speech.money(amount)
    if interval == "month":
        return speech.say("I agree that %(amount)s is charged every month until I turn the renewal off.", amount=money)
    return speech.say("I agree that %(amount)s is charged every year until I turn the renewal off.", amount=money)


def offer_page(page: OfferPage, speech: Speech) -> str:
    """The order page: everything the law wants before the button, in that order (R41–R43, R119)."""
    errors = {error.field: error.text for error in page.errors}
    methods = ", ".join(speech.say("card") if name == "card" else METHODS.get(name, name) for name in page.methods)
    texts = consents(speech, page.button, page.renewal)
    # The answer to the form is the same page at another path, which knows no GET: the language links lead back here.
    here = page.action.removesuffix("/order")
    return show("checkout/offer.html", page, speech, here=here, errors=errors, texts=texts, methods=methods)


def order_page(page: OrderPage, speech: Speech) -> str:
    """Where the parent comes back to: waiting, paid until, failed and what to do, or repaid and why."""
    return show("checkout/order.html", page, speech)


def blank_terms_error(speech: Speech) -> FieldError:
    """To order without accepting the terms."""
    return FieldError(field="terms", text=speech.say("To order, accept the terms of service by ticking this box."))


def blank_renewal_error(speech: Speech) -> FieldError:
    """To order what renews without agreeing to that (R64)."""
    say = speech.say
    text = say("To order this, agree to the automatic renewal by ticking this box. Otherwise choose “Not now”.")
    return FieldError(field="renew", text=text)


__all__ = (
    "BINDING_LABELS",
    "Choice",
    "Consents",
    "Covered",
    "FieldError",
    "Interval",
    "OfferPage",
    "OrderPage",
    "OrderState",
    "RefundReason",
    "Renewal",
    "RenewalLine",
    "Seller",
    "binding_label",
    "blank_renewal_error",
    "blank_terms_error",
    "consents",
    "offer_page",
    "order_page",
    "renewal_consent",
)
