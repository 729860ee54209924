"""Twenty-four months of one subscription: declines, a cancellation undone, a pause, a price rise refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.renewals.conftest import opened
from tests.renewals.house import catalogue_file


def on(year: int, month: int, day: int = 1, hour: int = 8) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_two_years_of_one_subscription(database_url: str, tmp_path: Path) -> None:
    catalogue = catalogue_file(tmp_path, dearer_from="2028-08-15")
    async with opened(database_url, tmp_path, catalogue) as house:
        await house.family("anna", "ola")
        await house.subscribe("anna", "ola")
        await house.live_until(on(2026, 11, 28))
        assert await house.one("select count(*) from payment") == 3
        await house.outcome("declined")
        await house.live_until(on(2026, 12, 2))
        assert (await house.row()).state == "past_due"
        await house.outcome("succeeded")
        await house.live_until(on(2026, 12, 20))
        assert ((await house.row()).state, (await house.row()).period_end) == ("active", on(2027, 1))
        await house.act("turn_off")
        await house.live_until(on(2026, 12, 27))
        await house.act("turn_on")
        await house.live_until(on(2027, 4, 10))
        assert await house.one("select count(*) from payment") == 8
        await house.act("pause")
        await house.live_until(on(2027, 7, 10))
        assert (await house.row()).state == "paused"
        assert not (await house.answer("anna", "ola")).allowed
        await house.act("resume")
        await house.live_until(on(2028, 8, 20))
        assert ((await house.row()).state, (await house.row()).unit_gross) == ("active", 599)
        assert (await house.view()).needs_consent == 600
        await house.live_until(on(2028, 9, 1, 12))
        row = await house.row()
        assert (row.state, row.off_reason, row.ended_at) == ("ended", "no_consent", on(2028, 9))
        paid = await house.rows("select amount from payment")
        assert [amount for (amount,) in paid] == [599] * 21
        assert await house.one("select count(*) from refund") == 0
        assert (await house.subscription()).status == "canceled"
        last = row.period_end
        assert last is not None
        assert (await house.answer("anna", "ola", last - timedelta(seconds=1))).reason == "paid"
        assert not (await house.answer("anna", "ola", last)).allowed
