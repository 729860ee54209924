"""The way into the staff's rooms: who may pass, in which language they are answered, and how errors are told."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

import msgspec
from litestar import Response
from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.handlers import BaseRouteHandler

from billing.finance import pages, rules, service
from billing.finance.openid import OpenIdClient
from billing.finance.pages import Frame
from billing.finance.service import Staff
from billing.finance.words import TONGUES, Tongue, Words
from billing.finance.words_acts import DONE
from billing.kernel.clock import Clock
from billing.kernel.db import Database
from billing.kernel.errors import BillingError, Forbidden, TooMany, Unauthenticated, Unavailable
from billing.kernel.problems import status_of
from billing.kernel.speech import choose
from billing.kernel.web import AnyConnection, AnyRequest
from billing.kernel.web_pages import go

LANGUAGE_COOKIE = "staff_lang"
DONE_COOKIE = "staff_done"
_SOON = 60
_YEAR = 365 * 24 * 3600
_SAFE = frozenset({"GET", "HEAD"})


class Entrance(msgspec.Struct, frozen=True, kw_only=True):
    """What the way in stands on; `app.state.entrance`. `secret` is what log-ins and forms are derived from."""

    database: Database
    clock: Clock
    openid: OpenIdClient
    secret: str
    public_url: str

    @property
    def is_https(self) -> bool:
        """Whether cookies may be bound to https and this very host."""
        return self.public_url.startswith("https://")

    def cookie_name(self, name: str) -> str:
        """`__Host-` is refused by browsers unless the cookie is Secure and for the whole of one host (S45)."""
        return f"__Host-{name}" if self.is_https else name

    def cookie(self, name: str, value: str, max_age: int | None = None) -> Cookie:
        """A cookie no script reads and no foreign form sends."""
        return Cookie(
            key=self.cookie_name(name), value=value, max_age=max_age, path="/", httponly=True, samesite="lax",
            secure=self.is_https,
        )  # fmt: skip


class NotLoggedIn(Unauthenticated):
    """Nobody is logged in, or not any more."""


def entrance_of(connection: AnyConnection) -> Entrance:
    """The way in of this application."""
    return cast("Entrance", connection.app.state.entrance)


def cookie_of(connection: AnyConnection, name: str) -> str | None:
    """A cookie's value as it was sent: ours are never quoted, and to unquote a hostile one takes Python 3.11 seconds,
    quadratic in its length (CVE-2024-7592)."""
    told = None
    for piece in ";".join(connection.headers.getall("cookie", [])).split(";"):
        key, _, value = piece.strip().partition("=")
        if key == name:
            told = value
    return told


def token_of(connection: AnyConnection) -> str | None:
    """The token of the browser's session, if it sent one."""
    return cookie_of(connection, entrance_of(connection).cookie_name("staff"))


def staff_of(request: AnyRequest) -> Staff:
    """Who the guard let in."""
    return cast("Staff", request.state.staff)


