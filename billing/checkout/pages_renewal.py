"""What the holder of an order that renews sees: how it stands, and every control beside it (R65–R67).

Amounts are grosz for all pupils of the order; days are Warsaw days, both ends included.
"""

from datetime import date
from typing import Literal

from msgspec import Struct

from billing.checkout.pages import FieldError, Interval, renewal_consent
from billing.kernel.pages import Message, Page, show, tell
from billing.kernel.speech import Speech

RenewalState = Literal["on", "off", "past_due", "paused", "ended"]
Done = Literal["off", "on", "pause", "resume", "price", "change"]


class Rise(Struct, frozen=True, kw_only=True):
    """A higher price that waits for a yes, and from which charge on (R66)."""

    old_amount: int
    new_amount: int
    charge_on: date


class RenewalPage(Page, frozen=True, kw_only=True):
    """The truth about what renews. `active_until` is the last day with access; `next_charge_on` is None when nothing
    will be charged; `done` is what was just asked for. Controls that make no sense now are not offered."""

    address: str
    order_url: str
    order_number: str
    product_name: str
    pupil_count: int
    interval: Interval
    state: RenewalState
    active_until: date | None = None
    next_charge_on: date | None = None
    next_amount: int = 0
    off_reason: str | None = None
    rise: Rise | None = None
    may_turn_off: bool = False
    may_turn_on: bool = False
    may_pause: bool = False
    may_resume: bool = False
    may_change_card: bool = False
    change_url: str | None = None
    done: Done | None = None


class PricePage(Page, frozen=True, kw_only=True):
    """The old price and the new one, an unticked box, and a way out (R66)."""

    address: str
    back_url: str
    product_name: str
    pupil_count: int
    interval: Interval
    rise: Rise
    shown: str
    errors: tuple[FieldError, ...] = ()


def renewal_page(page: RenewalPage, speech: Speech) -> str:
    """How the renewal stands, and what can be done about it in one click each (R67)."""
    return show("checkout/renewal.html", page, speech, here=page.address)


def price_page(page: PricePage, speech: Speech) -> str:
    """Both prices side by side; nothing is ticked in advance, and no is as easy as yes (R42, R66)."""
    errors = {error.field: error.text for error in page.errors}
    consent = renewal_consent(page.interval, page.rise.new_amount, speech)
    return show("checkout/price.html", page, speech, here=page.address, errors=errors, consent=consent)


def blank_consent_error(speech: Speech) -> FieldError:
    """To agree without ticking the box."""
    text = speech.say("To agree to the new price, tick this box. Otherwise go back: nothing will be charged.")
    return FieldError(field="renew", text=text)


def card_unavailable_page(page: Page, back_url: str, speech: Speech) -> str:
    """503: the provider's page for the card cannot be opened now."""
    say = speech.say
    sentences = (
        say("The payment service does not answer at the moment."),
        say("Please try again in a few minutes."),
    )
    title = say("We cannot open the page for your card now")
    return tell(page, speech, Message(title=title, sentences=sentences, way_on=(back_url, say("Back to the renewal"))))
