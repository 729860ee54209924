"""Everything that time does to what renews, done by eight workers at the very same instant (I01, I11, I12, I18, R65).

One database, real letters, real charges: told of and charged, not told of and released, declined and in grace, turned
off, paused, dearer without a yes; with every third event lost, so that looks and the catch-up find it. Each due work is
run by all eight at once, in orders of their own.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest

from billing.invariants import service as invariants
from billing.kernel.clock import FixedClock
from billing.kernel.work import Work
from billing.sandbox.mailbox import Mailbox
from billing.wiring import build
from tests.gateway.world import World
from tests.renewals.house import RenewingHouse, catalogue_file
from tests.services.conftest import NIGHTS, standing
from tests.services.house import settings

WORKERS = 8
FIRST_END = datetime(2026, 10, 1, 8, tzinfo=UTC)
SECOND_END = datetime(2026, 11, 1, 8, tzinfo=UTC)
GRACE_OVER = datetime(2026, 10, 7, 22, tzinfo=UTC)
FATES = ("told", "untold", "declined", "off", "undone", "paused", "healed", "told")


class Crowd:
    """Eight workers about one house. `ran` counts who did how much of each work."""

    def __init__(self, house: RenewingHouse, seed: int) -> None:
        self.house = house
        self.chance = Random(seed)
        self.ran: Counter[str] = Counter()
        self.heard = 0

    async def _worker(self, due: list[Work]) -> int:
        mine, done = list(due), 0
        self.chance.shuffle(mine)
        for work in mine:
            done += await work.run(self.house.now)
            self.ran[work.name] += 1
        return done

    async def _take_events(self) -> int:
        """Two of three events arrive, each twice, at the same time."""
        await self.house.world.standin.deliver_due()
        fresh = self.house.world.receiver.letters[self.heard :]
        self.heard += len(fresh)
        kept = [letter for letter in fresh if self.chance.random() < 2 / 3]
        await asyncio.gather(*(self.house.keep_event(letter.body) for letter in kept for _ in range(2)))
        return len(kept)

    async def settle(self, without: Collection[str] = ()) -> datetime | None:
        """As of a house, by all at once."""
        for _ in range(200):
            came = await self._take_events()
            known = await self.house._instants(without)
            due = [work for work, at in known if at <= self.house.now]
            done = await asyncio.gather(*(self._worker(due) for _ in range(WORKERS)))
            if not came and not due and not sum(done):
                theirs = self.house.world.standin.next_due()
                return min((at for at in (*(at for _, at in known), theirs) if at), default=None)
        raise AssertionError("something stays due whatever is done")

    async def live(self, to: datetime) -> None:
        while (at := await self.settle()) is not None and at <= to:
            self.house.stand_at(max(at, self.house.now + timedelta(milliseconds=1)))
        self.house.stand_at(to)
        await self.settle()


@asynccontextmanager
async def crowd(database_url: str, folder: Path, catalogue: Path, seed: int) -> AsyncGenerator[Crowd]:
    """Eight processes have eight pools; here they share one that is as large."""

    def make(world: World, mailbox: Mailbox, smtp_port: int, clock: FixedClock) -> RenewingHouse:
        wanted = settings(database_url, world.base, smtp_port)
        wanted = msgspec.structs.replace(wanted, catalog=str(catalogue), pool_size=120)
        return RenewingHouse(build(wanted, clock=clock), world, mailbox, smtp_port, clock)

    async with standing(folder, make) as house:
        house.works = tuple(work for work in house.works if work.name not in NIGHTS)
        yield Crowd(house, seed)


def account(number: int) -> str:
    return f"{FATES[number]}{number}"


async def begin(all_of_them: Crowd) -> dict[str, str]:
    """A family for each fate, all subscribed; answers whose order each is."""
    house = all_of_them.house
    urls: list[str] = []
    for number in range(len(FATES)):
        await house.family(account(number), f"p{number}", f"q{number}")
        urls.append(await house.begin(await house.token(account(number), f"p{number}", f"q{number}")))
    await asyncio.gather(*(house.pay(url, "card") for url in urls))
    await all_of_them.live(house.now + timedelta(minutes=30))
    return {row.order_id: row.account for row in await house.rows("select order_id, account from renewal")}


async def act(all_of_them: Crowd, act: str, *fates: str) -> None:
    """The same click by three tabs at once, for each family of these fates."""
    house = all_of_them.house
    rows = await house.rows("select id, account from renewal")
    keys = [row.id for row in rows if row.account.rstrip("0123456789") in fates]

    clicks = [house.press(act, key) for key in keys for _ in range(3)]
    await asyncio.gather(*clicks, all_of_them._worker(list(house.works)))
    await all_of_them.settle()


async def bank_says(all_of_them: Crowd, outcome: str, *fates: str) -> None:
    for row in await all_of_them.house.rows("select provider_id, account from renewal"):
        if row.account.rstrip("0123456789") in fates:
            path = f"subscriptions/{row.provider_id}/next_payment"
            await all_of_them.house.world.control(path, {"outcome": outcome})


def charges(house: RenewingHouse) -> Counter[str]:
    """How often each buyer was charged, by Stripe's own books."""
    store = house.world.standin._store
    return Counter(str(each["customer"]) for each in store.all_of("charge") if each["status"] == "succeeded")


