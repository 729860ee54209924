"""A person's own data, for the app backend that speaks for that person."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from litestar import delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel import audit
from billing.kernel.ids import Ref
from billing.kernel.web import problem_answers
from billing.kernel.web_pages import Site
from billing.privacy import service


class KeptOut(msgspec.Struct, frozen=True):
    """What the law makes us keep, without the account, and until which day."""

    what: str
    rows: int
    until: str


class ErasureOut(msgspec.Struct, frozen=True, tag_field="object", tag="erasure"):
    """An erasure: done, but for what is kept by law."""

    account: str
    status: Literal["done"]
    kept: list[KeptOut]


class ExportOut(msgspec.Struct, frozen=True, tag_field="object", tag="export"):
    """All that is held of one person."""

    account: dict[str, Any]
    pupils: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    complaints: list[dict[str, Any]]
    letters: list[dict[str, Any]]


@delete(
    "/accounts/{account:str}",
    operation_id="eraseAccount",
    tags=["Accounts"],
    summary="Erase an account",
    status_code=202,
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def erase_account(
    account: FromPath[Ref], session: NamedDependency[AsyncSession], at: NamedDependency[datetime]
) -> ErasureOut:
    """Deletes the person's data at once; paid orders stay, without the account, as long as tax law wants (R88, R89)."""
    kept = await service.erase(session, account, at, reason="asked")
    return ErasureOut(account, "done", [KeptOut(item.what, item.rows, item.until.isoformat()) for item in kept])


@get(
    "/accounts/{account:str}/export",
    operation_id="exportAccount",
    tags=["Accounts"],
    summary="All that is held of an account",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def export_account(
    account: FromPath[Ref],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
) -> ExportOut:
    """Orders, payments, consents, letters as sent; nothing of any other person (R91)."""
    found = await service.collect(session, account, site.secret)
    audit.record(session, at, "account.exported", account, account=account)
    return ExportOut(**found)


handlers = (
    erase_account,
    export_account,
)
