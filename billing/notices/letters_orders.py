"""Letters about an order and its money (R46, R49, R53, R57)."""

from datetime import date, datetime

from msgspec import Struct

from billing.checkout.pages import RefundReason
from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.notices.letters_draft import Block, Draft, button, facts, heading, lead, plain_file, quiet, text


class OrderConfirmation(Struct, frozen=True, kw_only=True):
    """The contract on a durable medium: everything agreed, with the terms and the model form attached (R46).

    The two texts are those frozen on the order; both days are included; `vat_amount` is part of `total`.
    """

    seller: Seller
    order_number: str
    product_name: str
    pupil_count: int
    first_day: date
    last_day: date
    total: int
    vat_rate_percent: int
    vat_amount: int
    paid_at: datetime
    start_now: bool
    withdrawal_last_day: date
    order_url: str
    terms_version: str
    terms_text: str
    form_text: str
    full_refund: bool = True
    renews_on: date | None = None


class PaymentFailed(Struct, frozen=True, kw_only=True):
    """No money came; `url` opens the order again where that still makes sense (R53)."""

    seller: Seller
    order_number: str
    url: str | None = None


class MoneyReturned(Struct, frozen=True, kw_only=True):
    """Money goes back, with the reason; `active_until` is the last day of the right that stands (R49, R57), `ended_at`
    the instant at which giving all of it back has ended the right (R78)."""

    seller: Seller
    reason: RefundReason
    amount: int
    order_number: str
    active_until: date | None = None
    ended_at: datetime | None = None


def draft_order_confirmation(letter: OrderConfirmation, speech: Speech) -> Draft:
    """All that was agreed, and how to get out of it."""
    say = speech.say
    return Draft(
        subject=say("Confirmation of contract: order %(number)s", number=letter.order_number),
        title=say("Confirmation of contract"),
        blocks=(
            lead(say("The full version is active until %(day)s.", day=speech.day(letter.last_day))),
            _agreed(letter, speech),
            text(_start(letter, speech)),
            *((text(say("You can turn the renewal off at any time, in two clicks.")),) if letter.renews_on else ()),
            *_withdrawal(letter, speech),
            heading(say("Attached for you to keep")),
            text(
                say("The terms of service, version %(version)s.", version=letter.terms_version),
                say("The model withdrawal form."),
                say("This confirmation of payment does not replace a VAT invoice."),
                say("Ask for one on the page of your order."),
            ),
            heading(say("Complaints")),
            text(
                say("Write to %(email)s. We answer within 14 days.", email=letter.seller.email),
                say("Free help: the Trade Inspection and the consumer ombudsman of your town or district."),
            ),
        ),
        why=say("You get this e-mail because an order was paid on our page."),
        attachments=(
            plain_file(f"regulamin-{letter.terms_version}-{speech.locale}.txt", letter.terms_text),
            plain_file(f"odstapienie-{letter.terms_version}-{speech.locale}.txt", letter.form_text),
        ),
    )


def _agreed(letter: OrderConfirmation, speech: Speech) -> Block:
    say = speech.say
    vat = say("including VAT %(rate)d%%: %(vat)s", rate=letter.vat_rate_percent, vat=speech.money(letter.vat_amount))
    renewal = say("does not renew automatically")
    if letter.renews_on:
        renewal = say("renews on %(day)s", day=speech.day(letter.renews_on))
    return facts(
        (say("Order number"), letter.order_number),
        (say("Product"), letter.product_name),
        (say("Number of pupils"), str(letter.pupil_count)),
        (say("Paid in total"), f"{speech.money(letter.total)} ({vat})"),
        (say("Time of payment"), speech.instant(letter.paid_at)),
        (say("First day"), speech.day(letter.first_day)),
        (say("Last day"), speech.day(letter.last_day)),
        (say("Renewal"), renewal),
    )


def _start(letter: OrderConfirmation, speech: Speech) -> str:
    if letter.start_now:
        return speech.say("You asked for the service to start before the withdrawal period ends.")
    return speech.say("You did not ask for the service to start before the withdrawal period ends.")


def _withdrawal(letter: OrderConfirmation, speech: Speech) -> tuple[Block, ...]:
    say = speech.say
    if letter.full_refund or not letter.start_now:
        money = say("We return the whole amount.")
    else:
        money = say("If you asked for an early start, we keep the part for the days used.")
    return (
        heading(say("You may change your mind")),
        text(
            say("Last day to withdraw: %(day)s.", day=speech.weekday(letter.withdrawal_last_day)),
            say("You need not give a reason."),
            money,
        ),
        text(say("Use the link below, write an e-mail or send the attached form.")),
        button(say("Withdraw from the contract here"), f"{letter.order_url}/withdrawal"),
        quiet(say("The page of your order always shows its present state.")),
        button(say("Page of your order"), letter.order_url),
    )


def draft_payment_failed(letter: PaymentFailed, speech: Speech) -> Draft:
    """Nothing was taken; what now."""
    say = speech.say
    again = (
        (text(say("You can try again or choose another way to pay.")), button(say("Try again"), letter.url))
        if letter.url
        else (text(say("To get a new link, log in to the app or to the diary.")),)
    )
    return Draft(
        subject=say("The payment failed. Nothing was charged"),
        title=say("The payment failed"),
        blocks=(
            lead(say("Nothing was charged.")),
            facts((say("Order number"), letter.order_number)),
            *again,
            text(say("The basic version works free of charge, and in a browser all functions are free.")),
        ),
        why=say("You get this e-mail because an order was started on our page."),
    )


def draft_money_returned(letter: MoneyReturned, speech: Speech) -> Draft:
    """How much goes back and why."""
    say = speech.say
    until = letter.active_until
    stands = (text(say("The full version is active until %(day)s.", day=speech.day(until))),) if until else ()
    if letter.ended_at is not None:
        ended = say("The full version of this order ended on %(time)s.", time=speech.instant(letter.ended_at))
        stands = (text(ended, say("The basic version stays free.")),)
    return Draft(
        subject=say("We are returning %(amount)s", amount=speech.money(letter.amount)),
        title=say("We are returning the money"),
        blocks=(
            lead(refund_reason(letter.reason, speech)),
            facts(
                (say("Order number"), letter.order_number),
                (say("Amount returned"), speech.money(letter.amount)),
            ),
            text(say("The money goes back the way you paid. The bank may need a few days.")),
            *stands,
        ),
        why=say("You get this e-mail because an order was paid on our page."),
    )


def refund_reason(reason: RefundReason, speech: Speech) -> str:
    """Why money goes back, in a sentence."""
    say = speech.say
    return {
        "withdrawal": say("Reason: you withdrew from the contract."),
        "duplicate": say("Reason: this was paid twice. The first payment counts."),
        "late": say("Reason: the payment came too late for this order."),
        "non_conformity": say("Reason: the service did not work as agreed."),
        "sponsor_overlap": say("Reason: a school, town or sponsor pays for the same time."),
        "goodwill": say("Reason: our decision on your request."),
        "dispute": say("Reason: a dispute at your bank."),
        "school_block": say("Reason: the school has blocked the functions."),
    }[reason]
