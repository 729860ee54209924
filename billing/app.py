"""The web application: routers by audience, dependencies, the error map, the door around it all."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, cast

from litestar import Litestar, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from billing import health
from billing.accounts import routes as accounts
from billing.activation import routes as activation
from billing.catalog import routes as catalog
from billing.catalog.rules import feature_list
from billing.checkout import routes as checkout
from billing.finance.routes import reading_router
from billing.finance.routes_acts import acting_router
from billing.finance.routes_books import books_router
from billing.finance.routes_door import Entrance
from billing.finance.routes_login import login_router
from billing.invoices import routes as invoices
from billing.kernel import logs
from billing.kernel.bodies import LONGEST
from billing.kernel.describing import ExactJson
from billing.kernel.errors import NotFound
from billing.kernel.giving import provided
from billing.kernel.keys import Scope
from billing.kernel.pages import ErrorPage, ProblemPage, TooManyPage, error_page, problem_page, too_many_page
from billing.kernel.problems import CATALOGUE, Problem
from billing.kernel.serving import settled
from billing.kernel.settings import load
from billing.kernel.sheets import Sheets, folder_of
from billing.kernel.web import AnyRequest, known_query, requires, tell
from billing.kernel.web_pages import page, speech_of
from billing.notices import routes as notices
from billing.privacy import routes as privacy
from billing.subscriptions import routes as subscriptions
from billing.trials import routes as trials
from billing.wiring import Services, build
from billing.withdrawals import routes as withdrawals
from billing.worker import ringing
from entitlements.wiring import WAYS_IN, FrontDesk
from webhooks import outgoing_routes as outgoing
from webhooks.keeping import Intake
from webhooks.outgoing_shapes import described as outgoing_described
from webhooks.routes import MailRoom, webhooks_router
from webhooks.slot import LetterSlot

_PAGES = ("/activate", "/orders", "/confirm", "/regulamin", "/prywatnosc", "/dostepnosc", "/pomoc", "/nie-teraz")


@get("/problems/{code:str}", operation_id="problemType", include_in_schema=False, sync_to_thread=False)
def problem_type(request: AnyRequest, code: FromPath[str], services: NamedDependency[Services]) -> Response[str]:
    """What a problem's `type` means, and what to do."""
    advice = CATALOGUE.get(code)
    if advice is None:
        raise NotFound("There is no such type of problem.")
    speech = speech_of(request)
    shown = ProblemPage(seller=services.site.seller, code=code, title=advice.title, advice=advice.what_to_do)
    return page(services.site, problem_page(shown, speech), speech)


_LONGEST_FORM: Final = 65_536
"""Bytes of a form; to read ten times as much takes a process a third of a second, and anybody may send it."""
_FOR_BROWSERS: Final = Router(
    "/",
    route_handlers=[
        accounts.public_pages,
        checkout.public_pages,
        withdrawals.public_pages,
        invoices.public_pages,
        login_router,
        reading_router,
        acting_router,
        books_router,
    ],
    request_max_body_size=_LONGEST_FORM,
)
"""What is asked for by browsers: pages of parents, and the staff's rooms."""
_ROOMS: Final[tuple[Any, ...]] = (
    catalog.catalog_router,
    *WAYS_IN,
    webhooks_router,
    _FOR_BROWSERS,
    health.livez,
    health.readyz,
    health.show_metrics,
    problem_type,
)
"""The ways in that need nothing of these services to be put together."""


