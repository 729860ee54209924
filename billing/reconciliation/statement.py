"""Reading the provider's account of our money and its payouts, every night (R112). Calls and transactions alternate."""

from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

import msgspec

from billing.kernel.days import day_of
from billing.kernel.db import Database
from billing.payments.gateway import Gateway
from billing.payments.gateway_books import BalanceLine
from billing.reconciliation import mirror, payouts, runs
from billing.reconciliation.payouts import PART
from billing.reconciliation.rules import LONG

_SECOND: Final = timedelta(seconds=1)


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What was new in the provider's account; how many payouts do not close; how many orders newly differ (I10)."""

    lines: int
    payouts: int
    unclosed: int
    differing: int


async def read(database: Database, gateway: Gateway, at: datetime) -> Read:
    """Take on every movement since the last good night and every payout of the last weeks, sum up, and compare with our
    books. Raises ProviderError; what was read before stays, and is read again harmlessly."""
    async with database.begin() as session:
        since = await runs.lines_since(session, at)
    lines = 0
    async with aclosing(gateway.books.balance_lines(since, at + _SECOND)) as parts:
        async for told in parts:
            lines += await _keep(database, told, at)
    sent = await gateway.books.payouts(at - LONG, at + _SECOND)
    async with database.begin() as session:
        await payouts.note_states(session, sent, at)
        new = await payouts.unknown_payouts(session, sent)
    for each in new:
        within = await gateway.books.lines_of(each.payout_id) if each.is_automatic else ()
        lines += await _keep(database, within, at, each.payout_id)
        async with database.begin() as session:
            await payouts.take_payout(session, each, at)
    async with database.begin() as session:
        await payouts.name_again(session, at)
        unclosed = await payouts.sum_up(session, at)
        differing = await mirror.judge(session, day_of(since), at)
    return Read(lines=lines, payouts=len(new), unclosed=unclosed, differing=differing)


async def _keep(database: Database, lines: tuple[BalanceLine, ...], at: datetime, payout: str | None = None) -> int:
    """Take lines on in parts, so that no transaction grows with a season's last day."""
    kept = 0
    for start in range(0, len(lines), PART):
        async with database.begin() as session:
            kept += await payouts.take_lines(session, lines[start : start + PART], at, payout)
    return kept
