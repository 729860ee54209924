"""Coming in and going out: the provider is asked, its answer is proved, and the session is ours (S45, S46)."""

from datetime import datetime
from typing import Any

import structlog
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncSession

from billing.finance import pages, rules, service
from billing.finance.openid import ATTEMPT_LIVES, LoginFailed, begin_attempt, resume_attempt
from billing.finance.routes_door import (
    EXCEPTION_HANDLERS,
    answer,
    check_form,
    cookie_of,
    entrance_of,
    frame_of,
    requires_role,
    staff_of,
    token_of,
)
from billing.finance.words import Words
from billing.kernel.db import Database
from billing.kernel.errors import NotFound
from billing.kernel.web import AnyRequest

log = structlog.get_logger(__name__)


@get("/login", operation_id="staffLogin", include_in_schema=False)
async def login(request: AnyRequest, at: NamedDependency[datetime]) -> Response[Any]:
    """Leads to the provider; nothing is kept but one cookie of ten minutes."""
    entrance = entrance_of(request)
    attempt = begin_attempt(entrance.secret, at)
    url = await entrance.openid.way_in(attempt, at)
    cookie = entrance.cookie("staff-login", attempt.cookie, int(ATTEMPT_LIVES.total_seconds()))
    return Redirect(url, status_code=303, cookies=[cookie], headers={"Cache-Control": "no-store"})


@get("/callback", operation_id="staffCallback", include_in_schema=False)
async def callback(
    request: AnyRequest, database: NamedDependency[Database], at: NamedDependency[datetime]
) -> Response[Any]:
    """The provider's answer: proved, then a new session; always on to the list, wherever the answer would lead."""
    entrance = entrance_of(request)
    asked = request.query_params
    try:
        cookie = cookie_of(request, entrance.cookie_name("staff-login"))
        attempt = resume_attempt(entrance.secret, cookie, asked.get("state"), at)
        person = await entrance.openid.who(attempt, asked.get("code"), asked.get("iss"), at)
    except LoginFailed as fault:
        log.warning("staff_login_failed", reason=fault.detail)
        return _refused(request, "login_failed")
    role = rules.role_in(person.claims, entrance.openid.settings.roles_claim)
    async with database.begin() as session:
        if role is None:
            service.refuse(session, person, at)
            return _refused(request, "no_role")
        token = await service.log_in(session, person, role, token_of(request), at)
    cookies = [entrance.cookie("staff", token), entrance.cookie("staff-login", "", 0)]
    return Redirect("/finance/", status_code=303, cookies=cookies, headers={"Cache-Control": "no-store"})


@post("/logout", operation_id="staffLogout", include_in_schema=False, status_code=303, guards=[requires_role])
async def logout(
    request: AnyRequest,
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """The session is over on the server, and the browser forgets it."""
    await check_form(request)
    await service.log_out(session, token_of(request) or "", staff_of(request), at)
    entrance = entrance_of(request)
    headers = {"Cache-Control": "no-store", "Clear-Site-Data": '"cache"'}
    return Redirect("/finance/logged-out", status_code=303, cookies=[entrance.cookie("staff", "", 0)], headers=headers)


@get("/logged-out", operation_id="staffLoggedOut", include_in_schema=False, sync_to_thread=False)
def logged_out(request: AnyRequest) -> Response[Any]:
    """Says so, and offers the way back in."""
    return answer(request, pages.message(frame_of(request), "goodbye", (), ("/finance/login", "log_in_again")))


@get("/static/{name:str}", operation_id="staffStatic", include_in_schema=False, sync_to_thread=False)
def static(name: FromPath[str]) -> Response[bytes]:
    """The style sheet; nothing else is served."""
    if name != pages.STYLE:
        raise NotFound("There is no such file.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response((pages.STATIC / name).read_bytes(), media_type="text/css", headers=headers)


def _refused(request: AnyRequest, title: str) -> Response[Any]:
    frame = frame_of(request)
    sentences = (Words(frame.tongue)(f"{title}_hint"),)
    return answer(request, pages.message(frame, title, sentences, ("/finance/login", "log_in_again")), 403)


login_router = Router(
    "/finance",
    route_handlers=[login, callback, logout, logged_out, static],
    exception_handlers=EXCEPTION_HANDLERS,
)
