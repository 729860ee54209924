"""The letter that confirms a change of what renews, with the terms that hold from then on (R46, R64)."""

from datetime import date
from typing import Literal

from msgspec import Struct

from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.notices.letters_draft import Draft, button, facts, lead, text


class RenewalChanged(Struct, frozen=True, kw_only=True):
    """After a change that was ordered: what renews now, for how many, what was taken for it, and what will be;
    `url` is the page with the controls."""

    seller: Seller
    order_number: str
    url: str
    product_name: str
    pupil_count: int
    interval: Literal["month", "year"]
    amount: int
    active_until: date
    next_charge_on: date | None
    next_amount: int


def draft_renewal_changed(letter: RenewalChanged, speech: Speech) -> Draft:
    """The new terms on a durable medium: what was ordered, what it cost, what comes next."""
    say = speech.say
    every = say("every month") if letter.interval == "month" else say("every year")
    coming = ()
    if letter.next_charge_on:
        coming = (
            (say("Next charge"), speech.weekday(letter.next_charge_on)),
            (say("Renewal"), f"{speech.money(letter.next_amount)} {every}"),
        )
    return Draft(
        title=say("Your renewal has been changed"),
        blocks=(
            lead(say("You ordered this on the page of your order.")),
            facts(
                (say("Order number"), letter.order_number),
                (say("Product"), letter.product_name),
                (say("Number of pupils"), str(letter.pupil_count)),
                (say("Charged now, with VAT"), speech.money(letter.amount)),
                (say("Active until"), speech.day(letter.active_until)),
                *coming,
            ),
            *((text(say("You can turn the renewal off at any time, in two clicks.")),) if coming else ()),
            text(say("If you did not order this, write to %(email)s.", email=letter.seller.email)),
            button(say("Page of the renewal"), letter.url),
        ),
        why=say("You get this e-mail because your order renews automatically."),
    )
