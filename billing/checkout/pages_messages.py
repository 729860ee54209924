"""Pages that help where there is nothing to order: used links, blocks, outages (R6, R13, R35, R47, R49, R136)."""

from datetime import date
from typing import Literal

from billing.checkout.pages import Covered
from billing.kernel.pages import Message, Page, show, tell
from billing.kernel.speech import Speech

GoneReason = Literal["expired", "used", "unknown", "revoked"]


class GonePage(Page, frozen=True, kw_only=True):
    """A link that opens nothing any more (410; 404 when unknown). It names nobody (R35, R36)."""

    reason: GoneReason
    active_until: date | None = None
    login_url: str | None = None


class AskParentPage(Page, frozen=True, kw_only=True):
    """A pupil under 18 may not order (R47)."""


class NothingToPayPage(Page, frozen=True, kw_only=True):
    """All pupils of the link are covered already (R48, R49)."""

    covered: tuple[Covered, ...]


class BlockedPage(Page, frozen=True, kw_only=True):
    """The school blocks every function that would be paid for (R13)."""

    blocked_features: tuple[str, ...]


class SalesClosedPage(Page, frozen=True, kw_only=True):
    """The running season is no longer sold (R6); the days are those of the next one."""

    next_first_day: date
    next_last_day: date
    on_sale_from: date | None = None


class ProviderUnavailablePage(Page, frozen=True, kw_only=True):
    """503: the payment provider does not answer; the link stays alive (R136)."""

    back_url: str
    link_valid_until: date | None = None


class NotNowPage(Page, frozen=True, kw_only=True):
    """Where "Not now" leads: nothing happened, nothing will."""

    link_valid_until: date | None = None
    back_url: str | None = None


def gone_page(page: GonePage, speech: Speech) -> str:
    """Says what happened to the link and how to get a new one."""
    say = speech.say
    if page.reason == "used" and page.active_until:
        title = say("This order has already been made")
        until = speech.day(page.active_until)
        sentences = (say("The full version is active until %(day)s.", day=until), say("You need not do anything."))
        return tell(page, speech, Message(title=title, sentences=sentences))
    titles = {
        "expired": say("This link has expired"),
        "used": say("This link has already been used"),
        "unknown": say("We do not know this link"),
        "revoked": say("This link is no longer valid"),
    }
    first = {
        "expired": say("Each link works for a limited time."),
        "used": say("Each link works for one order."),
        "unknown": say("Perhaps a part of the address is missing. Open the link from our e-mail once more."),
        "revoked": say("It was replaced or withdrawn."),
    }
    sentences = (
        first[page.reason],
        say("Log in to the app or to the diary to get a new link."),
        say("Nothing was charged. The basic version works free of charge."),
    )
    way_on = (page.login_url, say("Log in")) if page.login_url else None
    return tell(page, speech, Message(title=titles[page.reason], sentences=sentences, way_on=way_on))


def ask_parent_page(page: AskParentPage, speech: Speech) -> str:
    """Sends a pupil to a parent, without a form to get round it."""
    say = speech.say
    sentences = (
        say("Only a person who is at least 18 years old may order."),
        say("Show this page or the e-mail to a parent or guardian."),
        say("The basic version works free of charge, and in a browser all functions are free."),
    )
    return tell(page, speech, Message(title=say("Ask a parent"), sentences=sentences))


def nothing_to_pay_page(page: NothingToPayPage, speech: Speech) -> str:
    """Says until when each right runs and that nobody is asked to pay twice."""
    return show("checkout/nothing_to_pay.html", page, speech)


def blocked_page(page: BlockedPage, speech: Speech) -> str:
    """Names what is blocked; sells nothing."""
    say = speech.say
    sentences = (
        say("The school has blocked these functions in the app: %(names)s.", names=", ".join(page.blocked_features)),
        say("So there is nothing to buy here, and we do not sell it."),
        say("Questions about the block are best put to the school."),
    )
    title = say("The school has blocked these functions")
    return tell(page, speech, Message(title=title, sentences=sentences))


def sales_closed_page(page: SalesClosedPage, speech: Speech) -> str:
    """Names the next season's days instead of selling a few days of this one."""
    say = speech.say
    first, last = speech.day(page.next_first_day), speech.day(page.next_last_day)
    sentences = (
        say("We do not sell the access for the few days that are left of it."),
        say("The next period runs from %(first)s to %(last)s.", first=first, last=last),
    )
    if page.on_sale_from:
        sentences += (say("You can order it from %(day)s.", day=speech.day(page.on_sale_from)),)
    title = say("Sales for this school year have ended")
    return tell(page, speech, Message(title=title, sentences=sentences))


def provider_unavailable_page(page: ProviderUnavailablePage, speech: Speech) -> str:
    """Says that nothing was charged and that the same link will do later."""
    say = speech.say
    sentences = (
        say("The payment company does not answer at the moment."),
        say("Nothing was charged. Your link works as before."),
        say("Please try again in a few minutes."),
    )
    return tell(
        page,
        speech,
        Message(
            title=say("Payment is not possible right now"),
            sentences=sentences,
            way_on=(page.back_url, say("Back to the order")),
            small=_valid(page.link_valid_until, speech),
        ),
    )


def not_now_page(page: NotNowPage, speech: Speech) -> str:
    """A calm end: nothing was ordered, the free version stays."""
    say = speech.say
    sentences = (
        say("Nothing was ordered and nothing will be charged."),
        say("The basic version stays free, and in a browser all functions are free."),
    )
    way_on = (page.back_url, say("Back to the order")) if page.back_url else None
    small = _valid(page.link_valid_until, speech)
    return tell(page, speech, Message(title=say("All right, not now"), sentences=sentences, way_on=way_on, small=small))


def _valid(until: date | None, speech: Speech) -> str | None:
    return speech.say("The link is valid until %(day)s.", day=speech.day(until)) if until else None
