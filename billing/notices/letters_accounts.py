"""Letters about an account and its free period (R20–R26, R90)."""

from datetime import date
from typing import Literal

from msgspec import Struct

from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.notices.letters_draft import Block, Draft, button, facts, heading, lead, listed, quiet, text

Reader = Literal["parent", "guardian", "pupil"]
Cause = Literal["trial", "season", "sponsorship"]


class ConfirmEmail(Struct, frozen=True, kw_only=True):
    """Asks the owner of an address to confirm it; good up to and including `valid_until`."""

    seller: Seller
    url: str
    valid_until: date


class ConfirmGuardian(Struct, frozen=True, kw_only=True):
    """Asks the guardian of a child under 13 for consent."""

    seller: Seller
    url: str
    valid_until: date


class AccessEnding(Struct, frozen=True, kw_only=True):
    """Tells that the full version ends: on `day`, at 00:00 in Warsaw, the basic version returns (R20, R22, R63).

    `cause` says by what it was there: the free period, a pass for the season, or somebody else's money. `price` is
    grosz for one pupil, tax included; `season_end` the last day it would buy, `season_start` the first where that is
    still to come. `labels`, one a pupil, are shown where the sender has words for them that the reader knows (R24).
    """

    seller: Seller
    day: date
    pupil_count: int
    features: tuple[str, ...]
    basic_features: tuple[str, ...]
    price: int
    season_end: date
    season_start: date | None = None
    url: str | None = None
    link_valid_until: date | None = None
    reader: Reader = "parent"
    cause: Cause = "trial"
    labels: tuple[str, ...] = ()


def draft_confirm_email(letter: ConfirmEmail, speech: Speech) -> Draft:
    """One link, one purpose."""
    say = speech.say
    return Draft(
        title=say("Confirm your e-mail address"),
        blocks=(
            lead(say("One step is missing before your account works.")),
            button(say("Confirm the address"), letter.url),
            text(
                say("The link is valid until %(day)s.", day=speech.day(letter.valid_until)),
                say("If nobody uses it, we delete the account and its data."),
            ),
            quiet(say("You did not register? Then do nothing. Without your click nothing happens.")),
        ),
        why=say("You get this e-mail because somebody gave this address when registering in the app."),
    )


def draft_confirm_guardian(letter: ConfirmGuardian, speech: Speech) -> Draft:
    """The same for a child's account: consent, not a sale."""
    say = speech.say
    return Draft(
        subject=say("Your consent to a child's account"),
        title=say("Consent of a parent or guardian"),
        blocks=(
            lead(say("A child under 13 wants to use the diary app and gave your address.")),
            text(
                say("We need the consent of a parent or legal guardian."), say("This costs nothing and orders nothing.")
            ),
            button(say("See and agree"), letter.url),
            text(
                say("The link is valid until %(day)s.", day=speech.day(letter.valid_until)),
                say("If nobody uses it, we delete the account and its data."),
            ),
            quiet(say("You do not know about it? Then do nothing. Without your click nothing happens.")),
        ),
        why=say("You get this e-mail because this address was given as that of a parent or guardian."),
    )


def draft_access_ending(letter: AccessEnding, speech: Speech) -> Draft:
    """The ten parts that R22 asks for, and nothing besides; of a season's end the same ones."""
    say = speech.say
    day = speech.day(letter.day)
    return Draft(
        subject=say("From %(day)s the basic version of the app returns", day=day),
        title=_end(letter, speech),
        blocks=(
            lead(say("From %(day)s the basic version returns automatically.", day=day)),
            text(_concerns(letter, speech), say("You need not do anything if the basic version is enough.")),
            *((listed(*letter.labels),) if letter.labels else ()),
            facts((say("Day on which the basic version returns"), speech.weekday(letter.day))),
            heading(say("What ends in the app")),
            listed(*letter.features),
            heading(say("What stays free")),
            text(", ".join(letter.basic_features) + ".", say("In a browser all functions are free.")),
            heading(say("If you want to keep the full version")),
            *_offer(letter, speech),
        ),
        why=_why(letter, speech),
    )


def _end(letter: AccessEnding, speech: Speech) -> str:
    if letter.cause == "sponsorship":
        return speech.say("The access to the mobile add-ons paid for by your school, town or sponsor is ending")
    if letter.cause == "season":
        return speech.say("The paid access to the mobile add-ons is ending with the season")
    return speech.say("The free period of the mobile add-ons is ending")


def _concerns(letter: AccessEnding, speech: Speech) -> str:
    if letter.reader == "pupil":
        return speech.say("This concerns your account in the app.")
    return speech.say("Number of pupils this concerns: %(number)d.", number=letter.pupil_count)


def _offer(letter: AccessEnding, speech: Speech) -> tuple[Block, ...]:
    say = speech.say
    start = letter.season_start
    price = facts(
        (say("Price for one pupil, with VAT"), speech.money(letter.price)),
        *(((say("Access from"), speech.day(start)),) if start else ()),
        (say("Access until"), speech.day(letter.season_end)),
    )
    free = text(
        say("Nothing will be charged unless you order."), say("It is a one-off fee and does not renew by itself.")
    )
    if letter.reader == "pupil" or letter.url is None:
        return (price, free, text(say("Only an adult may order. Show this e-mail to a parent or guardian.")))
    until = letter.link_valid_until
    valid = (text(say("The link is valid until %(day)s.", day=speech.day(until))),) if until else ()
    return (price, free, button(say("See the offer"), letter.url), *valid)


def _why(letter: AccessEnding, speech: Speech) -> str:
    if letter.reader == "guardian":
        return speech.say("You get this e-mail because you are the guardian named for a child's account.")
    return speech.say("You get this e-mail because a pupil's diary is linked to your account in the app.")
