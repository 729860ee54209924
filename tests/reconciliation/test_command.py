"""`billing reconcile`: tells without writing, acts when asked, and says by its exit code whether anything differs."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from billing.kernel.clock import SharedClock
from tests.cli.tool import Ran, billing
from tests.gateway.world import KEY
from tests.reconciliation.looking import audit_count, open_cases, payment_of, refund_by_hand, silence
from tests.services.conftest import BEGIN, opened
from tests.services.house import House


class Lived:
    """A house on a loop of its own, so that the tool, which has its own loop too, can run beside it."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.database_url = database_url
        self.clock = folder / "clock"
        SharedClock(self.clock).hold(BEGIN)
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._context = opened(database_url, folder)
        self.house: House = self.do(self._context.__aenter__())

    def do(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(120)

    def reconcile(self, *argv: str) -> Ran:
        SharedClock(self.clock).hold(self.house.now)
        return billing(
            "reconcile", *argv, DATABASE_URL=self.database_url, STRIPE_API_BASE=self.house.world.base,
            STRIPE_API_KEY=KEY, CLOCK_FILE=str(self.clock),
        )  # fmt: skip

    def close(self) -> None:
        self.do(self._context.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def lived(database_url: str, tmp_path: Path) -> Iterator[Lived]:
    made = Lived(database_url, tmp_path)
    yield made
    made.close()


async def paid_in_silence(house: House) -> None:
    await house.family("anna", "p1")
    await house.family("jan", "p2")
    await house.buy("jan", "p2", method="card")
    await silence(house)
    await house.pay(await house.click(await house.token("anna", "p1")))


async def returned_by_hand(house: House) -> str:
    return await refund_by_hand(house, (await payment_of(house, "jan")).charge)


def test_it_tells_without_writing_and_acts_when_asked(lived: Lived) -> None:
    house = lived.house
    assert lived.reconcile().code == 0, "nothing is there"
    lived.do(paid_in_silence(house))
    before = lived.do(audit_count(house))
    told = lived.reconcile()
    assert (told.code, lived.do(audit_count(house))) == (1, before)
    assert "paid_not_here" in told.out
    assert "would be done" in told.out
    assert lived.do(house.one("select count(*) from reconciliation_run")) == 0
    done = lived.reconcile("--apply")
    assert done.code == 0, done.err
    assert "1 granted" in done.out
    assert lived.do(house.rows("select kind, state, granted from reconciliation_run")) == [("on_demand", "done", 1)]
    assert lived.reconcile().code == 0


def test_findings_are_open_until_somebody_decides(lived: Lived) -> None:
    house = lived.house
    lived.do(paid_in_silence(house))
    lived.reconcile("--apply")
    refund = lived.do(returned_by_hand(house))
    told = lived.reconcile("--account", "jan")
    assert (told.code, lived.do(open_cases(house))) == (1, [])
    assert str(refund) in told.out
    assert "take_on_refund" in told.out
    assert lived.reconcile("--account", "anna").code == 0
    for _ in range(2):
        assert lived.reconcile("--account", "jan", "--apply").code == 1
        (case,) = lived.do(open_cases(house))
        assert case[1] == "manual_change_at_stripe"
    house.stand_at(house.now + timedelta(days=2))
    assert lived.reconcile("--since", "2026-09-02").code == 0, "it was on the first"
    assert lived.reconcile("--since", "2026-09-01").code == 1


def test_what_cannot_be_meant_is_refused(lived: Lived) -> None:
    for argv in (["--since", "tomorrow"], ["--since", "2026-09-01", "--account", "a"], ["--nonsense"]):
        told = lived.reconcile(*argv)
        assert (told.code, told.out) == (2, ""), argv


def test_while_stripe_does_not_answer_it_fails_and_says_so(lived: Lived) -> None:
    lived.do(lived.house.world.control("faults", {"api": "error_500"}))
    told = lived.reconcile("--apply")
    assert (told.code, told.out) == (1, "")
    assert "ProviderUnknown" in told.err
    assert lived.do(lived.house.rows("select state, fault from reconciliation_run")) == [("failed", "ProviderUnknown")]
    lived.do(lived.house.world.control("faults", {"api": "normal"}))
