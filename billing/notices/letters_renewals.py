"""Letters about what renews: before each charge, after it, and after every change of mind (R65–R68)."""

from datetime import date
from typing import Literal

from msgspec import Struct

from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.notices.letters_draft import Block, Draft, button, facts, lead, text

OffReason = Literal["asked", "no_consent", "no_notice", "mandate_revoked", "at_provider", "payment_failed", "covered"]
"""Why it was turned off, where that is worth a letter."""


class _OfRenewal(Struct, frozen=True, kw_only=True):
    seller: Seller
    order_number: str


class _WithPage(_OfRenewal, frozen=True, kw_only=True):
    url: str
    """The page with the controls."""


class RenewalComing(_WithPage, frozen=True, kw_only=True):
    """Before a charge: when, how much, how to stop it (R65)."""

    charge_on: date
    amount: int


class RenewalPaid(_WithPage, frozen=True, kw_only=True):
    """After a charge: how much was taken, until when the access lasts; the next day is None when none will come."""

    amount: int
    active_until: date
    next_charge_on: date | None


class RenewalFailed(_WithPage, frozen=True, kw_only=True):
    """A charge was refused: until when the access lasts all the same, and how to change the card."""

    amount: int
    active_until: date


class RenewalStopped(_WithPage, frozen=True, kw_only=True):
    """The renewal is off, by whomever it was turned off (R66–R68); on again is one click on the page at `url`."""

    reason: OffReason
    active_until: date


class RenewalGoesOn(_WithPage, frozen=True, kw_only=True):
    """On again, resumed after a pause, or a price agreed to: what will be charged next, and when."""

    cause: Literal["turned_on", "resumed", "price_agreed"]
    charge_on: date
    amount: int


class RenewalPaused(_WithPage, frozen=True, kw_only=True):
    """Paused: nothing is charged until it is resumed, and the access ends with what is paid."""

    active_until: date


class PriceRising(_WithPage, frozen=True, kw_only=True):
    """A higher price: both prices, from when, and that nothing is charged without a yes (R66)."""

    old_amount: int
    new_amount: int
    charge_on: date


class RenewalEnded(_OfRenewal, frozen=True, kw_only=True):
    """It is over: the basic version is back, and why."""

    reason: OffReason | None


def _why(speech: Speech) -> str:
    return speech.say("You get this e-mail because your order renews automatically.")


def _why_not(speech: Speech) -> str:
    return speech.say("You get this e-mail because your order renewed automatically until now.")


def _order(number: str, speech: Speech) -> tuple[str, str]:
    return (speech.say("Order number"), number)


def _next(charge_on: date, amount: int, speech: Speech) -> tuple[tuple[str, str], tuple[str, str]]:
    say = speech.say
    return (say("Day of the charge"), speech.weekday(charge_on)), (say("Amount with VAT"), speech.money(amount))


def _afterwards(active_until: date, speech: Speech) -> tuple[str, str]:
    say = speech.say
    active = say("The full version is active until %(day)s.", day=speech.day(active_until))
    return active, say("After that the basic version stays free.")


def _page(url: str, speech: Speech) -> Block:
    return button(speech.say("Page of the renewal"), url)


def stopped_why(reason: OffReason | None, speech: Speech) -> str | None:
    """Why a renewal was turned off, in a sentence; None where its buyer asked for that."""
    say = speech.say
    reasons: dict[str, str] = {
        "no_consent": say("The price has risen, and you have not agreed to the new one."),
        "no_notice": say("We could not tell you of the charge in time, so we do not charge you."),
        "mandate_revoked": say("Your bank told us that the consent to these payments was withdrawn."),
        "at_provider": say("It was turned off on the page of the payment service."),
        "payment_failed": say("The payment did not succeed, although we tried several times."),
        "covered": say("The pupils of this order have the full version from another source."),
    }
    return reasons.get(reason or "")


def draft_renewal_coming(letter: RenewalComing, speech: Speech) -> Draft:
    """Date, amount, and one button to stop it."""
    say = speech.say
    day, amount = speech.day(letter.charge_on), speech.money(letter.amount)
    return Draft(
        subject=say("On %(day)s we will charge %(amount)s", day=day, amount=amount),
        title=say("Your access will renew"),
        blocks=(
            lead(say("You agreed to automatic renewal. You can turn it off now.")),
            facts(_order(letter.order_number, speech), *_next(letter.charge_on, letter.amount, speech)),
            button(say("Turn off the renewal"), letter.url),
            text(say("If you turn it off, nothing will be charged. The basic version stays free.")),
        ),
        why=_why(speech),
    )


