"""A season's busiest weeks do not fit in memory: books are compared in parts, and what is found is what was there."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from billing.payments.gateway_books import BookedCharge, BookedPage
from billing.reconciliation.reading import Scope, in_spans, newest_first
from billing.reconciliation.values import Span
from tests.reconciliation.looking import bend, look, open_cases, payment_of, refund_by_hand, silence, tell
from tests.services.house import House

T = TypeVar("T")
START = datetime(2026, 9, 1, tzinfo=UTC)
SECONDS = st.lists(st.integers(0, 20), max_size=30)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def page(number: int, second: int) -> BookedPage:
    empty: dict[str, Any] = dict.fromkeys(("reference", "order", "amount", "currency", "payment_id", "payment_status"))
    return BookedPage(session_id=f"cs_{number}", status="open", created_at=at(second), **empty)


def charge(number: int, second: int) -> BookedCharge:
    empty: dict[str, Any] = dict.fromkeys(("order", "payment_id"))
    return BookedCharge(
        charge_id=f"ch_{number}", amount=1, amount_refunded=0, currency="PLN", created_at=at(second), **empty
    )


async def told(found: Iterable[T]) -> AsyncIterator[T]:
    for each in found:
        yield each


@given(SECONDS, SECONDS, st.integers(1, 8))
async def test_parts_are_the_whole_each_thing_in_its_span_and_no_part_much_too_large(
    pages: list[int], charges: list[int], most: int
) -> None:
    ours = [page(number, second) for number, second in enumerate(sorted(pages, reverse=True))]
    theirs = [charge(number, second) for number, second in enumerate(sorted(charges, reverse=True))]
    span = Span(at(0), at(21))
    parts = [part async for part in in_spans(newest_first(told(ours), told(theirs)), span, most)]
    found = [each for _, part in parts for each in part]
    assert [each for each in found if isinstance(each, BookedPage)] == ours
    assert [each for each in found if isinstance(each, BookedCharge)] == theirs
    for within, part in parts:
        assert all(within.since <= each.created_at < within.until for each in part)
        in_last_second = sum(each.created_at == part[-1].created_at for each in part) if part else 0
        assert len(part) - in_last_second < most, "those of one second stay together"
    edges = [part.until for part, _ in parts] + [span.since]
    assert edges[0] == span.until
    assert [part.since for part, _ in parts] == edges[1:], "no instant is left out"


async def busy(house: House) -> None:
    """Money that is known, unheard of, of another amount, gone, and not ours; some went back, some is argued over."""
    names = ("known", "back", "argued", "bent", "gone")
    for name in names:
        await house.family(name, f"{name}-p")
        await house.buy(name, f"{name}-p", method="card")
        await house.advance(house.now + timedelta(minutes=7))
    charges = {name: (await payment_of(house, name)).charge for name in names}
    await silence(house)
    for name in ("unheard", "left"):
        await house.family(name, f"{name}-p")
        url = await house.click(await house.token(name, f"{name}-p"))
        house.stand_at(house.now + timedelta(minutes=7))
        if name == "unheard":
            await house.pay(url)
    await refund_by_hand(house, charges["back"], 100)
    await house.world.control(f"charges/{charges['argued']}/dispute", {"outcome": "opened"})
    bend(house, "charge", charges["bent"], amount=4399, amount_captured=4399)
    house.world.standin._store.remove(charges["gone"])
    await house.world.paid()
    await house.world.paid(payment_intent_data={"metadata": {"order": "ord_01kd0000000000000000000000"}})


async def test_parts_of_any_size_tell_what_the_whole_tells_and_no_case_comes_and_goes(house: House) -> None:
    await busy(house)
    scope = Scope(since=house.now - timedelta(days=3), with_open=True)
    whole = await tell(house, scope)
    kinds = sorted(each.kind for each in whole.findings)
    assert kinds == [
        "amount_differs", "dispute_unseen", "missing_there", "paid_not_here", "refund_made_there", "unknown_here",
    ]  # fmt: skip
    for at_once in (1, 2, 5):
        parts = await tell(house, msgspec.structs.replace(scope, at_once=at_once))
        assert (parts.findings, parts.foreign, parts.abandoned) == (whole.findings, whole.foreign, whole.abandoned)
    one_by_one = msgspec.structs.replace(scope, at_once=1)
    found = await look(house, one_by_one)
    assert (found.counts.granted, found.opened, len(await open_cases(house))) == (1, 5, 5)
    for again in (one_by_one, scope):
        found = await look(house, again)
        assert (found.done, found.opened, found.settled) == ((), 0, 0)
    bend(house, "charge", (await payment_of(house, "bent")).charge, amount=4499, amount_captured=4499)
    assert (await look(house, one_by_one)).settled == 1
