"""What every page of ours has in common: one frame, one style sheet, the same strict headers.

Templates live beside the room that shows them (``billing/<room>/templates``) and are named ``<room>/<file>``. Pages
need no script, no cookie and no foreign host.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined, Template, select_autoescape
from msgspec import Struct, structs

from billing.kernel.speech import LANGUAGES, NATIVE, Speech, speak

STATIC: Final = Path(__file__).parent / "static"

_ROOMS: Final = Path(__file__).parent.parent
_OURS: Final = 500
_NOWHERE: Final = frozenset({404, 405, 410})
_TEXT: Final = re.compile(r"(?P<left><(title|textarea|style|option)\b.*?</\2>)|>[^<]*\d[^<]*(?=<)", re.DOTALL)
_STRIPE_CHECKOUT: Final = "https://checkout.stripe.com"


class Seller(Struct, frozen=True, kw_only=True):
    """Who sells, as the law wants the buyer to know it. `hours` are those of Monday to Friday: "8:00–16:00"."""

    name: str
    address: str
    nip: str
    email: str
    phone: str
    hours: str


class Page(Struct, frozen=True, kw_only=True):
    """What every page needs: the seller, and the path its language links point to ("" is the page itself)."""

    seller: Seller
    here: str = ""


def token_headers(*payment_origins: str) -> Mapping[str, str]:
    """The response headers of every public page (R38).

    A browser checks `form-action` against the redirect that answers a form as well, so the origins of the payment page
    must be named.
    """
    targets = " ".join(("'self'", *(payment_origins or (_STRIPE_CHECKOUT,))))
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        f"form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )
    return MappingProxyType(
        {
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        }
    )


TOKEN_HEADERS: Final = token_headers()


def render(template: str, speech: Speech, **facts: object) -> str:
    """The template filled in, in the given language; a fact it asks for and does not get is an UndefinedError."""
    return environment(speech.locale).get_template(template).render(speech=speech, **facts)


def unbroken(html: str, speech: Speech, how: str = 'class="whole"') -> str:
    """The HTML with each day and hour of its text kept on one line. The characters stay as they are, so that whoever
    searches or copies the text finds plain spaces; titles, and what was typed into a form, are let be."""

    def kept(found: re.Match[str]) -> str:
        return found[0] if found["left"] else speech.days_in.sub(rf"<bdi {how}>\g<0></bdi>", found[0])

    return _TEXT.sub(kept, html)


def show(template: str, page: Page, speech: Speech, *, here: str = "", **facts: object) -> str:
    """A whole page: the template sees its facts as `page`, and what is said besides. `here` is where the language links
    lead if the page does not say."""
    html = render(template, speech, page=page, seller=page.seller, here=page.here or here, **facts)
    return unbroken(html, speech)


class Message(Struct, frozen=True, kw_only=True):
    """What a page says that says one thing. `way_on` is an address and its name."""

    title: str
    sentences: tuple[str, ...]
    way_on: tuple[str, str] | None = None
    small: str | None = None


def tell(page: Page, speech: Speech, message: Message) -> str:
    """A page that says one thing, in the common frame."""
    html = render("kernel/message.html", speech, seller=page.seller, here=page.here, **structs.asdict(message))
    return unbroken(html, speech)


class ErrorPage(Page, frozen=True, kw_only=True):
    """404, 405, 500 and their like: what happened, and a number to quote."""

    status: int
    request_id: str


class TooManyPage(Page, frozen=True, kw_only=True):
    """429: when to come back."""

    retry_after_seconds: int


class ProblemPage(Page, frozen=True, kw_only=True):
    """Where the `type` of a problem leads: for developers, in the words of the error map."""

    code: str
    title: str
    advice: str


def error_page(page: ErrorPage, speech: Speech) -> str:
    """Says whose fault it is and what to do; never how it happened inside."""
    say = speech.say
    if page.status >= _OURS:
        title = say("Something went wrong on our side")
        sentences = (
            say("We have noted the fault and will look at it."),
            say("Please try again in a few minutes."),
        )
    elif page.status in _NOWHERE:
        title = say("There is no such page")
        sentences = (say("Check the address, or open the link from our e-mail again."),)
    else:
        title = say("We could not read that")
        sentences = (say("Please go back, open the page once more and try again."),)
    small = say("Number to quote when you write to us: %(request_id)s", request_id=page.request_id)
    return tell(page, speech, Message(title=title, sentences=sentences, small=small))


def too_many_page(page: TooManyPage, speech: Speech) -> str:
    """Asks for a little patience, in whole minutes."""
    minutes = max(1, -(-page.retry_after_seconds // 60))
    again = speech.say_many(
        "Please try again in %(number)d minute.", "Please try again in %(number)d minutes.", minutes
    )
    sentences = (speech.say("Too many attempts came from this network in a short time."), again)
    small = speech.say("Nothing is lost: your link works as before.")
    return tell(page, speech, Message(title=speech.say("Please wait a moment"), sentences=sentences, small=small))


def problem_page(page: ProblemPage, speech: Speech) -> str:
    """The page behind a problem's `type`: its code, what it means, what to do."""
    return show("kernel/problem.html", page, speech)


@cache
def static_url(name: str) -> str:
    """Where a file of `STATIC` is served; the address changes with the content, so it may be kept for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


@lru_cache(maxsize=len(LANGUAGES))
def environment(locale: str) -> Environment:
    """The one set-up of Jinja, bound to a language; HTML is escaped, plain text is not."""
    rooms = {place.parent.name: FileSystemLoader(place) for place in sorted(_ROOMS.glob("*/templates"))}
    bound = Environment(
        loader=PrefixLoader(rooms),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    speech = speak(locale)
    names: dict[str, Any] = {
        "_": speech.say,
        "ngettext": speech.say_many,
        "static_url": static_url,
        "languages": NATIVE,
    }
    bound.globals.update(names)
    bound.filters.update(money=speech.money, day=speech.day, weekday=speech.weekday, instant=speech.instant)
    return bound


def escaped(text: str) -> str:
    """The text as a template writes it into HTML."""
    return Template("{{ text }}", autoescape=True).render(text=text)
