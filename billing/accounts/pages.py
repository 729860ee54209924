"""Pages behind the link that confirms an e-mail address, or a guardian's consent for a child under 13."""

from datetime import date
from typing import Literal

from billing.kernel.pages import Message, Page, show, tell
from billing.kernel.speech import Speech

Confirming = Literal["address", "guardian"]


class ConfirmPage(Page, frozen=True, kw_only=True):
    """Asks for one press of a button; opening the page changes nothing."""

    action: str
    confirming: Confirming = "address"
    valid_until: date


class ConfirmedPage(Page, frozen=True, kw_only=True):
    """It is done."""

    confirming: Confirming = "address"


class ConfirmGonePage(Page, frozen=True, kw_only=True):
    """The link is expired, used up or unknown: what to do, without saying whose it was (R35, R36)."""

    reason: Literal["expired", "unknown"]


def confirm_page(page: ConfirmPage, speech: Speech) -> str:
    """One button, and the same words for the person who did not ask for this."""
    return show("accounts/confirm.html", page, speech)


def confirmed_page(page: ConfirmedPage, speech: Speech) -> str:
    """Thanks, and what comes next."""
    say = speech.say
    if page.confirming == "guardian":
        title = say("Thank you for your consent")
        sentences = (
            say("The child's account is ready. Our e-mails about it will come to you."),
            say("You may close this page."),
        )
    else:
        title = say("Your e-mail address is confirmed")
        sentences = (say("Your account is ready. Go back to the app and log in."), say("You may close this page."))
    return tell(page, speech, Message(title=title, sentences=sentences))


def confirm_gone_page(page: ConfirmGonePage, speech: Speech) -> str:
    """Says that the account can simply be made again."""
    say = speech.say
    if page.reason == "expired":
        title = say("This link has expired")
        first = say("It worked for 14 days. After that we deleted the account and its data.")
    else:
        title = say("We do not know this link")
        first = say("Perhaps a part of the address is missing. Open the link from our e-mail once more.")
    sentences = (first, say("You can register again in the app at any time. It is free."))
    return tell(page, speech, Message(title=title, sentences=sentences))
