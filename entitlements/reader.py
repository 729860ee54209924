"""Truth, straight from the database: facts as they are committed at this moment (`consistency=strong`).

Look-ups of one turn of the event loop become one prepared statement (`kernel/turns.py`), over two connections of our
own (`line`), with neither entities nor transactions in between. It is always right, whatever else is kept elsewhere; so
it is also the way of last resort, and the way after a restart. No session or pool of the writing side is on this path.

A row that cannot be read spoils only its own account: a turn that fails over its contents is looked up again in halves.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import asyncpg
import structlog

from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from billing.kernel.line import Line
from billing.kernel.turns import AT_ONCE, Turns
from entitlements.facts import NO_SPAN, AccountFacts, Grant, Only, PupilFacts, Span

PATIENCE = 2.0
"""Seconds a question waits for the database before it is answered 503."""

# Who has a pupil is known; of the others only, the account itself is looked for.
FACTS = """
select asked.place, l.pupil, l.notice_pending, b.feature, b.since,
       g.source, g.origin, g.features, g.since, g.until, g.bound, g.end_reason
from unnest($1::text[]) with ordinality as asked (account, place)
left join entitlement_link l on l.account = asked.account
left join entitlement_pupil p on p.pupil = l.pupil
left join entitlement_block b on b.school = p.school
left join entitlement_grant g on g.pupil = l.pupil
where l.account is not null or exists (select from entitlement_account a where a.account = asked.account)
order by asked.place, l.linked_at, l.pupil, g.id
"""
_SPOILED = (ValueError, TypeError, OverflowError, asyncpg.DataError, asyncpg.InternalClientError)
"""What an unreadable row raises: in the driver, or in us."""

_place = itemgetter(0)
_pupil = itemgetter(1)
Known = dict[str, "AccountFacts | Exception"]

log = structlog.get_logger(__name__)


class FactsReader:
    """Loads facts as they are committed at this moment. Its connections end when the database is closed."""

    def __init__(self, database: Database, patience: float = PATIENCE) -> None:
        engine = database.engine.sync_engine
        self._idle = [Line(engine, patience) for _ in range(AT_ONCE)]
        self._turns = Turns[AccountFacts | Exception](self._look_up, patience)
        self._said: Exception | None = None

    def at_hand(self, account: str) -> None:
        """Nothing is kept here."""
        del account

    def spans_at_hand(
        self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]
    ) -> Sequence[Span]:
        """Nothing is kept here."""
        del pupils, features
        return [NO_SPAN] * len(accounts)

    def only_at_hand(
        self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]
    ) -> Sequence[Only | None]:
        """Nothing is kept here."""
        del pupils, features
        return [None] * len(accounts)

    async def account(self, account: str, *, strong: bool = True) -> AccountFacts | None:
        """The facts of one account, None for an unknown one. Raises Unavailable `store_unavailable`."""
        del strong  # every answer is
        if not _may_be(account):
            return None
        return _sound((await self._ask((account,))).get(account))

    async def accounts(self, accounts: Collection[str], *, strong: bool = True) -> dict[str, AccountFacts]:
        """The facts of each known account. Raises Unavailable `store_unavailable`."""
        del strong
        asked = [account for account in accounts if _may_be(account)]
        if not asked:
            return {}
        known = await self._ask(asked)
        return {account: facts for account in asked if (facts := _sound(known.get(account))) is not None}

    async def _ask(self, accounts: Collection[str]) -> Mapping[str, AccountFacts | Exception]:
        told = await self._turns.ask(accounts)
        if not isinstance(told, Exception):
            return told
        if told is not self._said:  # of a fault that a whole turn was told, one line
            self._said = told
            log.warning("entitlement_store_unavailable", fault=type(told).__name__)
        raise _unavailable() from told

    async def _look_up(self, accounts: Mapping[str, int]) -> Known:
        line = self._idle.pop()
        try:
            return await read(line, list(accounts))
        finally:
            self._idle.append(line)


async def read(line: Line, accounts: list[str]) -> Known:
    """The facts of each known account; of an unreadable one, what was raised. Raises what asyncpg raises."""
    try:
        return _gather(accounts, await line.fetch(FACTS, accounts))
    except _SPOILED as fault:
        if len(accounts) == 1:
            log.exception("entitlement_facts_unreadable")
            return {accounts[0]: fault}
    middle = len(accounts) // 2
    return await read(line, accounts[:middle]) | await read(line, accounts[middle:])


def _may_be(account: str) -> bool:
    """Whether an account can have this name at all: what the database cannot even be asked must not spoil a turn."""
    return account.isascii() and account.isprintable()


def _sound(facts: AccountFacts | Exception | None) -> AccountFacts | None:
    if isinstance(facts, Exception):
        raise _unavailable() from facts
    return facts


def _unavailable() -> Unavailable:
    return Unavailable("Rights cannot be looked up at this moment.", code="store_unavailable", retry_after=2)


def _gather(accounts: list[str], rows: list[asyncpg.Record]) -> Known:
    """Rows, those of an account and of its pupils one after the other, become facts."""
    found: Known = {}
    for place, of_account in groupby(rows, key=_place):
        account = accounts[place - 1]
        pupils = [_pupil_facts(pupil, list(rows)) for pupil, rows in groupby(of_account, key=_pupil) if pupil]
        found[account] = AccountFacts(account, tuple(pupils))
    return found


def _pupil_facts(pupil: str, rows: list[asyncpg.Record]) -> PupilFacts:
    _, _, notice_pending, blocked, *_ = rows[0]
    # A school's blocks stand beside each grant: few schools block, and to gather them would cost every question.
    return PupilFacts(
        pupil,
        grants=tuple(
            Grant(source, origin, frozenset(features), since, until, bound, end_reason)
            for *_, beside, _, source, origin, features, since, until, bound, end_reason in rows
            if origin is not None and beside == blocked
        ),
        blocks={} if blocked is None else {feature: since for _, _, _, feature, since, *_ in rows},
        notice_pending=notice_pending,
    )
