"""Leading the product through time: from due instant to due instant, until nothing is due any more.

The clock is held while time is led. Work is done here as well as by the workers, whoever claims it first; so a drain
needs nobody's speed, and is over only when nobody is in the middle of anything.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from billing.kernel.attendance import Attendance
from billing.kernel.clock import SharedClock
from billing.kernel.db import Database
from billing.kernel.errors import BillingError
from billing.kernel.settings import load
from billing.kernel.work import Work
from billing.sandbox.survey import Survey
from billing.wiring import build

_MOST_PASSES = 10_000
_A_STEP = timedelta(milliseconds=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


class Deliveries(Protocol):
    """Who has messages of its own to deliver: Stripe's stand-in."""

    async def deliver_due(self) -> int:
        """Deliver what is due; answers how many."""
        ...

    def next_due(self) -> datetime | None:
        """When the next is due."""
        ...


class Stuck(BillingError):
    """Something stays due whatever is done."""

    code = "internal_error"


class Conductor:
    """One at a time leads; a second waits."""

    def __init__(
        self, clock: SharedClock, database: Database, works: Sequence[Work], attendance: Attendance, stripe: Deliveries
    ) -> None:
        self._clock = clock
        self._survey = Survey(database)
        self._works = works
        self._attendance = attendance
        self._stripe = stripe
        self._leading = asyncio.Lock()

    def now(self) -> datetime:
        """The shared clock's instant."""
        return self._clock.now()

    async def drain(self) -> dict[str, int]:
        """Do all that is due now; answers when nothing is left, with how many pieces of each kind were done here."""
        async with self._leading:
            ran: Counter[str] = Counter()
            self._clock.stop()
            try:
                await self._settle(ran)
            finally:
                self._clock.release()
            return dict(sorted(ran.items()))

    async def advance(self, to: datetime) -> dict[str, int]:
        """Move to `to`, and let everything that falls due on the way run at its time."""
        async with self._leading:
            ran: Counter[str] = Counter()
            self._clock.stop()
            try:
                due = await self._settle(ran)
                while due is not None and due <= to:
                    self._clock.hold(max(due, self._clock.now() + _A_STEP))
                    due = await self._settle(ran)
                self._clock.hold(max(to, self._clock.now()))
                await self._settle(ran)
            finally:
                self._clock.release()
            return dict(sorted(ran.items()))

    async def _settle(self, ran: Counter[str]) -> datetime | None:
        """Until nothing is due at the held instant and nobody is in the middle of something; answers when next
        something falls due."""
        was_quiet = False
        for _ in range(_MOST_PASSES):
            done = await self._stripe.deliver_due()
            ran["stripe.deliver"] += done
            survey = await self._survey.of(self._works)
            due = [work for work, at in survey if at <= self._clock.now()]
            for work in due:
                ran[work.name] += await work.run(self._clock.now())
            following = [at for _, at in survey] + [at for at in (self._stripe.next_due(),) if at is not None]
            if due or done or min(following, default=_NEVER) <= self._clock.now():
                was_quiet = False
            elif was_quiet:
                return min(following, default=None)
            else:
                await self._attendance.all_finished()
                was_quiet = True
        raise Stuck("Something stays due whatever is done.")


def create_conductor(clock: SharedClock, stripe: Deliveries) -> Conductor:
    """A conductor on the services that this process's environment names."""
    services = build(load(), clock=clock)
    if services.attendance is None:
        raise Stuck("The sandbox needs a clock that can be moved (BILLING_CLOCK_FILE).")
    return Conductor(clock, services.database, services.works, services.attendance, stripe)
