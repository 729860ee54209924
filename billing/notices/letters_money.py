"""Letters about money that goes another way than planned, and answers to complaints (R60, R75, R80)."""

from datetime import date
from typing import Literal

from msgspec import Struct

from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.notices.letters_draft import Draft, facts, lead, text


class DisputeLost(Struct, frozen=True, kw_only=True):
    """The payer's bank took the money back, so the right has ended (R60)."""

    seller: Seller
    order_number: str


class RefundByBank(Struct, frozen=True, kw_only=True):
    """A refund that cannot go back the way the money came needs the buyer's agreement to a transfer (R75).

    `amount` in grosz is owed by the end of `due_on`.
    """

    seller: Seller
    order_number: str
    amount: int
    due_on: date


class ComplaintAnswer(Struct, frozen=True, kw_only=True):
    """What we say to a complaint, on a durable medium (R80). `answer` is what staff wrote."""

    seller: Seller
    received_on: date
    outcome: Literal["accepted", "refused"]
    answer: str
    order_number: str | None = None


def draft_dispute_lost(letter: DisputeLost, speech: Speech) -> Draft:
    """What happened, what is left, and whom to ask."""
    say = speech.say
    return Draft(
        subject=say("The full version has ended: order %(number)s", number=letter.order_number),
        title=say("The full version has ended"),
        blocks=(
            lead(say("The bank took the payment for this order back.")),
            facts((say("Order number"), letter.order_number)),
            text(
                say("The full version has ended. The basic version stays free."),
                say("In a browser all functions are free."),
            ),
            text(say("If you think that this is a mistake, write to %(email)s.", email=letter.seller.email)),
        ),
        why=say("You get this e-mail because an order was paid on our page."),
    )


def draft_refund_by_bank(letter: RefundByBank, speech: Speech) -> Draft:
    """How much, why not as usual, what we need."""
    say = speech.say
    amount = speech.money(letter.amount)
    return Draft(
        subject=say("We need your agreement to return %(amount)s", amount=amount),
        title=say("The money cannot go back the way you paid"),
        blocks=(
            lead(say("We owe you %(amount)s. The way you paid does not take it back.", amount=amount)),
            facts(
                (say("Order number"), letter.order_number),
                (say("Amount returned"), amount),
                (say("Returned by"), speech.day(letter.due_on)),
            ),
            text(
                say("If you agree, we will send it by bank transfer."),
                say("Write to %(email)s that you agree, and to which account.", email=letter.seller.email),
                say("We never ask for a password or a card number."),
            ),
        ),
        why=say("You get this e-mail because an order was paid on our page."),
    )


def draft_complaint_answer(letter: ComplaintAnswer, speech: Speech) -> Draft:
    """Yes or no, in the words of whoever decided; where to get help after a no."""
    say = speech.say
    is_accepted = letter.outcome == "accepted"
    order = ((say("Order number"), letter.order_number),) if letter.order_number else ()
    help_ = text(say("Free help: the Trade Inspection and the consumer ombudsman of your town or district."))
    return Draft(
        subject=say("Answer to your complaint of %(day)s", day=speech.day(letter.received_on)),
        title=say("Our answer to your complaint"),
        blocks=(
            lead(say("We accept your complaint.") if is_accepted else say("We do not accept your complaint.")),
            facts((say("Complaint received on"), speech.day(letter.received_on)), *order),
            *(text(line.strip()) for line in letter.answer.splitlines() if line.strip()),
            *(() if is_accepted else (help_,)),
        ),
        why=say("You get this e-mail because you complained to us."),
    )
