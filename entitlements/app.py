"""The front desk alone: a web process that answers what the app's backend asks, and can do nothing else.

It holds no key of the payment provider, no secret of links and no mailbox, loads half as much, and goes on
answering while the product is replaced. Answers are the product's, byte for byte: a proxy leads the addresses of
`WAYS_IN` here.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from litestar import Litestar, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from billing.kernel import logs
from billing.kernel.clock import Clock, clock_of
from billing.kernel.db import Database
from billing.kernel.errors import NotFound, Unavailable
from billing.kernel.giving import provided
from billing.kernel.keys import KeyRing
from billing.kernel.limits import Limiter
from billing.kernel.reaching import broker_word, clock_word
from billing.kernel.serving import settled
from billing.kernel.settings import Standing, load_as
from billing.kernel.sheets import Sheets, folder_of
from billing.kernel.web import tell
from entitlements.listed import read_features
from entitlements.wiring import WAYS_IN, FrontDesk

_NOBODY = "readiness"
"""An account asked about by the very statement that answers: whether the schema is one we can read."""


class DeskHealth(msgspec.Struct, frozen=True):
    """One line a check."""

    status: str
    checks: dict[str, str]


@get("/livez", operation_id="live", include_in_schema=False, sync_to_thread=False)
def livez() -> dict[str, str]:
    """The process answers. No I/O."""
    return {"status": "ok"}


@get("/readyz", operation_id="ready", include_in_schema=False)
async def readyz(desk: NamedDependency[FrontDesk]) -> Response[DeskHealth]:
    """Whether rights can be looked up at this moment, by the right clock; 503 names what is missing."""
    checks = {"broker": await broker_word(desk.settings.broker_url.value)}
    try:
        await desk.facts.account(_NOBODY, strong=True)
        checks["rights"] = "ok"
        async with desk.database.begin() as session:
            checks["clock"] = "ok" if desk.settings.clock_file else await clock_word(session, desk.clock)
    except (Unavailable, SQLAlchemyError, OSError) as fault:
        checks["rights"] = type(fault).__name__
    is_ready = all(word == "ok" for name, word in checks.items() if name != "broker")
    told = DeskHealth("ready" if is_ready else "not_ready", checks)
    return Response(told, status_code=200 if is_ready else 503, headers={"Cache-Control": "no-store"})


@get("/metrics", operation_id="metrics", include_in_schema=False, sync_to_thread=False)
def show_metrics(desk: NamedDependency[FrontDesk], sheets: NamedDependency[Sheets]) -> Response[bytes]:
    """What was counted; only where settings say that this port is not public (S87)."""
    if not desk.settings.metrics_public:
        raise NotFound("There is nothing here.")
    return Response(sheets.told(), media_type=CONTENT_TYPE_LATEST)


def create_app(settings: Standing, clock: Clock | None = None) -> Litestar:
    """The desk on these settings; `clock` stands in for the settings' own. Opens nothing before it is used."""
    clock = clock or clock_of(settings.clock_file)
    database = Database(settings.database_url.value, pool_size=settings.pool_size)
    desk = FrontDesk(
        settings,
        read_features(settings.catalog),
        database=database,
        clock=clock,
        key_ring=KeyRing(database, clock),
        limiter=Limiter(settings.broker_url.value),
    )
    sheets = Sheets(folder_of(settings), "entitlements")
    app = Litestar(
        route_handlers=[*WAYS_IN, livez, readyz, show_metrics],
        dependencies=provided(database, clock, desk=desk, sheets=sheets, **desk.given()),
        exception_handlers={Exception: tell},
        openapi_config=None,
        lifespan=[_lifespan, desk.open, sheets.open],
        state=State(desk.state() | {"desk": desk}),
        request_max_body_size=1_000_000,
        logging_config=None,
    )
    desk.hang(app)
    return app


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncGenerator[None]:
    yield
    desk: Any = app.state.desk
    await desk.limiter.close()
    await desk.database.close()


def create() -> Litestar:
    """The application of a web process, from its environment."""
    settings = load_as(Standing)
    logs.configure(settings.log_level)
    return settled(create_app(settings))
