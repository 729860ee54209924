"""The letter slot and the typed route are one truth: whatever is sent, both answer and keep the same."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TextIO, cast

import asyncpg
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import text

from billing.app import create_app
from billing.kernel.bodies import LONGEST
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.errors import Unavailable
from billing.wiring import build
from tests.entitlements.twins import Passed
from tests.gateway.world import START
from tests.overheard import counted, lines, whole
from tests.routes.house import settings_of
from tests.webhooks.conftest import SECRETS, event, kept, mail_room_of, route_of
from webhooks.keeping import Intake
from webhooks.signature import sign
from webhooks.slot import ROUTE, LetterSlot
from webhooks.translate import Head

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
Headers = list[tuple[bytes, bytes]]

ID: Final = (b"x-request-id", b"request-1")
STAMP: Final = int(START.timestamp())
PLACES: Final = "exception"
"""The field of a line that tells through which places a fault went: not the same on both ways."""
LONG: Final = event(filling="x" * (LONGEST - len(event(filling=""))))
BIG: Final = event(filling="x" * LONGEST)


class Refusing(Intake):
    """An inbox that says no after a while, and counts how often it was asked."""

    SECONDS = 0.05

    def __init__(self, database: Database, fault: Exception) -> None:
        super().__init__(database)
        self.times = 0
        self._fault = fault

    async def keep(self, head: Head, at: datetime) -> bool:
        """Says no."""
        self.times += 1
        await asyncio.sleep(self.SECONDS)
        raise self._fault


class Ways:
    """Both ways into one mail room."""

    def __init__(self, database: Database, clock: FixedClock, intake: Intake | None = None) -> None:
        mail_room = mail_room_of(database, clock)
        if intake is not None:
            mail_room = msgspec.structs.replace(mail_room, intake=intake)
        self.route, self.slot = route_of(mail_room), route_of(mail_room)
        self.passed = Passed(self.slot.asgi_handler)
        self.slot.asgi_handler = cast("Any", LetterSlot(self.passed, mail_room))


@pytest.fixture
def ways(database: Database, clock: FixedClock) -> Ways:
    return Ways(database, clock)


async def put(app: Litestar, parts: Sequence[bytes | None], headers: Headers, **changes: Any) -> Answer:
    """What a server would send for a body in these parts; None: the sender hangs up."""
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
             "path": ROUTE, "raw_path": ROUTE.encode(), "query_string": b"", "root_path": "", "headers": headers,
             "server": ("test", 80), "client": ("127.0.0.1", 4711)} | changes  # fmt: skip
    waiting = list(enumerate(parts, 1))
    sent: list[Any] = []

    async def receive() -> Any:
        number, part = waiting.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": number < len(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(cast("Any", scope), cast("Any", receive), send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], [(bytes(name), bytes(value)) for name, value in sent[0]["headers"]], body


def signed(body: bytes, *more: tuple[bytes, bytes], secret: str = SECRETS[0], stamp: int = STAMP) -> Headers:
    length = (b"content-length", b"%d" % len(body))
    return [(b"host", b"test"), ID, length, (b"stripe-signature", sign(body, secret, stamp)), *more]


PLAIN: Final[dict[str, tuple[Sequence[bytes | None], Headers]]] = {
    "as it comes": ([event()], signed(event())),
    "under the older secret": ([event()], signed(event(), secret=SECRETS[1])),
    "in parts": ([event()[:40], b"", event()[40:]], signed(event())),
    "of no announced length": ([event(), b""], [ID, signed(event())[3]]),
    "with two ids": ([event()], [(b"x-request-id", b"request-2"), *signed(event())]),
    "of another media type": ([event()], signed(event(), (b"content-type", b"text/plain"))),
    "as long as may be": ([LONG], signed(LONG)),
}
ODD: Final[dict[str, tuple[Sequence[bytes | None], Headers]]] = {
    "unsigned": ([event()], [ID]),
    "signed twice": ([event()], signed(event(), (b"stripe-signature", sign(event(), SECRETS[0], STAMP)))),
    "under no secret of ours": ([event()], signed(event(), secret="whsec_gone")),
    "of another time": ([event()], signed(event(), stamp=STAMP - 301)),
    "changed on its way": ([event() + b" "], signed(event())),
    "unreadable": ([b"[]"], signed(b"[]")),
    "empty": ([b""], signed(b"")),
    "of another mode": ([event(livemode=True)], signed(event(livemode=True))),
    "too long": ([BIG], signed(BIG)),
    "too long and of no announced length": ([BIG[:9], BIG[9:]], [ID, signed(BIG)[3]]),
    "announced as too long": ([event()], [ID, signed(event())[3], (b"content-length", b"%d" % (LONGEST + 1))]),
    "broken off": ([event()[:40], None], signed(event())),
}  # fmt: skip


@pytest.mark.parametrize("case", [*PLAIN, *ODD])
async def test_both_ways_answer_and_keep_the_same_and_tell_the_same_of_it(
    ways: Ways, database: Database, told: TextIO, case: str
) -> None:
    parts, headers = (PLAIN | ODD)[case]
    found: list[Any] = []
    for app in (ways.route, ways.slot):
        answer = await put(app, parts, list(headers))
        rows = [(row.id, row.type, row.body, row.state, row.note, row.due_at) for row in await kept(database)]
        found.append((answer, lines(told, PLACES), rows))
        async with database.begin() as session:
            await session.execute(text("truncate stripe_event"))
    assert found[0] == found[1]
    assert ways.passed.times == (case in ODD)
    assert (found[0][0][0] == 200) == bool(found[0][2])


@pytest.mark.parametrize(
    "changes", [{"method": "GET"}, {"method": "PUT"}, {"method": "OPTIONS"}, {"path": f"{ROUTE}/"}, {"path": "/other"}]
)
async def test_what_is_not_sent_to_this_address_is_not_even_read(ways: Ways, changes: dict[str, str]) -> None:
    answers = [await put(app, [event()], signed(event()), **changes) for app in (ways.route, ways.slot)]
    assert answers[0] == answers[1]
    assert ways.passed.times == 1


@pytest.mark.parametrize("fault", [Unavailable("Away."), asyncpg.CheckViolationError("odd")])
async def test_i21_i24_what_the_store_refuses_is_tried_once_and_told_as_the_route_tells_it(
    database: Database, clock: FixedClock, told: TextIO, fault: Exception
) -> None:
    intake = Refusing(database, fault)
    ways = Ways(database, clock, intake)
    found = [(await put(app, [event()], signed(event())), lines(told, PLACES)) for app in (ways.route, ways.slot)]
    assert found[0] == found[1]
    assert found[0][0][0] == (503 if isinstance(fault, Unavailable) else 500)
    assert (intake.times, ways.passed.times) == (2, 1)


async def test_a_no_is_logged_with_all_the_time_it_took(database: Database, clock: FixedClock, told: TextIO) -> None:
    ways = Ways(database, clock, Refusing(database, Unavailable("Away.")))
    await put(ways.slot, [event()], signed(event()))
    (line,) = whole(told)
    assert line["ms"] >= Refusing.SECONDS * 1000


async def test_an_event_is_counted_once_whichever_way_it_came(ways: Ways) -> None:
    kinds = [("POST", ROUTE, 200), ("POST", ROUTE, 400)]
    before = [counted(*kind) for kind in kinds]
    for app in (ways.route, ways.slot):
        await put(app, [event()], signed(event()))
        await put(app, [event()], [ID])
    assert [counted(*kind) for kind in kinds] == [times + 2 for times in before]


async def test_the_product_takes_events_in_at_the_slot(
    database: Database, database_url: str, clock: FixedClock
) -> None:
    services = build(settings_of(database_url, "redis://127.0.0.1:9/0", STRIPE_WEBHOOK_SECRETS=SECRETS[0]), clock=clock)
    app = create_app(services)
    assert isinstance(app.asgi_handler, LetterSlot)
    status, headers, body = await put(app, [event()], signed(event()))
    await services.close()
    assert (status, body, dict(headers)[b"x-content-type-options"]) == (200, b'{"received":true}', b"nosniff")
    assert [row.id for row in await kept(database)] == ["evt_1"]
