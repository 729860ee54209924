"""Snapshot = truth = model: random histories, with followers cut off, restarts and moved clocks (I05, I07)."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from entitlements import service
from entitlements.decision import decide_all
from entitlements.facts import EndReason, Grant, Source
from entitlements.reader import FactsReader
from tests.entitlements.conftest import FEATURES
from tests.entitlements.machines import ADD_ONS, AT, Machine, caught_up
from tests.entitlements.modelled import Modelled

pytestmark = pytest.mark.anyio

_CUT = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'billing-feed'"
_REASONS: list[EndReason | None] = [None, "refunded", "withdrawn"]
_SOURCES: list[tuple[Source, bool]] = [("trial", False), ("trial", True), ("paid", True)]


class History:
    """Random writes, told to the database and to the model alike."""

    def __init__(self, seed: int, database: Database) -> None:
        self.dice = random.Random(seed)
        self.model = Modelled()
        self.database = database
        self.at = AT
        self.origins = ["sub_none"]

    async def step(self) -> None:
        """One unit of work with one to three writes; some are rolled back."""
        dice = self.dice
        self.at += timedelta(seconds=dice.choice([1, 60, 86_400]), microseconds=dice.randrange(10**6))
        account, pupil = f"a{dice.randrange(6)}", f"p{dice.randrange(8)}"
        school = dice.choice([None, "sp1", "sp2"])
        async with self.database.begin() as session:
            match dice.randrange(10):
                case 0 | 1 | 2:
                    await service.put_account(session, account)
                    await service.put_link(session, account, pupil, school, self.at)
                    self.model.put_account(account)
                    self.model.put_link(account, pupil, school, self.at)
                case 3:
                    await service.drop_link(session, account, pupil)
                    self.model.drop_link(account, pupil)
                case 4:
                    await service.remove_account(session, account)
                    self.model.remove_account(account)
                case 5:
                    blocked = dice.sample(ADD_ONS, dice.randrange(3))
                    await service.put_school_blocks(session, school or "sp1", blocked, self.at)
                    self.model.put_school_blocks(school or "sp1", blocked, self.at)
                case 6:
                    is_on = dice.random() < 0.5
                    await service.set_notice_pending(session, account, [pupil], pending=is_on)
                    self.model.set_notice_pending(account, pupil, pending=is_on)
                case _:
                    await self._grant(session, pupil)

    async def _grant(self, session: AsyncSession, pupil: str) -> None:
        dice, at = self.dice, self.at
        end = dice.choice([None, at + timedelta(days=dice.randrange(1, 90))])
        origin = dice.choice(self.origins)
        match dice.randrange(6):
            case 0:
                reason: EndReason | None = dice.choice(_REASONS)
                await service.end_grants(session, origin, at, reason)
                self.model.end_grants(origin, at, reason)
            case 1:
                end = at + timedelta(days=100)
                await service.move_end(session, origin, end, bound=True)
                self.model.move_end(origin, end, bound=True)
            case 2:
                await service.remove_grants(session, origin)
                self.model.remove_grants(origin)
            case _:
                self.origins.append(f"trl_{len(self.origins)}")
                source, bound = dice.choice(_SOURCES)
                features = frozenset(dice.sample(ADD_ONS, dice.randrange(1, 3)))
                await service.add_grant(
                    session, pupil=pupil, source=source, origin=self.origins[-1], features=features,
                    since=at, until=end, at=at, bound=bound,
                )  # fmt: skip
                self.model.add_grant(pupil, Grant(source, self.origins[-1], features, at, end, bound))


@pytest.mark.parametrize("seed", range(3))
async def test_snapshot_truth_and_model_agree_through_random_writes_losses_and_restarts(
    machine: Machine, database: Database, seed: int
):
    ours, writing = machine.process()
    others, _ = machine.process()
    history = History(seed, writing)
    names = [f"a{number}" for number in range(6)]
    dice = random.Random(-seed)
    for step in range(60):
        await history.step()
        one = dice.choice(names)
        assert await ours.account(one) == history.model.facts(one), "its own writes are seen at once"
        if dice.random() < 0.1:
            async with database.begin() as session:
                await session.execute(text(_CUT))
        if step % 25 == 20:
            await others.close()
            others.open()
        if step % 3:
            continue
        await caught_up(others)
        truth = await FactsReader(database).accounts(names)
        expected = {name: facts for name in names if (facts := history.model.facts(name))}
        told_now = {name: facts for name in names if (facts := others.at_hand(name))}
        assert truth == expected
        assert told_now == expected
        now = history.at + timedelta(days=dice.randrange(-5, 200))
        for name, facts in expected.items():
            told = others.at_hand(name)
            assert told is not None
            pairs = zip(told.pupils, facts.pupils, strict=True)
            for mine, theirs in pairs:
                assert decide_all(FEATURES, mine, "mobile", now, now) == decide_all(
                    FEATURES, theirs, "mobile", now, now
                )