async def books_agree(house: RenewingHouse) -> None:
    """One payment, sale and invoice for each charge there; no right twice; every invariant."""
    store = house.world.standin._store
    taken = sum(int(each["amount"]) for each in store.all_of("charge") if each["status"] == "succeeded")
    assert await house.one("select coalesce(sum(amount), 0) from payment") == taken
    assert await house.one("select coalesce(sum(gross), 0) from ledger_sale") == taken
    assert await house.one("select count(*) from renewal_invoice where fate = 'kept'") == sum(charges(house).values())
    assert await house.one("select count(*) from refund") == 0
    assert len(store.all_of("refund")) == 0
    rights = await house.rows("select pupil, count(*) from subscription group by 1")
    assert {count for _, count in rights} == {1}
    async with house.database.begin() as session:
        found = invariants.broken(await invariants.ask(session, house.now, settled=house.now + timedelta(seconds=1)))
    assert {each.title: each.rows for each in found} == {}


async def each_letter_once(house: RenewingHouse) -> None:
    charge = "select renewal_id, charge_at, days from renewal_told group by 1, 2, 3 having count(*) > 1"
    assert await house.rows(charge) == []
    again = await house.rows("select account, kind, about from letter group by 1, 2, 3 having count(*) > 1")
    assert again == []
    ids = Counter(letter.headers["Message-ID"] for letter in house.letters())
    assert [name for name, count in ids.items() if count > 1] == []
    handed = await house.one("select count(*) from letter where state = 'handed_over'")
    assert len(ids) == handed


async def acts_once(house: RenewingHouse) -> None:
    """One line of the audit trail for each thing that was done, and one call for each thing that was wanted."""
    twice = await house.rows(
        "select subject, action, at from audit where action in ('renewal.cleared', 'renewal.turned_off', "
        "'renewal.turned_on', 'renewal.paused', 'renewal.bound') group by 1, 2, 3 having count(*) > 1"
    )
    assert twice == []
    calls = await house.rows("select target from provider_intent where kind = 'renewal_set' and state = 'done'")
    assert [name for name, count in Counter(row.target for row in calls).items() if count > 1] == []
    assert await house.rows("select target from provider_intent where state in ('new', 'unknown')") == []
    sent = [
        (path, form)
        for method, path, form in house.world.standin._store.rows("SELECT method, path, form FROM requests")
        if method in {"POST", "DELETE"} and "/subscriptions/" in path
    ]
    assert len(sent) == len(calls)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [1, 2])
async def test_i01_i12_i18_r65_eight_workers_at_once_tell_charge_release_and_end_each_thing_once(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    async with crowd(database_url, tmp_path, catalogue_file(tmp_path), seed) as workers:
        house = workers.house
        assert len(await begin(workers)) == len(FATES)
        await workers.live(datetime(2026, 9, 10, 12, tzinfo=UTC))
        await act(workers, "turn_off", "off", "undone")
        await act(workers, "pause", "paused")
        house.misbehave("bounce", only_to=f"{account(1)}@rodzice.example")
        await workers.live(datetime(2026, 9, 27, 12, tzinfo=UTC))
        await act(workers, "turn_on", "undone")
        await bank_says(workers, "declined", "declined", "healed")
        await workers.live(FIRST_END + timedelta(hours=5))
        states = dict(await house.rows("select account, state from renewal"))
        assert {name.rstrip("0123456789"): state for name, state in states.items()} == {
            "told": "active", "untold": "ended", "declined": "past_due", "off": "ended", "undone": "active",
            "paused": "paused", "healed": "past_due",
        }  # fmt: skip
        assert (await house.answer(account(2), "p2")).reason == "grace"
        await bank_says(workers, "succeeded", "healed")
        await workers.live(GRACE_OVER + timedelta(hours=1))
        rows = {
            row.account: row for row in await house.rows("select account, state, off_reason, period_end from renewal")
        }
        ends = {name.rstrip("0123456789"): (row.state, row.off_reason, row.period_end) for name, row in rows.items()}
        assert ends == {
            "told": ("active", None, SECOND_END), "undone": ("active", None, SECOND_END),
            "healed": ("active", None, SECOND_END), "untold": ("ended", "no_notice", FIRST_END),
            "off": ("ended", "asked", FIRST_END), "paused": ("paused", None, FIRST_END),
            "declined": ("ended", "over", FIRST_END),
        }  # fmt: skip
        assert sorted(charges(house).values()) == [1, 1, 1, 1, 2, 2, 2, 2]
        assert not (await house.answer(account(2), "p2")).allowed
        await each_letter_once(house)
        await acts_once(house)
        await books_agree(house)
        assert min(workers.ran[name] for name in ("renewals.push", "renewals.guard", "renewals.look")) >= WORKERS
