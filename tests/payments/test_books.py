"""Stripe's books as we read them: to the end of a list or an error, everybody's objects, to the grosz."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from billing.payments.facts import ListTooLong, ProviderUnknown, ProviderUnreadable
from billing.payments.gateway_books import Books
from billing.payments.stripe_books import StripeBooks
from billing.payments.stripe_gateway import StripeGateway
from tests.gateway.world import START, World
from tests.payments.orders import wanted
from tests.payments.test_gateway import pay

BEFORE, AFTER = START - timedelta(days=1), START + timedelta(days=30)

T = TypeVar("T")


async def read(told: AsyncIterator[T]) -> list[T]:
    """What comes newest first, oldest first."""
    return [each async for each in told][::-1]


async def test_pages_of_anybody_are_listed_as_they_stand(world: World, gateway: StripeGateway) -> None:
    books: Books = gateway.books
    ours = await gateway.open_checkout(wanted())
    await pay(world, ours.session_id)
    foreign = await world.session(client_reference_id="not-ours")
    refused = await world.session()
    await world.control(f"sessions/{refused.id}/pay", {"method": "p24", "outcome": "pending"})
    await world.control(f"sessions/{refused.id}/settle", {"outcome": "failed"})
    found = await read(books.pages(BEFORE, AFTER))
    assert [page.session_id for page in found] == [ours.session_id, foreign.id, refused.id]
    assert [page.payment_status for page in found] == ["paid", "unpaid", "unpaid"]
    assert [page.payment_failed for page in found] == [False, False, True]
    assert (found[0].reference, found[0].order, found[0].amount) == (ours.reference, ours.order, ours.amount_total)
    assert found[0].payment_id is not None
    assert (found[1].reference, found[1].order) == ("not-ours", None)


async def test_a_stretch_of_time_is_half_open(world: World, gateway: StripeGateway) -> None:
    first = await world.paid()
    world.hands.pass_by(hours=1)
    second = await world.paid()
    hour = timedelta(hours=1)
    charges = gateway.books.charges
    assert [charge.charge_id async for charge in charges(START, START + hour)] == [first.id]
    assert [charge.charge_id async for charge in charges(START + hour, AFTER)] == [second.id]
    assert [charge.charge_id async for charge in charges(BEFORE, AFTER)] == [second.id, first.id]
    assert await read(charges(BEFORE, START)) == []


async def test_charges_refunds_and_disputes_of_one_payment_are_told_whenever_they_were(
    world: World, gateway: StripeGateway
) -> None:
    page = await gateway.open_checkout(wanted())
    await pay(world, page.session_id, "card")
    facts = (await gateway.read_checkout(page.session_id)).payment
    assert facts is not None
    other = await world.paid()
    world.hands.pass_by(days=40)
    await world.client.v1.refunds.create_async({"charge": facts.charge_id, "amount": 100, "metadata": {"refund": "x"}})
    await world.control(f"charges/{facts.charge_id}/dispute", {"outcome": "opened"})
    about = await gateway.books.of_payment(facts.payment_id)
    (charge,), (refund,), (dispute,) = about.charges, about.refunds, about.disputes
    assert (charge.charge_id, charge.order, charge.amount_refunded, charge.disputed) == (
        facts.charge_id, page.order, 100, True,
    )  # fmt: skip
    assert (refund.payment_id, refund.amount, refund.state, refund.reference) == (
        facts.payment_id, 100, "succeeded", "x",
    )  # fmt: skip
    assert (dispute.payment_id, dispute.state, dispute.amount) == (facts.payment_id, "needs_response", charge.amount)
    now = START + timedelta(days=40)
    assert await gateway.books.refunds(now, AFTER + timedelta(days=30)) == (refund,)
    assert await gateway.books.disputes(now, AFTER + timedelta(days=30)) == (dispute,)
    assert other.id not in {each.charge_id for each in about.charges}


async def test_a_declined_try_is_no_money(world: World, gateway: StripeGateway) -> None:
    page = await gateway.open_checkout(wanted())
    await world.control(f"sessions/{page.session_id}/pay", {"method": "card", "outcome": "declined"})
    assert await read(gateway.books.charges(BEFORE, AFTER)) == []


async def test_r112_a_payout_and_its_lines_are_read_with_what_they_are_about(
    world: World, gateway: StripeGateway
) -> None:
    charges = [await world.paid(method) for method in ("card", "blik", "p24")]
    await world.client.v1.refunds.create_async({"charge": charges[0].id, "amount": 1000})
    await world.control(f"charges/{charges[1].id}/dispute", {"outcome": "lost"})
    world.hands.pass_by(days=3)
    made = await world.control("payouts", {})
    (payout,) = await gateway.books.payouts(BEFORE, AFTER)
    assert (payout.payout_id, payout.amount, payout.state) == (made["id"], made["amount"], "paid")
    lines = await gateway.books.lines_of(payout.payout_id)
    assert [line.kind for line in lines] == ["charge", "charge", "charge", "refund", "dispute", "payout"]
    assert all(line.net == line.amount - line.fee for line in lines)
    assert sum(line.net for line in lines if line.kind != "payout") == payout.amount
    assert lines[0].charge_id == charges[0].id == lines[3].charge_id
    assert lines[1].payment_id == lines[4].payment_id == charges[1].payment_intent
    assert await read(gateway.books.balance_lines(BEFORE, AFTER)) == [lines]


async def test_every_page_of_a_long_list_is_turned(world: World, gateway: StripeGateway) -> None:
    made = [(await world.session()).id for _ in range(103)]
    assert [page.session_id for page in await read(gateway.books.pages(BEFORE, AFTER))] == made


class ShortLine:
    """A line on which more than three is too much, where a list may be too long at all."""

    def __init__(self, line: StripeGateway) -> None:
        self.v1: Any = line.v1
        self.livemode = line.livemode
        self.ask = line.ask
        self._all_of = line.all_of

    async def all_of(
        self, listing: Any, wanted: dict[str, Any], most: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        count = 0
        async for raw in self._all_of(listing, wanted, most):
            count += 1
            if most is not None and count > 3:
                raise ListTooLong("Too long.")
            yield raw


async def test_a_list_that_is_too_long_is_read_in_halves_and_still_whole(world: World, gateway: StripeGateway) -> None:
    made: list[str] = []
    for _ in range(9):
        made.append((await world.paid()).id)
        world.hands.pass_by(minutes=7)
    books = StripeBooks(ShortLine(gateway))
    parts = [[line.charge_id for line in lines] async for lines in books.balance_lines(BEFORE, AFTER)]
    assert [charge for part in parts for charge in part] == made
    assert max(map(len, parts)) <= 3
    assert [charge.charge_id for charge in await read(books.charges(BEFORE, AFTER))] == made, "it comes as it is read"


async def test_r112_the_lines_of_a_payout_are_read_however_many_there_are(world: World, gateway: StripeGateway) -> None:
    for _ in range(5):
        await world.paid()
    world.hands.pass_by(days=3)
    payout = await world.control("payouts", {})
    assert len(await StripeBooks(ShortLine(gateway)).lines_of(payout["id"])) == 5 + 1


async def test_too_many_in_one_second_is_told_and_not_cut_off(world: World, gateway: StripeGateway) -> None:
    for _ in range(4):
        await world.paid()
    with pytest.raises(ListTooLong):
        await read(StripeBooks(ShortLine(gateway)).balance_lines(BEFORE, AFTER))


async def test_the_gateway_itself_says_when_a_list_is_longer_than_was_asked_for(
    world: World, gateway: StripeGateway
) -> None:
    for _ in range(101):
        await world.session()
    listed = gateway.v1.checkout.sessions.list_async
    assert len([raw async for raw in gateway.all_of(listed, {}, 101)]) == 101
    with pytest.raises(ListTooLong):
        [raw async for raw in gateway.all_of(listed, {}, 100)]


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "error_500"])
async def test_f27_what_could_not_be_read_is_never_an_empty_list(
    world: World, gateway: StripeGateway, fault: str
) -> None:
    await world.paid()
    await world.control("faults", {"api": fault})
    books = gateway.books
    for streamed in (books.pages, books.charges, books.balance_lines):
        with pytest.raises(ProviderUnknown):
            await read(streamed(BEFORE, AFTER))
    for listed in (books.refunds, books.disputes, books.payouts):
        with pytest.raises(ProviderUnknown):
            await listed(BEFORE, AFTER)
    await world.control("faults", {"api": "normal"})


class OtherMode(ShortLine):
    """A line on which only real money would be expected."""

    def __init__(self, line: StripeGateway) -> None:
        super().__init__(line)
        self.livemode = True


async def test_r62_books_of_another_mode_are_not_read(world: World, gateway: StripeGateway) -> None:
    await world.paid()
    with pytest.raises(ProviderUnreadable):
        await read(StripeBooks(OtherMode(gateway)).charges(BEFORE, AFTER))
