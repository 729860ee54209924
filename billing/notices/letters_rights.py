"""Letters about leaving and about renewing (R65, R67, R68, R71, R81)."""

from datetime import date, datetime

from msgspec import Struct

from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.notices.letters_draft import Draft, button, facts, lead, text


class WithdrawalReceived(Struct, frozen=True, kw_only=True):
    """Acknowledges a withdrawal: its content, and when it came in (R71)."""

    seller: Seller
    order_number: str
    received_at: datetime
    name: str
    contact: str
    reason: str
    refund: int
    refund_due_on: date
    order_url: str


class WithdrawalTooLate(Struct, frozen=True, kw_only=True):
    """A polite refusal with the way of complaint (R81)."""

    seller: Seller
    order_number: str
    last_day: date


class RenewalComing(Struct, frozen=True, kw_only=True):
    """Thirty and seven days before a charge: when, how much, how to stop it (R65)."""

    seller: Seller
    charge_on: date
    amount: int
    stop_url: str


class RenewalStopped(Struct, frozen=True, kw_only=True):
    """The renewal is off, by whomever it was turned off (R67, R68)."""

    seller: Seller
    active_until: date


def draft_withdrawal_received(letter: WithdrawalReceived, speech: Speech) -> Draft:
    """The declaration as it came in, with date, time and zone."""
    say = speech.say
    reason = ((say("Reason"), letter.reason),) if letter.reason else ()
    return Draft(
        subject=say("Acknowledgement of withdrawal: order %(number)s", number=letter.order_number),
        title=say("You have withdrawn from the contract"),
        blocks=(
            lead(say("We received your declaration on %(time)s.", time=speech.instant(letter.received_at))),
            facts(
                (say("Order number"), letter.order_number),
                (say("First name and surname"), letter.name),
                (say("Contact"), letter.contact),
                *reason,
                (say("Amount returned"), speech.money(letter.refund)),
                (say("Returned by"), speech.day(letter.refund_due_on)),
            ),
            text(
                say("The money goes back the way you paid. The bank may need a few days."),
                say("The full version has ended. The basic version stays free."),
            ),
            button(say("Page of your order"), letter.order_url),
        ),
        why=say("You get this e-mail because somebody withdrew from an order and gave this address."),
    )


def draft_withdrawal_too_late(letter: WithdrawalTooLate, speech: Speech) -> Draft:
    """Which day was the last one, and what else can be done."""
    say = speech.say
    return Draft(
        subject=say("Your withdrawal came too late: order %(number)s", number=letter.order_number),
        title=say("The time to withdraw is over"),
        blocks=(
            lead(say("The last day to withdraw was %(day)s.", day=speech.weekday(letter.last_day))),
            facts((say("Order number"), letter.order_number)),
            text(
                say("The order therefore stands."),
                say("If something does not work as it should, you may still complain."),
                say("Write to %(email)s. We answer within 14 days.", email=letter.seller.email),
            ),
            text(say("Free help: the Trade Inspection and the consumer ombudsman of your town or district.")),
        ),
        why=say("You get this e-mail because you sent us a withdrawal."),
    )


def draft_renewal_coming(letter: RenewalComing, speech: Speech) -> Draft:
    """Date, amount, and one button to stop it."""
    say = speech.say
    day, amount = speech.day(letter.charge_on), speech.money(letter.amount)
    return Draft(
        subject=say("On %(day)s we will charge %(amount)s", day=day, amount=amount),
        title=say("Your access will renew"),
        blocks=(
            lead(say("You agreed to automatic renewal. You can turn it off now.")),
            facts((say("Day of the charge"), speech.weekday(letter.charge_on)), (say("Amount with VAT"), amount)),
            button(say("Turn off the renewal"), letter.stop_url),
            text(say("If you turn it off, nothing will be charged. The basic version stays free.")),
        ),
        why=say("You get this e-mail because your order renews automatically."),
    )


def draft_renewal_stopped(letter: RenewalStopped, speech: Speech) -> Draft:
    """No further charge, and until when the access lasts."""
    say = speech.say
    return Draft(
        subject=say("Automatic renewal is turned off"),
        title=say("Automatic renewal is turned off"),
        blocks=(
            lead(say("Nothing more will be charged.")),
            text(
                say("The full version is active until %(day)s.", day=speech.day(letter.active_until)),
                say("After that the basic version stays free."),
            ),
        ),
        why=say("You get this e-mail because your order renewed automatically until now."),
    )
