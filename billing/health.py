"""Whether this process lives, whether it is ready, and what it counted. The age of the oldest due work is the alarm."""

from datetime import datetime, timedelta

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import watching
from billing.catalog.rules import priced_days
from billing.invariants import service as invariants
from billing.kernel import metrics
from billing.kernel.days import day_of
from billing.kernel.errors import NotFound
from billing.kernel.reaching import broker_word, clock_word
from billing.kernel.sheets import Sheets
from billing.migrations.run import head, present
from billing.payments import refunds_by_hand
from billing.payments.rules import REFUND_WARNINGS
from billing.reconciliation import payouts, runs
from billing.wiring import Services
from webhooks.service import unjudged

OVERDUE = timedelta(minutes=5)
TOO_LONG = timedelta(seconds=60)
"""How long a payment that we were told of may wait for its right (R138)."""

_PAID = ("checkout.session.completed", "checkout.session.async_payment_succeeded", "invoice.paid")


class Health(msgspec.Struct, frozen=True):
    """One line a check; `oldest_due` is in seconds, by kind of work; `waiting` counts what people must look at. Both
    are told, and are no unreadiness: a web process can do nothing about them. `reconciled` is how many seconds ago the
    last good look at Stripe's books was; null before there was anything to look at."""

    status: str
    checks: dict[str, str]
    oldest_due: dict[str, float]
    waiting: dict[str, int]
    reconciled: float | None = None


@get("/livez", operation_id="live", include_in_schema=False, sync_to_thread=False)
def livez() -> dict[str, str]:
    """The process answers. No I/O."""
    return {"status": "ok"}


@get("/readyz", operation_id="ready", include_in_schema=False)
async def readyz(services: NamedDependency[Services]) -> Response[Health]:
    """Database, migrations, clock and broker; 503 names what is missing."""
    checks: dict[str, str] = {"broker": await broker_word(services.settings.broker_url.value)}
    oldest: dict[str, float] = {}
    for_people: dict[str, int] = {}
    compared: float | None = None
    try:
        async with services.database.begin() as session:
            checks["database"] = "ok"
            checks["migrations"] = "ok" if await present(session) == head() else "behind"
            checks["clock"] = "ok" if services.settings.clock_file else await clock_word(session, services.clock)
            oldest = await ages(session, services, services.clock.now())
            for_people = await waiting(session, services.clock.now())
            compared = await reconciled(session, services.clock.now())
    except (SQLAlchemyError, OSError) as fault:
        checks["database"] = type(fault).__name__
    is_ready = all(state == "ok" for name, state in checks.items() if name != "broker")
    told = Health("ready" if is_ready else "not_ready", checks, oldest, for_people, compared)
    return Response(told, status_code=200 if is_ready else 503, headers={"Cache-Control": "no-store"})


async def ages(session: AsyncSession, services: Services, at: datetime) -> dict[str, float]:
    """How many seconds the oldest due piece of each kind of work has waited (F11)."""
    found: dict[str, float] = {}
    for work in services.works:
        due = await work.next_due(session)
        age = max(0.0, (at - due).total_seconds()) if due is not None else 0.0
        metrics.OLDEST_DUE.labels(work.name).set(age)
        if age:
            found[work.name] = age
    return found


async def waiting(session: AsyncSession, at: datetime) -> dict[str, int]:
    """What people must look at, by name; what is absent is none: refunds and cases near their day or past it, and
    payments that gave no right for a minute (R76, R80, R138)."""
    found: dict[str, int] = {}
    for kind in await watching.what_waits(session, at):
        metrics.CASES.labels(kind.kind).set(kind.count)
        metrics.CASE_AGE.labels(kind.kind).set(kind.oldest_seconds)
        for day, count in (("near", kind.near_due), ("over", kind.overdue)):
            metrics.CASES_DUE.labels(kind.kind, day).set(count)
            found[f"{kind.kind}_{day}"] = count
    levels = await refunds_by_hand.near_due(session, at)
    for days in REFUND_WARNINGS:
        metrics.REFUNDS_DUE.labels(str(days)).set(levels[days])
    found["refunds_near"] = sum(levels.values()) - levels[-1]
    found["refunds_over"] = levels[-1]
    found["paid_not_active"] = await unjudged(session, _PAID, at - TOO_LONG)
    metrics.PAID_NOT_ACTIVE.set(found["paid_not_active"])
    return {name: count for name, count in found.items() if count}


async def reconciled(session: AsyncSession, at: datetime) -> float | None:
    """How many seconds ago Stripe's books were last compared with ours; what its payouts differ by is counted too."""
    behind = await runs.seconds_behind(session, at)
    metrics.RECONCILED.set(behind or 0.0)
    count, difference = await payouts.unclosed(session)
    metrics.PAYOUTS_OPEN.set(count)
    metrics.PAYOUT_DIFFERENCE.set(difference)
    return behind


@get("/metrics", operation_id="metrics", include_in_schema=False)
async def show_metrics(services: NamedDependency[Services], sheets: NamedDependency[Sheets]) -> Response[bytes]:
    """What was counted; only where settings say that this port is not public (S87)."""
    if not services.settings.metrics_public:
        raise NotFound("There is nothing here.")
    async with services.database.begin() as session:
        await ages(session, services, services.clock.now())
        await waiting(session, services.clock.now())
        await reconciled(session, services.clock.now())
        metrics.BROKEN.set(await invariants.last_answer(session))
    metrics.PRICED.set(priced_days(services.catalogue, day_of(services.clock.now())))
    return Response(sheets.told(), media_type=CONTENT_TYPE_LATEST)
