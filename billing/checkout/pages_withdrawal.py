"""Withdrawal from a contract, online and without a login, in two steps (R69–R71).

The control on the order's page leads to a short form; what was written there is shown once more above the button that
withdraws. Only that button does anything.
"""

from datetime import date, datetime
from typing import Literal

from billing.checkout.pages import FieldError
from billing.kernel.pages import Message, Page, show, tell
from billing.kernel.speech import Speech

Field = Literal["name", "contact"]


class WithdrawalPage(Page, frozen=True, kw_only=True):
    """Step one: who, which order, where to answer; the reason is optional (R70)."""

    action: str
    back_url: str
    order_number: str
    last_day: date
    total: int
    full_refund: bool = True
    name: str = ""
    contact: str = ""
    reason: str = ""
    errors: tuple[FieldError, ...] = ()


class WithdrawnPage(Page, frozen=True, kw_only=True):
    """The declaration has come in: when, and what happens to the money; `refund` 0 when there is none to give back."""

    order_number: str
    received_at: datetime
    refund: int
    order_url: str
    kept: int = 0


class WithdrawalClosedPage(Page, frozen=True, kw_only=True):
    """After the last day: a polite no, and the way of complaint (R81)."""

    last_day: date
    order_url: str


def withdrawal_page(page: WithdrawalPage, speech: Speech) -> str:
    """The short form of the first step, with faults beside their fields."""
    errors = {error.field: error.text for error in page.errors}
    return show("checkout/withdrawal.html", page, speech, errors=errors)


def confirm_withdrawal_page(page: WithdrawalPage, speech: Speech) -> str:
    """What was written, above the button that withdraws."""
    return show("checkout/withdrawal_confirm.html", page, speech)


def withdrawn_page(page: WithdrawnPage, speech: Speech) -> str:
    """Acknowledges the declaration with its time; the mail says the same."""
    say = speech.say
    money: tuple[str, ...] = ()
    if page.refund:
        amount = speech.money(page.refund)
        money = (say("We are returning %(amount)s the way you paid, within 14 days.", amount=amount),)
    elif not page.kept:
        money = (say("We hold no money for this order. If any still comes, we return it."),)
    sentences = (
        say("Order number: %(number)s.", number=page.order_number),
        say("We received your declaration on %(time)s.", time=speech.instant(page.received_at)),
        *money,
        *((say("For the days used we keep %(amount)s.", amount=speech.money(page.kept)),) if page.kept else ()),
        say("The full version has ended. The basic version stays free."),
        say("We are sending you the acknowledgement by e-mail."),
    )
    message = Message(
        title=say("You have withdrawn from the contract"),
        sentences=sentences,
        way_on=(page.order_url, say("Back to the order")),
    )
    return tell(page, speech, message)


def withdrawal_closed_page(page: WithdrawalClosedPage, speech: Speech) -> str:
    """Says which day was the last one and what else can be done."""
    say = speech.say
    sentences = (
        say("The last day to withdraw was %(day)s.", day=speech.weekday(page.last_day)),
        say("If something does not work as it should, you may still complain."),
        say("Write to %(email)s. We answer within 14 days.", email=page.seller.email),
    )
    title = say("The time to withdraw is over")
    message = Message(title=title, sentences=sentences, way_on=(page.order_url, say("Back to the order")))
    return tell(page, speech, message)


def blank_field_error(field: Field, speech: Speech) -> FieldError:
    """For `name` and `contact`, the two things the law lets us ask for."""
    say = speech.say
    texts = {"name": say("Enter your first name and surname."), "contact": say("Enter your e-mail address.")}
    return FieldError(field=field, text=texts[field])