def draft_renewal_paid(letter: RenewalPaid, speech: Speech) -> Draft:
    """What was taken, and what comes next."""
    say = speech.say
    amount = speech.money(letter.amount)
    coming = ()
    if letter.next_charge_on:
        coming = ((say("Next charge"), speech.weekday(letter.next_charge_on)),)
    return Draft(
        subject=say("We charged %(amount)s", amount=amount),
        title=say("Your access has been renewed"),
        blocks=(
            lead(say("The full version is active until %(day)s.", day=speech.day(letter.active_until))),
            facts(_order(letter.order_number, speech), (say("Amount with VAT"), amount), *coming),
            *((text(say("You can turn the renewal off at any time, in two clicks.")),) if coming else ()),
            _page(letter.url, speech),
        ),
        why=_why(speech),
    )


def draft_renewal_failed(letter: RenewalFailed, speech: Speech) -> Draft:
    """What to do, and how much time there is."""
    say = speech.say
    return Draft(
        title=say("The payment for your renewal failed"),
        blocks=(
            lead(say("The full version stays active until %(day)s.", day=speech.day(letter.active_until))),
            facts(_order(letter.order_number, speech), (say("Amount with VAT"), speech.money(letter.amount))),
            text(
                say("The bank refused the payment, and nothing was charged."),
                say("We will try again by ourselves."),
                say("If your card has changed, enter the new one."),
            ),
            button(say("Change the card"), letter.url),
            text(say("You need not do anything if you do not want to go on. The basic version stays free.")),
        ),
        why=_why(speech),
    )


def draft_renewal_stopped(letter: RenewalStopped, speech: Speech) -> Draft:
    """No further charge, why, and until when the access lasts."""
    say = speech.say
    why = stopped_why(letter.reason, speech)
    return Draft(
        title=say("Automatic renewal is turned off"),
        blocks=(
            lead(say("Nothing more will be charged.")),
            facts(_order(letter.order_number, speech)),
            text(
                *((why,) if why else ()),
                *_afterwards(letter.active_until, speech),
                say("If you change your mind, you will find the way back on our page."),
            ),
            _page(letter.url, speech),
        ),
        why=_why_not(speech),
    )


def draft_renewal_goes_on(letter: RenewalGoesOn, speech: Speech) -> Draft:
    """What was asked for has been done, and what it will cost when."""
    say = speech.say
    titles = {
        "turned_on": say("Automatic renewal is turned on again"),
        "resumed": say("Automatic renewal goes on after the pause"),
        "price_agreed": say("You have agreed to the new price"),
    }
    return Draft(
        title=titles[letter.cause],
        blocks=(
            lead(say("You asked for this on the page of your order.")),
            facts(_order(letter.order_number, speech), *_next(letter.charge_on, letter.amount, speech)),
            text(say("You can turn the renewal off at any time, in two clicks.")),
            _page(letter.url, speech),
        ),
        why=_why(speech),
    )


def draft_renewal_paused(letter: RenewalPaused, speech: Speech) -> Draft:
    """Nothing is charged; what is paid lasts; how to go on."""
    say = speech.say
    return Draft(
        title=say("Automatic renewal is paused"),
        blocks=(
            lead(say("Nothing will be charged until you resume it.")),
            facts(_order(letter.order_number, speech)),
            text(*_afterwards(letter.active_until, speech)),
            _page(letter.url, speech),
        ),
        why=_why(speech),
    )


def draft_price_rising(letter: PriceRising, speech: Speech) -> Draft:
    """Two prices, one question, and that silence is a no (R66)."""
    say = speech.say
    return Draft(
        title=say("The price will rise. Do you agree?"),
        blocks=(
            lead(say("Without your consent we will charge nothing more.")),
            facts(
                _order(letter.order_number, speech),
                (say("Price until now"), speech.money(letter.old_amount)),
                (say("New price"), speech.money(letter.new_amount)),
                (say("Holds from the charge on"), speech.weekday(letter.charge_on)),
            ),
            text(
                say("If you agree, say so on our page."),
                say("If you do nothing, the access ends on that day. The basic version stays free."),
            ),
            button(say("See both prices and decide"), letter.url),
        ),
        why=_why(speech),
    )


def draft_renewal_ended(letter: RenewalEnded, speech: Speech) -> Draft:
    """Why it ended, and that nothing more will be charged."""
    say = speech.say
    why = stopped_why(letter.reason, speech)
    return Draft(
        title=say("The full version has ended"),
        blocks=(
            lead(say("Nothing more will be charged.")),
            facts(_order(letter.order_number, speech)),
            text(
                why or say("The time that was paid for is over, and the renewal was turned off."),
                say("The basic version works free of charge, and in a browser all functions are free."),
            ),
            text(say("If you want the full version again, ask for a new link in the app or in the diary.")),
        ),
        why=_why_not(speech),
    )
