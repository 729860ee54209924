"""Answering with a page: its language, its strict headers, and the limit on guessing a link (R38, R39)."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import MediaType
from litestar.response import Redirect

from billing.kernel.limits import Limit
from billing.kernel.pages import Seller, token_headers
from billing.kernel.peers import NO_PROXIES, Proxies
from billing.kernel.speech import LANGUAGES, Speech, choose, speak

WRONG_LINKS = Limit("wrong_links", quota=100, window=timedelta(minutes=10))
ALL_WRONG_LINKS = Limit("all_wrong_links", quota=3000, window=timedelta(minutes=10))
"""Over all addresses: who guesses from many of them is slowed down as well."""
Html = Response[str]


class Site(msgspec.Struct, frozen=True):
    """What pages and links need to know of the place they run at: the one public address, the secret that links are
    derived from, the seller, the origins a form may lead to, and the proxies in front of it."""

    public_url: str
    secret: str
    seller: Seller
    payment_origins: tuple[str, ...]
    proxies: Proxies = NO_PROXIES


def speech_of(
    connection: ASGIConnection[Any, Any, Any, Any], preferred: str | None = None, form: Mapping[str, Any] | None = None
) -> Speech:
    """The language of a page: the posted form's, else `?lang=`, else the browser's, else the account's, else Polish."""
    posted = str((form or {}).get("lang", ""))
    asked = posted if posted in LANGUAGES else connection.query_params.get("lang")
    if asked in LANGUAGES:
        return speak(asked)
    return speak(choose(connection.headers.get("accept-language"), preferred))


def written(form: Mapping[str, Any], longest: Mapping[str, int]) -> dict[str, str]:
    """What a form says in these fields: of each one line of what can be read, not longer than the field."""
    lines = {name: " ".join(str(form.get(name, "")).split()) for name in longest}
    return {name: "".join(filter(str.isprintable, line))[: longest[name]] for name, line in lines.items()}


def page(site: Site, html: str, speech: Speech, status: int = 200, headers: Mapping[str, str] | None = None) -> Html:
    """An HTML answer with the headers every public page has."""
    dressed = {**token_headers(*site.payment_origins), "Content-Language": speech.locale, **(headers or {})}
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=dressed)


def go(address: str) -> Response[Any]:
    """What follows a form: another address, fetched anew."""
    return Redirect(address, status_code=303, headers={"Cache-Control": "no-store"})


async def wrong_link(request: Request[Any, Any, Any], site: Site, tell: Callable[[Speech], str]) -> Html:
    """The page that helps where a link is unknown, which is counted against the address that tried it, and against all;
    a known link never is counted, so that a school behind one address is not locked out (R39). Raises TooMany when
    either is spent."""
    client = request.client.host if request.client else "unknown"
    peer = site.proxies.peer_of(client, request.headers.getall("x-forwarded-for", []))
    await request.app.state.limiter.take(WRONG_LINKS, peer)
    await request.app.state.limiter.take(ALL_WRONG_LINKS, "all")
    speech = speech_of(request)
    return page(site, tell(speech), speech, 404)
