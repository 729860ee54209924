"""Another interval, or a pupil more, of what renews already: chosen, counted, and ordered in two steps (R41, R64, R85).

No page names a pupil (R36). Amounts are grosz for all pupils of the order; days are Warsaw days.
"""

from datetime import date
from typing import Literal

from msgspec import Struct

from billing.checkout.pages import FieldError, Interval, binding_label, renewal_consent
from billing.kernel.pages import Message, Page, show, tell
from billing.kernel.speech import Speech

PUPIL = "pupil"
"""What the form says that adds the one pupil who can be added."""


class ChangeChoice(Struct, frozen=True, kw_only=True):
    """One thing that can be changed: what the form says (`product`, or `add` = `pupil`), and what each interval will
    cost after it, for all pupils."""

    field: Literal["product", "add"]
    value: str
    name: str
    interval: Interval
    pupil_count: int
    amount: int


class ChangePage(Page, frozen=True, kw_only=True):
    """Step one: what it is now, and what it could be. Nothing is counted yet, and nothing asked of the provider."""

    address: str
    back_url: str
    product_name: str
    interval: Interval
    pupil_count: int
    amount: int
    choices: tuple[ChangeChoice, ...]
    is_many_pupils: bool = False


class ConfirmChangePage(Page, frozen=True, kw_only=True):
    """Step two: `amount` is charged now, to the grosz; `next_amount` on `next_charge_on`, and each interval after.

    A pupil more (`is_pupil`) is charged at the price agreed to already, and needs no further consent.
    `was_counted_again` says that what was seen before does not hold any more, and nothing was charged for it.
    """

    address: str
    back_url: str
    key: str
    product_name: str
    interval: Interval
    pupil_count: int
    unit_price: int
    amount: int
    vat_rate_percent: int
    vat_amount: int
    next_charge_on: date
    next_amount: int
    is_pupil: bool
    button: str
    was_counted_again: bool = False
    errors: tuple[FieldError, ...] = ()


def change_page(page: ChangePage, speech: Speech) -> str:
    """What it is, what it could be, and a way back that is as easy."""
    return show("checkout/change.html", page, speech, here=page.address)


def consent_of(page: ConfirmChangePage, speech: Speech) -> str:
    """The consent to what will be charged each interval from now on, which names it (R64)."""
    return renewal_consent(page.interval, page.next_amount, speech)


def confirm_change_page(page: ConfirmChangePage, speech: Speech) -> str:
    """What is charged now and later, an unticked box, and the button that binds (R42, R43)."""
    errors = {error.field: error.text for error in page.errors}
    words = {"consent": consent_of(page, speech), "button": binding_label(page.button, speech)}
    return show("checkout/change_confirm.html", page, speech, here=page.address, errors=errors, **words)


def blank_change_error(speech: Speech) -> FieldError:
    """To order the change without ticking the box."""
    text = speech.say("To make this change, agree to the new charges by ticking this box. Otherwise choose “Not now”.")
    return FieldError(field="renew", text=text)


def _told(page: Page, speech: Speech, title: str, *sentences: str) -> str:
    way_on = (page.here, speech.say("Back to the renewal"))
    return tell(page, speech, Message(title=title, sentences=sentences, way_on=way_on))


def change_too_early_page(page: Page, speech: Speech) -> str:
    """The rest of what is paid is worth more than the new interval: a change would owe money."""
    say = speech.say
    return _told(
        page,
        speech,
        say("This change is not possible yet"),
        say("What you have paid for already is worth more than the new period costs."),
        say("You can make this change in the last days of the time that is paid for."),
        say("Nothing was changed and nothing was charged."),
    )


def change_refused_page(page: Page, speech: Speech) -> str:
    """The bank said no."""
    say = speech.say
    return _told(
        page,
        speech,
        say("The bank refused the payment"),
        say("Nothing was changed and nothing was charged."),
        say("Your renewal goes on as before."),
        say("If your card has changed, enter the new one."),
    )


def change_waiting_page(page: Page, speech: Speech) -> str:
    """It was ordered, and the answer is not here: nobody may be asked to do it twice."""
    say = speech.say
    return _told(
        page,
        speech,
        say("Your change is being made"),
        say("We do not have the answer of the payment service yet."),
        say("You need not do anything. Please do not order it again."),
        say("We will write to you as soon as it is done. If the bank refuses, nothing changes."),
    )


def change_unavailable_page(page: Page, speech: Speech) -> str:
    """It could not be counted."""
    say = speech.say
    return _told(
        page,
        speech,
        say("We cannot count this change now"),
        say("The payment service does not answer at the moment."),
        say("Nothing was changed and nothing was charged."),
        say("Please try again in a few minutes."),
    )
