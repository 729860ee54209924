"""All doors of the desk side by side, and a town in which every kind of answer occurs."""

from datetime import datetime, timedelta
from typing import Any

from joserfc.jwk import ECKey
from litestar import Litestar
from litestar.di import Provide

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.signing import SigningKeys
from billing.kernel.web import tell
from entitlements import service
from entitlements.facts import EndReason, Source
from entitlements.reader import FactsReader
from entitlements.routes import entitlements_router
from entitlements.routes_ofrep import ofrep_router
from entitlements.routes_tokens import signing_keys, tokens_router
from entitlements.tokens import Tokens
from tests.entitlements.conftest import standing

ISSUER, AUDIENCE = "https://desk.test", "mobile-app"
MONTH = timedelta(days=30)

GRANTS: dict[str, list[tuple[Source, int, int | None, EndReason | None]]] = {
    "nothing": [],
    "trial": [("trial", -5, 20, None)],
    "trial-over": [("trial", -40, -10, None)],
    "paid": [("paid", -5, 90, None)],
    "paid-in-the-trial": [("trial", -5, 20, None), ("paid", -1, 90, None)],
    "paid-from-tomorrow": [("trial", -5, 1, None), ("paid", 1, 90, None)],
    "pass-over": [("paid", -90, -1, None)],
    "withdrawn": [("paid", -9, -1, "withdrawn")],
    "refunded": [("paid", -9, -1, "refunded")],
    "disputed": [("paid", -9, -1, "disputed")],
    "failed": [("grace", -9, -1, "payment_failed")],
    "grace": [("paid", -90, -1, None), ("grace", -1, 6, None)],
    "sponsored": [("sponsored", -5, 90, None)],
    "sponsor-gone": [("sponsored", -5, -2, "sponsorship_ended")],
    "granted": [("granted", -5, None, None)],
}
"""Pupil → source, first and last day from now, why it ended."""


def doors(store: Database, facts: FactsReader, clock: FixedClock, keys: SigningKeys) -> Litestar:
    """An application with the plain answers, the signed ones, and OFREP."""
    state = standing(store, facts, clock)
    state["tokens"] = Tokens(keys, ISSUER, AUDIENCE)
    return Litestar(
        route_handlers=[entitlements_router, tokens_router, signing_keys, ofrep_router],
        dependencies={"keys": Provide(lambda: keys, sync_to_thread=False)},
        exception_handlers={Exception: tell},
        state=state,
    )


def new_key(kid: str) -> dict[str, Any]:
    """A private key as settings hold it."""
    return dict(ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"}).as_dict(private=True))


async def settle_town(database: Database, at: datetime) -> None:
    """Account `big` has a pupil of every kind, `small` has only the one on trial, `empty` nobody."""
    async with database.begin() as session:
        for account in ("big", "small", "empty"):
            await service.put_account(session, account)
        await service.put_link(session, "small", "trial", "sp5", at)
        for pupil, grants in GRANTS.items():
            await service.put_link(session, "big", pupil, "sp5", at)
            for number, (source, since, until, reason) in enumerate(grants):
                origin = f"{source}_{pupil}_{number}"
                end = None if until is None else at + timedelta(days=until)
                await service.add_grant(
                    session,
                    pupil=pupil,
                    source=source,
                    origin=origin,
                    features=["messages", "homework"],
                    since=at + timedelta(days=since),
                    until=at + MONTH * 12 if reason else end,
                    at=at,
                )
                if reason is not None and end is not None:
                    await service.end_grants(session, origin, end, reason)
        await service.set_notice_pending(session, "big", ["trial"], pending=True)
        await service.put_link(session, "big", "blocked", "sp6", at)
        await service.put_school_blocks(session, "sp6", ["messages"], at - MONTH)
