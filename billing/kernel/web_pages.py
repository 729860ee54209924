"""Answering with a page: its language, its strict headers, and the limit on guessing a link (R38, R39)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.enums import MediaType

from billing.kernel.limits import Limit, Limiter
from billing.kernel.pages import Seller, token_headers
from billing.kernel.speech import LANGUAGES, Speech, choose, speak

WRONG_LINKS = Limit("wrong_links", quota=100, window=timedelta(minutes=10))


class Site(msgspec.Struct, frozen=True):
    """What pages and links need to know of the place they run at: the one public address, the secret that links are
    derived from, the seller, and the origins a form may lead to."""

    public_url: str
    secret: str
    seller: Seller
    payment_origins: tuple[str, ...]


def speech_of(connection: ASGIConnection[Any, Any, Any, Any], preferred: str | None = None) -> Speech:
    """The language of a page: `?lang=`, else the browser's, else the account's, else Polish."""
    asked = connection.query_params.get("lang")
    if asked in LANGUAGES:
        return speak(asked)
    return speak(choose(connection.headers.get("accept-language"), preferred))


def page(
    site: Site, html: str, speech: Speech, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """An HTML answer with the headers every public page has."""
    dressed = {**token_headers(*site.payment_origins), "Content-Language": speech.locale, **(headers or {})}
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=dressed)


async def count_wrong_link(request: Request[Any, Any, Any], limiter: Limiter) -> None:
    """Count an unknown link against the address that tried it; a known link never is counted, so that a school behind
    one address is not locked out (R39). Raises TooMany when spent."""
    peer = request.client.host if request.client else "unknown"
    await limiter.take(WRONG_LINKS, peer)
