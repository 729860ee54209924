"""Rows in numbers, each kind in one statement."""

from datetime import date, datetime, timedelta

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.tables import AccountRow
from billing.kernel.ids import new_id
from billing.kernel.tokens import token_hash
from billing.trials.tables import TrialRow
from tests.finance.world import UNTIL


async def make_many_accounts(session: AsyncSession, number: int, at: datetime) -> None:
    """Accounts with no pupils, in one statement."""
    common = {"locale": "pl", "kind": "guardian", "age_band": "adult", "created_at": at, "confirmed_at": at}
    rows = [{"account": f"m{each}", "email": f"m{each}@poczta.example", **common} for each in range(number)]
    await session.execute(insert(AccountRow), rows)


async def make_many_trials(session: AsyncSession, number: int, at: datetime) -> None:
    """Trials of pupils whom nobody links, in one statement."""
    rows = [
        {
            "id": new_id(at + timedelta(seconds=each)),
            "season": "2026/27",
            "season_ends": date(2027, 6, 30),
            "pupil": f"t{each}",
            "pupil_hash": token_hash(f"t{each}"),
            "starts_at": at + timedelta(seconds=each),
            "reverts_on": date(2026, 11, 1),
            "ends_at": UNTIL,
            "told_by": UNTIL,
            "tell_from": UNTIL,
            "prolongations": 0,
        }
        for each in range(number)
    ]
    await session.execute(insert(TrialRow), rows)
