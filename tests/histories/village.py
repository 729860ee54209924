"""Many families in one database on one clock: real services, real PostgreSQL, Stripe's books, eight workers.

A block lives through its stories tick by tick. In a tick people act and the post brings events, all at the same time by
eight tasks; then the product's due work is done by as many. After the last tick the clock runs on until nothing is due.
"""

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
from sqlalchemy import text

from billing.catalog.values import Catalogue
from billing.checkout.placing import OfferChanged
from billing.kernel import outbox
from billing.kernel.clock import FixedClock
from billing.kernel.errors import BillingError, Unavailable
from billing.kernel.ids import new_id
from billing.kernel.tokens import token_hash
from billing.kernel.work import Work
from billing.sandbox.postgres import SUPERUSER, EmbeddedPostgres
from billing.wiring import _consumers, build
from tests.conftest import TEMPLATE
from tests.gateway.world import Hands, World
from tests.histories.direct import BASE, standin_in_memory
from tests.histories.quick import plug_in
from tests.histories.reducer import WARSAW, Deed, Order
from tests.histories.stories import TICKS, Step, Story, fate
from tests.services.house import House, settings
from tests.services.mailers import NoLetters
from webhooks.keeping import Intake
from webhooks.translate import HANDLED, head_of

WORKERS = 8
_PAGE = re.compile(r"/pay/(cs_[A-Za-z0-9_]+)")
_NOT_HERE = ("letters.", "invariants.", "trials.", "idempotency.", "accounts.", "reconcil", "ledger.")
"""Work that other suites prove: letters, trials, closing of months, comparing with Stripe."""

_SOON, _LATER, LAST = timedelta(minutes=2), timedelta(hours=5), timedelta(hours=49)
BEGINNINGS = (
    datetime(2026, 9, 1, 10, tzinfo=WARSAW),
    datetime(2026, 9, 1, 10, tzinfo=WARSAW),
    datetime(2026, 10, 24, 22, tzinfo=WARSAW),
    datetime(2027, 5, 31, 21, tzinfo=WARSAW),
    datetime(2027, 6, 20, 9, tzinfo=WARSAW),
)
"""An ordinary day, the night the clock goes back, the last evening of sales, the next season sold before it begins."""

FOUND = """
with family as (select * from unnest(cast(:accounts as text[]), cast(:pupils as text[]), cast(:schools as text[]))
    as f (account, pupil, school)),
a as (insert into account (account, email, locale, kind, age_band, created_at, confirmed_at, first_confirmed_at)
    select distinct account, account || '@rodzice.example', 'pl', 'guardian', 'adult', now.at, now.at, now.at
    from family, (select cast(:at as timestamptz) as at) now),
e as (insert into entitlement_account select distinct account from family returning account),
p as (insert into entitlement_pupil select distinct pupil, school from family returning pupil)
select (select count(*) from e), (select count(*) from p)
"""
LINK = """insert into entitlement_link (account, pupil, linked_at)
    select account, pupil, cast(:at as timestamptz)
    from unnest(cast(:accounts as text[]), cast(:pupils as text[])) as f (account, pupil)"""
TOKEN = """insert into activation_link (id, token_hash, account, pupils, issued_at, expires_at)
    values (:id, :hash, :account, :pupils, :at, :until)"""


Act = Callable[["Village", Story, Step], Awaitable[None]]