async def requires_role(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """A guard: somebody is logged in, and the table of `rules` lets their role use this very route; nothing that
    changes something is taken from another site (S44). Raises NotLoggedIn, Forbidden."""
    entrance = entrance_of(connection)
    token = token_of(connection)
    staff = None
    if token is not None:
        async with entrance.database.begin() as session:
            staff = await service.find(session, token, entrance.secret, entrance.clock.now())
    if staff is None:
        raise NotLoggedIn("Nobody is logged in.")
    connection.state.staff = staff
    method = str(connection.scope.get("method", ""))
    if not rules.may(staff.role, method, str(connection.scope.get("path_template", ""))):
        raise Forbidden(f"The role {staff.role} may not use this.")
    if method not in _SAFE:
        check_same_site(connection)


def check_same_site(connection: AnyConnection) -> None:
    """Refuse what a foreign page sent: by Sec-Fetch-Site, and by Origin (`null` is foreign too). Raises Forbidden."""
    site = connection.headers.get("sec-fetch-site")
    origin = connection.headers.get("origin")
    ours = urlsplit(entrance_of(connection).public_url)
    if site not in {None, "same-origin"} or origin not in {None, f"{ours.scheme}://{ours.netloc}"}:
        raise Forbidden("This form was sent from another site.")


async def check_form(request: AnyRequest) -> dict[str, str]:
    """The fields of a form that was made for this very session (S42). Raises Forbidden."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    if not service.is_csrf(staff_of(request), form.get("csrf", "")):
        raise Forbidden("This form was not made for this session.")
    return form


def tongue_of(connection: AnyConnection) -> Tongue:
    """`?lang=`, else what was chosen before, else the browser's wish; Polish first."""
    asked = (connection.query_params.get("lang"), cookie_of(connection, LANGUAGE_COOKIE))
    for wish in (*asked, choose(connection.headers.get("accept-language"))):
        for tongue in TONGUES:
            if wish == tongue:
                return tongue
    return "pl"


def frame_of(request: AnyRequest) -> Frame:
    """The frame of a page that answers this request."""
    rest = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return Frame(
        tongue=tongue_of(request), staff=request.state.get("staff"), path=request.url.path, query=urlencode(rest),
        done=_done(request),
    )  # fmt: skip


def _done(request: AnyRequest) -> str | None:
    """What the form before this page has done; told once, in words of ours, whatever the cookie holds."""
    told = cookie_of(request, entrance_of(request).cookie_name(DONE_COOKIE))
    return told if told in DONE and request.method in _SAFE and request.state.get("staff") else None


def go_done(request: AnyRequest, address: str, done: str) -> Response[Any]:
    """What follows an act: a page, which says once that it was done (`done` is a key of `DONE`)."""
    response = go(address)
    response.set_cookie(entrance_of(request).cookie(DONE_COOKIE, done, _SOON))
    return response


def answer(
    request: AnyRequest, html: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    """A page with the strict headers of these rooms; a language chosen on the way is remembered."""
    tongue = tongue_of(request)
    dressed = {**pages.HEADERS, "Content-Language": tongue, **(headers or {})}
    cookies: list[Cookie] = []
    if request.query_params.get("lang") == tongue:
        secure = entrance_of(request).is_https
        cookies = [Cookie(LANGUAGE_COOKIE, value=tongue, max_age=_YEAR, path="/finance", httponly=True, samesite="lax",
                          secure=secure)]  # fmt: skip
    if _done(request) is not None:
        cookies.append(entrance_of(request).cookie(DONE_COOKIE, "", 0))
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=dressed, cookies=cookies)


def to_login(request: AnyRequest, fault: Exception) -> Response[Any]:
    """Nobody is logged in: a browser that looks is led to the log-in; anything else is refused."""
    if request.method in _SAFE:
        return go("/finance/login")
    return tell(request, fault)


def tell(request: AnyRequest, fault: Exception) -> Response[Any]:
    """Our own errors as a page of these rooms: what is wrong, and a way back."""
    error = cast("BillingError", fault)
    status = status_of(error)
    title = f"error_{status.value}" if status.value in {400, 403, 404, 503} else "error_other"
    frame = frame_of(request)
    why = Words(frame.tongue).why(error.code) if status is HTTPStatus.CONFLICT else None
    named = (f"{found.pointer}: {found.code} ({found.detail})" for found in error.faults)
    sentences = (*((why,) if why else ()), *named)
    way_on = ("/finance/login", "log_in_again")
    if frame.staff is not None:
        form = request.method not in _SAFE and status is HTTPStatus.CONFLICT
        way_on = (frame.path, "back_to_form") if form else ("/finance/", "back_to_list")
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, (TooMany, Unavailable)) else {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Cookie"
    return answer(request, pages.message(frame, title, sentences, way_on), status, headers)


EXCEPTION_HANDLERS: Any = {NotLoggedIn: to_login, BillingError: tell}
