"""Letters about leaving (R71, R81)."""

from datetime import date, datetime

from msgspec import Struct

from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.notices.letters_draft import Draft, button, facts, lead, text


class WithdrawalReceived(Struct, frozen=True, kw_only=True):
    """Acknowledges a withdrawal: its content, and when it came in (R71).

    `sent_on`: the day that counts, where it did not come by our page. `refund` 0: there is nothing to give back, or not
    yet. `kept`: the part for the days used (R74).
    """

    seller: Seller
    order_number: str
    received_at: datetime
    name: str
    contact: str
    reason: str
    refund: int
    refund_due_on: date
    order_url: str
    kept: int = 0
    sent_on: date | None = None


class WithdrawalTooLate(Struct, frozen=True, kw_only=True):
    """A polite refusal with the way of complaint (R81)."""

    seller: Seller
    order_number: str
    last_day: date


def draft_withdrawal_received(letter: WithdrawalReceived, speech: Speech) -> Draft:
    """The declaration as it came in, with date, time and zone."""
    say = speech.say
    reason = ((say("Reason"), letter.reason),) if letter.reason else ()
    sent = ((say("Sent on"), speech.day(letter.sent_on)),) if letter.sent_on else ()
    return Draft(
        subject=say("Acknowledgement of withdrawal: order %(number)s", number=letter.order_number),
        title=say("You have withdrawn from the contract"),
        blocks=(
            lead(say("We received your declaration on %(time)s.", time=speech.instant(letter.received_at))),
            facts(
                (say("Order number"), letter.order_number),
                (say("First name and surname"), letter.name),
                (say("Contact"), letter.contact),
                *sent,
                *reason,
                *_money_back(letter, speech),
            ),
            text(*_way_back(letter, speech), say("The full version has ended. The basic version stays free.")),
            button(say("Page of your order"), letter.order_url),
        ),
        why=say("You get this e-mail because somebody withdrew from an order and gave this address."),
    )


def _money_back(letter: WithdrawalReceived, speech: Speech) -> tuple[tuple[str, str], ...]:
    say = speech.say
    kept = ((say("Kept for the days used"), speech.money(letter.kept)),) if letter.kept else ()
    if not letter.refund:
        return kept
    returned = ((say("Amount returned"), speech.money(letter.refund)),)
    return (*returned, *kept, (say("Returned by"), speech.day(letter.refund_due_on)))


def _way_back(letter: WithdrawalReceived, speech: Speech) -> tuple[str, ...]:
    say = speech.say
    if letter.refund:
        return (say("The money goes back the way you paid. The bank may need a few days."),)
    return () if letter.kept else (say("We hold no money for this order. If any still comes, we return it."),)


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