class Village:
    """One block: what has happened, to whom each of Stripe's objects belongs, what was done when."""

    def __init__(self, house: House, stories: Iterable[Story], seed: int, block: int) -> None:
        self.house = house
        self.stories = {story.number: story for story in stories}
        self.seed = seed
        self.chance = Random(f"{seed}/{block}")
        self.standin = house.world.standin
        self.store = self.standin._store
        self.wire = plug_in(house.services.gateway, self.standin)
        self.wire.faults = self._fault
        self.intake = Intake(house.database)
        self.breaks: list[Any] = []
        self.pages: dict[tuple[int, int], str] = {}
        self.owner: dict[str, int] = {}
        self.orders: dict[str, Order] = {}
        self.deeds: list[Deed] = []
        self.ended: dict[str, datetime] = {}
        self.wrong: list[tuple[int, str]] = []
        self.shown: dict[int, str] = {}
        self.post: dict[int, list[bytes]] = {}
        self.tick = 0
        self._heard = 0
        self._seen: dict[tuple[int, str], int] = {}
        self.deliveries = 0
        self.refused: Counter[str] = Counter()
        quiet = outbox.relay(house.database, _without_letters(house.catalogue))
        works = [work for work in house.works if not work.name.startswith(_NOT_HERE)]
        self.works = [quiet if work.name == quiet.name else work for work in works]

    # Life

    async def live(self, act: Act) -> None:
        """From the founding to the last quiet day; `act` does one step."""
        await self._found()
        handle = next(work for work in self.works if work.name == "webhooks.handle")
        for self.tick in range(TICKS):
            jobs: deque[Callable[[], Awaitable[object]]] = deque()
            for story in self.stories.values():
                for buyer in (0, 1):
                    steps = [step for step in story.steps if (step.tick, step.buyer) == (self.tick, buyer)]
                    if steps:
                        jobs.append(lambda story=story, steps=steps: self._do(act, story, steps))
            jobs.extend(self._brought())
            jobs.extend((lambda: handle.run(self.house.now)) for _ in range(len(jobs) // 40))
            shuffled = list(jobs)
            self.chance.shuffle(shuffled)
            await self._all(deque(shuffled))
            await self._settle(everything=self.chance.random() < 0.15)
            self._pass(self.chance.choice((_SOON, _LATER, timedelta(hours=26), timedelta(hours=26))))
        for span in (timedelta(hours=1), timedelta(hours=25), LAST):
            self.tick += 1
            self._pass(span)
            if span == LAST:
                self.breaks.clear()  # what breaks now would be tried again after the end
            await self._settle(everything=True)

    async def _found(self) -> None:
        at = self.house.now
        rows = [
            (f"h{n}a{buyer}", f"h{n}p{pupil}", f"h{n}s")
            for n, story in self.stories.items() for buyer in (0, 1) for pupil in range(story.pupils)
        ]  # fmt: skip
        accounts, pupils, schools = zip(*rows, strict=True)
        links = [
            {"id": new_id(at), "hash": token_hash(self.token(n, step)), "account": f"h{n}a{step.buyer}",
             "pupils": [f"h{n}p{pupil}" for pupil in step.pupils], "at": at, "until": at + timedelta(days=14)}
            for n, story in self.stories.items() for step in story.steps if step.what == "click"
        ]  # fmt: skip
        unique = list({link["hash"]: link for link in links}.values())
        async with self.house.database.begin() as session:
            given = {"accounts": list(accounts), "pupils": list(pupils), "schools": list(schools), "at": at}
            await session.execute(text(FOUND), given)
            await session.execute(text(LINK), {"accounts": list(accounts), "pupils": list(pupils), "at": at})
            if unique:
                await session.execute(text(TOKEN), unique)
        for n in self.stories:
            if n % 8 == 0:
                await self.house.link(f"h{n}a0", f"h{n}p0")

    @staticmethod
    def token(number: int, step: Step) -> str:
        return f"h{number}b{step.buyer}p{'-'.join(map(str, step.pupils))}".ljust(32, "x")

    async def _do(self, act: Act, story: Story, steps: list[Step]) -> None:
        for step in steps:
            try:
                await act(self, story, step)
            except BillingError as fault:
                self.refused[f"{step.what} {fault.code}"] += 1
            except Exception as fault:  # noqa: BLE001 - told with the history
                self.wrong.append((story.number, f"tick {step.tick} {step.what}: {type(fault).__name__}: {fault}"))

    async def click(self, story: Story, step: Step) -> None:
        """The button on the offer's page, as it looked to others who bought as much."""
        token, count = self.token(story.number, step), len(step.pupils)
        shown = self.shown.get(count) or await self.house.offer(token)
        self.shown[count] = shown
        try:
            url = await self.house.click(token, shown=shown)
        except OfferChanged:
            self.shown.pop(count, None)
            url = await self.house.click(token)
        found = _PAGE.search(url)
        if found is None:
            return
        page: Any = self.store.get(found[1])
        self.pages[story.number, step.page] = found[1]
        self.owner[found[1]] = story.number
        name = page["metadata"]["order"]
        if name not in self.orders:
            (row,) = await self.house.rows("select pupils, unit_gross from orders where session_id = :id", id=found[1])
            asked = {f"h{story.number}p{pupil}" for pupil in step.pupils}
            if not set(row.pupils) <= asked or page["amount_total"] != row.unit_gross * len(row.pupils):
                self.wrong.append((story.number, f"R48 {name}: asked for {asked}, ordered {row.pupils}"))
            self.orders[name] = Order(
                name, f"h{story.number}a{step.buyer}", tuple(row.pupils), row.unit_gross, self.house.now
            )

    def _fault(self, method: str, path: str, key: str | None) -> Any:
        return self.breaks.pop() if self.breaks and method == "POST" else "normal"

    # The post

    def listen(self) -> None:
        """Take from Stripe what it has to say, and let fate do with it."""
        query = "SELECT seq, id, type, body FROM events WHERE seq > ? ORDER BY seq"
        for seq, event, kind, body in self.store.rows(query, self._heard):
            self._heard = seq
            state = "succeeded"
            if kind in HANDLED:
                number = self._owner_of(body)
                nth = self._seen[number, kind] = self._seen.get((number, kind), -1) + 1
                after = fate(self.seed, number, kind, nth).after
                state = "succeeded" if after else "failed"
                for ticks in after:
                    self.post.setdefault(self.tick + ticks, []).append(body.encode())
            self.store.run("UPDATE deliveries SET state = ?, due = NULL WHERE event = ?", state, event)

    def _owner_of(self, body: str) -> int:
        for found in re.findall(r'"((?:cs|pi)_[A-Za-z0-9_]+)"', body):
            if found in self.owner:
                return self.owner[found]
        return -1

    def _brought(self) -> list[Callable[[], Awaitable[object]]]:
        bodies = self.post.pop(self.tick, [])
        self.chance.shuffle(bodies)
        self.deliveries += len(bodies)
        return [lambda body=body: self._take_in(body) for body in bodies]

    async def _take_in(self, body: bytes) -> None:
        """As the door does it: what comes in together is written together; who is told so comes again."""
        head, is_kept = head_of(body, expects_livemode=False), False
        while not is_kept:
            with suppress(Unavailable):
                await self.intake.keep(head, self.house.now)
                is_kept = True

    # Time and work

    def _pass(self, span: timedelta) -> None:
        self.house.stand_at(self.house.now + span)
        while self.standin._pass_time():
            pass

    async def _all(self, jobs: deque[Callable[[], Awaitable[object]]]) -> None:
        async def worker() -> None:
            while jobs:
                await jobs.popleft()()

        await asyncio.gather(*(worker() for _ in range(WORKERS)))

    async def _settle(self, *, everything: bool) -> None:
        """Do what is due until nothing is: what the doorbell rings for, or all."""
        now: list[Work] = []
        for _ in range(60):
            self.listen()
            brought = self._brought()
            await self._all(deque(brought))
            async with self.house.database.begin() as session:
                due = [(work, await work.next_due(session)) for work in self.works]
            now = [work for work, at in due if at is not None and at <= self.house.now]
            if not everything:
                now = [work for work in now if work.name not in {"checkout.sweep", "webhooks.catch_up"}]
            if not now and not brought:
                return
            for work in now:
                many = WORKERS if work.name == "webhooks.handle" else 2
                await asyncio.gather(*(work.run(self.house.now) for _ in range(many)))
        names = sorted(work.name for work in now)
        self.wrong.append((-1, f"something stays due whatever is done: {names}"))


@asynccontextmanager
async def village(
    postgres: EmbeddedPostgres, name: str, stories: Iterable[Story], seed: int, block: int
) -> AsyncGenerator[Village]:
    """A village on a database of its own, which is gone afterwards."""
    link = await asyncpg.connect(user=SUPERUSER, database="postgres", host=str(postgres.socket_folder))
    await link.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    clock = FixedClock(BEGINNINGS[block % len(BEGINNINGS)].astimezone(UTC))
    hands = Hands(clock.now())
    standin = standin_in_memory(hands)
    services = build(settings(f"{postgres.url(name)}&prepared_statement_cache_size=1000", BASE, 1), clock=clock)
    # Eight at once with eight events each outnumber the connections: under load they wait, and do not fail.
    cast("Any", services.database.engine.pool)._timeout = 600
    try:
        world = cast("World", SimpleNamespace(hands=hands, standin=standin))  # what a village needs of it: no sockets
        yield Village(House(services, world, NoLetters(), 1, clock), stories, seed, block)
    finally:
        await services.close()
        standin.close()
        await link.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await link.close()


def _without_letters(catalogue: Catalogue) -> dict[str, tuple[outbox.Consumer, ...]]:
    """Letters are proved elsewhere, and are half of the work."""
    return {
        kind: tuple(consumer for consumer in consumers if not consumer.__module__.startswith("billing.notices"))
        for kind, consumers in _consumers(catalogue).items()
    }
