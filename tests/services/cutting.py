"""Real parts that break once, at the n-th thing they do: before doing it, or after, so that nobody hears of it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.notices.letters_draft import Written
from billing.notices.mailer import DeliveryUnknown, Envelope, Mailer
from billing.notices.tasks import works as notice_works
from billing.payments.facts import ProviderUnknown
from billing.payments.gateway import Gateway
from billing.wiring import _works
from tests.services.house import House, settings
from tests.wire import Look, over_tcp

When = Literal["before", "after"]
_COMMIT = b"COMMIT;\0"
"""How asyncpg ends a transaction, in one message of its own."""


class LostAnswer(ProviderUnknown, DeliveryUnknown):
    """Nobody can say whether it was done."""

    def __init__(self) -> None:
        super().__init__("lost")


class Died(BaseException):
    """The process is gone: nothing in it may catch this."""


class Cut:
    """Counts what is done, and breaks at the n-th; `hit` says that it has."""

    def __init__(self, at: int, when: When, fault: Callable[[], BaseException]) -> None:
        self.at = at
        self.when = when
        self.fault = fault
        self.count = 0
        self.hit = ""

    def before(self, what: str) -> int:
        """About to do something; answers its number."""
        self.count += 1
        self._break(self.count, "before", what)
        return self.count

    def after(self, number: int, what: str) -> None:
        """Done; nobody has heard of it yet."""
        self._break(number, "after", what)

    def _break(self, number: int, when: When, what: str) -> None:
        if (number, when) == (self.at, self.when):
            self.hit = what
            raise self.fault()

    async def around(self, what: str, do: Callable[[], Awaitable[Any]]) -> Any:
        number = self.before(what)
        done = await do()
        self.after(number, what)
        return done


class CuttingGateway:
    """The gateway, whose n-th call breaks."""

    def __init__(self, inner: Gateway, cut: Cut) -> None:
        self._inner = inner
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        if not iscoroutinefunction(real):
            return real

        async def call(*given: Any, **named: Any) -> Any:
            return await self._cut.around(f"gateway.{name}", lambda: real(*given, **named))

        return call


class CuttingMailer:
    """The mailer, whose n-th letter breaks."""

    def __init__(self, inner: Mailer, cut: Cut) -> None:
        self._inner = inner
        self._cut = cut

    async def send(self, envelope: Envelope, written: Written) -> str:
        return await self._cut.around("mailer.send", lambda: self._inner.send(envelope, written))


class CuttingDatabase(Database):
    """The database, whose n-th unit of work breaks before or after its commit."""

    def __init__(self, url: str, cut: Cut) -> None:
        super().__init__(url)
        self._cut = cut

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncSession]:
        async with super().begin() as session:
            yield session
            number = self._cut.before("database.commit")
        self._cut.after(number, "database.commit")


@asynccontextmanager
async def sound(house: House, _cut: Cut) -> AsyncGenerator[Database]:
    """The house's own database, which does not break."""
    yield house.database


@asynccontextmanager
async def cutting(house: House, cut: Cut) -> AsyncGenerator[Database]:
    """A CuttingDatabase on the same tables."""
    database = CuttingDatabase(house.database.engine.url.render_as_string(hide_password=False), cut)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def cut_wire(house: House, cut: Cut) -> AsyncGenerator[Database]:
    """The same tables over a wire that breaks at a COMMIT: it never arrives, or it is done and nobody hears of it."""
    url = house.database.engine.url.render_as_string(hide_password=False)
    async with over_tcp(url, partial(_looks, cut), LostAnswer) as far:
        database = Database(far)
        try:
            yield database
        finally:
            await database.close()


def _looks(cut: Cut) -> tuple[Look, Look]:
    numbers = list[int]()

    def asked(piece: bytes) -> None:
        if piece.endswith(_COMMIT):
            numbers.append(cut.before("wire.commit"))

    def answered(_: bytes) -> None:
        if numbers:
            cut.after(numbers.pop(), "wire.commit")

    return asked, answered


class Fragile:
    """A house whose workers and web requests run on parts that break; time, people and Stripe are sound."""

    def __init__(self, house: House, cut: Cut, database: Database) -> None:
        services = house.services
        self.database = database
        gateway: Any = CuttingGateway(services.gateway, cut)
        self.gateway: Gateway = gateway
        stripe, port = house.world.base, house.smtp_port
        works = _works(settings("", stripe, port), self.database, gateway, services.catalogue, services.site)
        office = house.office(CuttingMailer(house.smtp(), cut), self.database)
        letters = {work.name: work for work in notice_works(self.database, office, services.catalogue)}
        done_here = {work.name for work in house.works}
        house.works = tuple(letters.get(work.name, work) for work in works if work.name in done_here)
