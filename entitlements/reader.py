"""Reads the facts of any number of accounts in one query, without transactions or entities in between."""

from asyncio import timeout
from collections.abc import Collection, Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any

import asyncpg
import structlog
from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from entitlements.facts import AccountFacts, Grant, PupilFacts

PATIENCE = 2.0
"""Seconds a question waits for the database before it is answered 503."""

_FACTS = text("""
select a.account, l.pupil, l.notice_pending, b.features as blocked, b.since as blocked_since,
       g.source, g.origin, g.features, g.since, g.until, g.bound, g.end_reason
from entitlement_account a
left join entitlement_link l on l.account = a.account
left join entitlement_pupil p on p.pupil = l.pupil
left join lateral (
    select array_agg(feature) as features, array_agg(since) as since from entitlement_block where school = p.school
) b on true
left join entitlement_grant g on g.pupil = l.pupil
where a.account = any(cast(:accounts as text[]))
order by a.account, l.linked_at, l.pupil, g.id
""")
_account = attrgetter("account")
_pupil = attrgetter("pupil")
_STORE_FAULTS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

log = structlog.get_logger(__name__)


class FactsReader:
    """Loads facts as they are committed at this moment."""

    def __init__(self, database: Database) -> None:
        self._engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def account(self, account: str) -> AccountFacts | None:
        """The facts of one account, None for an unknown one. Raises Unavailable `store_unavailable`."""
        return (await self.accounts((account,))).get(account)

    async def accounts(self, accounts: Collection[str]) -> dict[str, AccountFacts]:
        """The facts of each known account. Raises Unavailable `store_unavailable`."""
        try:
            async with timeout(PATIENCE):
                return _gather(await self._rows(accounts))
        except _STORE_FAULTS as fault:
            log.warning("entitlement_store_unavailable", fault=type(fault).__name__)
            raise Unavailable(
                "Rights cannot be looked up at this moment.", code="store_unavailable", retry_after=2
            ) from fault

    async def _rows(self, accounts: Collection[str]) -> list[Row[Any]]:
        for last in (False, True):
            try:
                async with self._engine.connect() as connection:
                    return list(await connection.execute(_FACTS, {"accounts": list(accounts)}))
            except DBAPIError as fault:
                # A connection that died while it lay in the pool says nothing about the database of this moment.
                if last or not fault.connection_invalidated:
                    raise
        raise AssertionError("the second try returns or raises")


def _gather(rows: Iterable[Row[Any]]) -> dict[str, AccountFacts]:
    found: dict[str, AccountFacts] = {}
    for account, of_account in groupby(rows, key=_account):
        pupils = (_pupil_facts(pupil, list(of_pupil)) for pupil, of_pupil in groupby(of_account, key=_pupil) if pupil)
        found[account] = AccountFacts(account, tuple(pupils))
    return found


def _pupil_facts(pupil: str, rows: list[Row[Any]]) -> PupilFacts:
    first = rows[0]
    return PupilFacts(
        pupil,
        grants=tuple(
            Grant(row.source, row.origin, frozenset(row.features), row.since, row.until, row.bound, row.end_reason)
            for row in rows
            if row.origin is not None
        ),
        blocks=dict(zip(first.blocked, first.blocked_since, strict=True)) if first.blocked else {},
        notice_pending=first.notice_pending,
    )