def create_app(services: Services, extra: Sequence[Any] = ()) -> Litestar:
    """The product on these services; `extra` handlers are the sandbox's."""
    desk = FrontDesk(
        services.settings,
        feature_list(services.catalogue),
        database=services.database,
        clock=services.clock,
        key_ring=services.key_ring,
        limiter=services.limiter,
    )
    mail_room = _mail_room(services)
    sheets = Sheets(folder_of(services.settings), "web")
    app = Litestar(
        route_handlers=[
            _for_backends("accounts:write", accounts, trials, notices, privacy),
            _for_backends("commerce:write", activation, subscriptions, outgoing),
            *_ROOMS,
            *extra,
        ],
        dependencies=_dependencies(services, desk, mail_room, sheets),
        exception_handlers={Exception: tell},
        openapi_config=_openapi(),
        lifespan=[_lifespan, desk.open, sheets.open],
        state=State(
            desk.state()
            | {
                "services": services,
                "secret": services.site.secret,
                "error_page": _error_page(services),
                "entrance": _entrance(services),
                "outgoing": outgoing_described(),
            }
        ),
        request_max_body_size=LONGEST,
        logging_config=None,
    )
    desk.hang(app)
    app.asgi_handler = cast("Any", LetterSlot(cast("Any", app.asgi_handler), mail_room))
    return app


def _for_backends(scope: Scope, *rooms: Any) -> Router:
    """The app backend's routes of some rooms, for keys that hold one scope."""
    handlers = [handler for room in rooms for handler in room.handlers]
    return Router("/v1", route_handlers=handlers, guards=[requires(scope), known_query])


def _dependencies(services: Services, desk: FrontDesk, mail_room: MailRoom, sheets: Sheets) -> dict[str, Provide]:
    return provided(
        services.database,
        services.clock,
        services=services,
        gateway=services.gateway,
        catalogue=services.catalogue,
        site=services.site,
        mail_room=mail_room,
        sheets=sheets,
        calls_loopback=bool(services.settings.sandbox_outside),
        **desk.given(),
    )


def _mail_room(services: Services) -> MailRoom:
    """Where Stripe's events come in."""
    return MailRoom(
        intake=Intake(services.database),
        secrets=services.settings.webhook_secrets,
        expects_livemode=services.settings.stripe_api_key.value.startswith(("sk_live_", "rk_live_")),
        clock=services.clock,
    )


def _entrance(services: Services) -> Entrance:
    """The way into the staff's rooms."""
    return Entrance(
        database=services.database,
        clock=services.clock,
        openid=services.openid,
        secret=services.site.secret,
        public_url=services.site.public_url,
    )


def _error_page(services: Services) -> Any:
    """People get a page, programs a problem: by where they asked, and by what they accept."""

    def show(request: AnyRequest, problem: Problem) -> Response[Any] | None:
        is_page = request.url.path.startswith(_PAGES)
        if not is_page and "text/html" not in request.headers.get("accept", ""):
            return None
        if request.url.path.startswith(("/v1/", "/webhooks/", "/ofrep/")):
            return None
        speech = speech_of(request)
        status = HTTPStatus(problem.status)
        seller = services.site.seller
        if status is HTTPStatus.TOO_MANY_REQUESTS:
            html = too_many_page(TooManyPage(seller=seller, retry_after_seconds=60), speech)
        else:
            html = error_page(ErrorPage(seller=seller, status=status, request_id=problem.request_id), speech)
        return page(services.site, html, speech, status)

    return show


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncGenerator[None]:
    yield
    await app.state.services.close()


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Mobile add-ons: subscriptions, billing, entitlements",
        version="1",
        description="Who may use which mobile add-on of a Polish e-diary, until when, and how the right is bought.",
        path="/schema",
        render_plugins=[ExactJson()],
        components=Components(
            security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="An API key.")}
        ),
        security=[{"key": []}],
        create_examples=False,
        use_handler_docstrings=True,
        servers=[],
        webhooks=None,
        tags=None,
    )


def create() -> Litestar:
    """The application of a web process, from its environment."""
    settings = load()
    logs.configure(settings.log_level)
    services = build(settings, ringing(settings))
    extra: list[Any] = []
    if settings.sandbox_outside:
        from billing.sandbox.proxy import front_door, outside_mount  # noqa: PLC0415 - never imported in production

        extra += [front_door, outside_mount(settings.sandbox_outside)]
    return settled(create_app(services, extra))
