"""One truth: the coalesced reader, the reader before it and the pure model agree on random facts, asked all at once."""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from billing.kernel.db import Database
from entitlements import answers
from entitlements.decision import Channel, decide, decide_all
from entitlements.facts import AccountFacts, EndReason, Grant, PupilFacts, Source
from entitlements.features import FeatureList
from entitlements.reader import FactsReader
from tests.entitlements.naive import NaiveFacts, NaiveGrant, answer, next_change
from tests.entitlements.plain import plainly_read

pytestmark = pytest.mark.anyio

FEATURES = FeatureList(basic=frozenset({"grades"}), add_ons=frozenset({"messages", "homework"}))
STEP = timedelta(minutes=7)
ACCOUNTS = 60
LAST = 40
REASONS = ["withdrawn", "refunded", "disputed", "payment_failed", "sponsorship_ended"]


class World:
    """Random accounts, pupils, grants and blocks: as the model knows them, and in the tables."""

    def __init__(self, seed: int, at: datetime) -> None:
        self.dice = random.Random(seed)
        self.at = at
        self.models: dict[str, NaiveFacts] = {}
        self.facts: dict[str, AccountFacts] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("account", "pupil", "link", "block", "grant")
        }
        self.numbers = 0

    def instant(self, tick: int) -> datetime:
        return self.at + tick * STEP

    def populate(self) -> None:
        blocked = {f"s{number}": self.dice.choice([None, None, self.dice.randrange(LAST)]) for number in range(6)}
        for school, since in blocked.items():
            if since is not None:
                self.rows["block"].append({"school": school, "feature": "messages", "since": self.instant(since)})
                self.rows["block"].append({"school": school, "feature": "elsewhere", "since": self.at})
        shared = [self._pupil(f"shared{number}", blocked) for number in range(5)]
        for number in range(ACCOUNTS):
            account = f"a{number}"
            own = [self._pupil(f"p{number}-{place}", blocked) for place in range(self.dice.choice([0, 1, 1, 1, 2, 3]))]
            pupils = sorted(
                [*own, *self.dice.sample(shared, self.dice.choice([0, 0, 1, 2]))], key=lambda _: self.dice.random()
            )
            self.rows["account"].append({"account": account})
            told: list[PupilFacts] = []
            for place, pupil in enumerate(pupils):
                pending = self.dice.random() < 0.3
                told.append(msgspec.structs.replace(pupil, notice_pending=pending))
                self.rows["link"].append(
                    {"account": account, "pupil": pupil.pupil, "at": self.instant(place), "pending": pending}
                )
            self.facts[account] = AccountFacts(account, tuple(told))

    def _pupil(self, name: str, blocked: dict[str, int | None]) -> PupilFacts:
        school = self.dice.choice([None, *blocked])
        since = None if school is None else blocked[school]
        self.rows["pupil"].append({"pupil": name, "school": school})
        given = [self._grant(name) for _ in range(self.dice.choice([0, 0, 1, 1, 2, 3, 6]))]
        self.models[name] = NaiveFacts([naive for naive, _ in given], since)
        blocks = {} if since is None else {"messages": self.instant(since), "elsewhere": self.at}
        return PupilFacts(name, tuple(real for _, real in given), blocks)

    def _grant(self, pupil: str) -> tuple[NaiveGrant, Grant]:
        dice, self.numbers = self.dice, self.numbers + 1
        source = dice.choice(["trial", "paid", "sponsored", "granted", "grace"])
        since = dice.randrange(LAST - 10)
        until = dice.choice([None, since, since + dice.randrange(1, 20)])
        bound = source != "trial" or dice.random() < 0.5
        end_reason = dice.choice([None, *REASONS]) if bound and until is not None else None
        origin, for_feature = f"grt_{self.numbers:05}", dice.random() < 0.8
        features = ["homework", "messages"] if for_feature else ["homework"]
        ends = None if until is None else self.instant(until)
        real = Grant(
            cast("Source", source), origin, frozenset(features), self.instant(since), ends, bound,
            cast("EndReason | None", end_reason),
        )  # fmt: skip
        self.rows["grant"].append(
            {"id": UUID(int=self.numbers), "pupil": pupil, "source": source, "origin": origin, "features": features,
             "since": real.since, "until": ends, "bound": bound, "reason": end_reason, "at": self.at}
        )  # fmt: skip
        return NaiveGrant(source, origin, since, until, bound, end_reason, for_feature=for_feature), real

    async def write(self, database: Database) -> None:
        into = {
            "account": "insert into entitlement_account values (:account)",
            "pupil": "insert into entitlement_pupil values (:pupil, :school)",
            "link": "insert into entitlement_link values (:account, :pupil, :at, :pending)",
            "block": "insert into entitlement_block values (:school, :feature, :since)",
            "grant": """insert into entitlement_grant (id, pupil, source, origin, features, since, until, bound,
            end_reason, created_at) values (:id, :pupil, :source, :origin, :features, :since, :until, :bound,
            :reason, :at)""",
        }
        async with database.begin() as session:
            for name, statement in into.items():
                if not self.rows[name]:
                    continue
                await session.execute(text(statement), self.rows[name])


def bytes_of(facts: AccountFacts, at: datetime, now: datetime) -> list[bytes]:
    """What a caller would be answered: every pupil and feature, and the account at once."""
    told: list[bytes] = []
    for channel in cast("tuple[Channel, ...]", ("mobile", "web")):
        pupils = tuple(
            answers.PupilAnswer(each.pupil, decide_all(FEATURES, each, channel, at, now)) for each in facts.pupils
        )
        told.append(answers.all_of(facts.account, channel, pupils, FEATURES.basic, None, at, now).body)
        told += [
            answers.one(facts.account, channel, decision, at, now).body for each in pupils for decision in each.features
        ]
    return told


@pytest.mark.parametrize("seed", range(4))
async def test_the_coalesced_reader_the_plain_one_and_the_model_agree_on_random_facts_i05(
    database: Database, at: datetime, seed: int
):
    world = World(seed, at)
    world.populate()
    await world.write(database)
    reader = FactsReader(database)
    names = [*world.facts, "nobody", *world.dice.sample(list(world.facts), 20)]
    together = await asyncio.gather(*(reader.account(name) for name in names))
    batch = await reader.accounts(names)
    compared = 0
    for name, facts in zip(names, together, strict=True):
        plain = await plainly_read(database, name)
        assert facts == plain == batch.get(name) == world.facts.get(name)
        for pupil in facts.pupils if facts is not None and plain is not None else ():
            for tick, later in ((world.dice.randrange(LAST), world.dice.randrange(LAST)) for _ in range(4)):
                decision = decide(FEATURES, pupil, "messages", "mobile", world.instant(tick), world.instant(later))
                model = world.models[pupil.pupil]
                said = (decision.allowed, decision.reason, frozenset(each.id for each in decision.sources))
                assert said == answer(model, tick, later)
                changes = next_change(model, tick, later)
                assert decision.valid_until == (None if changes is None else world.instant(changes))
                compared += 1
        if facts is not None and plain is not None:
            assert bytes_of(facts, at + 9 * STEP, at) == bytes_of(plain, at + 9 * STEP, at)
    assert compared > 200
