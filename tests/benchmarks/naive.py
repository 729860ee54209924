"""What a tutorial would write: one route, one session a request, entities of SQLAlchemy's ORM.

It has no key, no limit and no log, and says less than the product does: no blocks, no notice, no validator. All of that
makes it the cheaper.
"""

import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from entitlements.tables import GrantRow, LinkRow

_sessions = async_sessionmaker(
    create_async_engine(os.environ["BILLING_DATABASE_URL"], pool_size=16), expire_on_commit=False
)


async def session() -> AsyncGenerator[AsyncSession]:
    """One transaction a request."""
    async with _sessions() as one, one.begin():
        yield one


@get("/v1/accounts/{account:str}/entitlements/{feature:str}")
async def entitlement(
    account: FromPath[str], feature: FromPath[str], channel: FromQuery[str], pupil: FromQuery[str],
    session: NamedDependency[AsyncSession],
) -> dict[str, Any]:  # fmt: skip
    """One decision."""
    link = await session.get(LinkRow, (account, pupil))
    if link is None:
        raise NotFoundException
    now = datetime.now(UTC)  # noqa: TID251 - it is what a tutorial writes
    held = select(GrantRow).where(GrantRow.pupil == pupil, GrantRow.since <= now, GrantRow.until > now)
    grants = [grant for grant in (await session.scalars(held)).all() if feature in grant.features]
    until = max((grant.until for grant in grants if grant.until is not None), default=None)
    return {
        "account": account, "pupil": pupil, "feature": feature, "channel": channel, "allowed": bool(grants),
        "reason": grants[0].source if grants else "none", "valid_until": until, "as_of": now,
        "sources": [{"source": g.source, "id": g.origin, "since": g.since, "until": g.until} for g in grants],
    }  # fmt: skip


app = Litestar([entitlement], dependencies={"session": Provide(session)}, openapi_config=None)
