"""Stripe's books: its lists, read page by page to their end."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from billing.payments import shapes_books as shapes
from billing.payments.facts import DisputeFacts
from billing.payments.gateway_books import (
    BalanceLine,
    BookedCharge,
    BookedPage,
    BookedPayout,
    BookedRefund,
    OfPayment,
)
from billing.payments.line import Answer, Line
from billing.payments.shapes import dispute
from billing.payments.stretches import AT_ONCE, in_parts

T = TypeVar("T")
Listing = Callable[[Any], Awaitable[Answer]]
Raw = dict[str, Any]

_WITH_SOURCE: Final = {"expand": ["data.source"]}
_WITH_PAYMENT: Final = {"expand": ["data.payment_intent"]}


class StripeBooks:
    """`gateway_books.Books` on a line to Stripe, which lists the newest first. Each object is put into our words as it
    comes: as Stripe has it, it takes twenty times the memory, and a week has very many."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def pages(self, since: datetime, until: datetime) -> AsyncGenerator[BookedPage]:
        """Sessions by the second they were made, with their payment intents, which say whether a bank refused."""
        wanted = _made(since, until) | _WITH_PAYMENT
        async for raw in self._line.all_of(self._line.v1.checkout.sessions.list_async, wanted):
            yield shapes.page(raw, livemode=self._line.livemode)

    async def charges(self, since: datetime, until: datetime) -> AsyncGenerator[BookedCharge]:
        """Charges that succeeded."""
        async for raw in self._line.all_of(self._line.v1.charges.list_async, _made(since, until)):
            charge = shapes.charge(raw, livemode=self._line.livemode)
            if charge is not None:
                yield charge

    async def refunds(self, since: datetime, until: datetime) -> tuple[BookedRefund, ...]:
        """Refunds of any charge, old or new."""
        return tuple(await self._all(self._line.v1.refunds.list_async, _made(since, until), shapes.refund))

    async def disputes(self, since: datetime, until: datetime) -> tuple[DisputeFacts, ...]:
        """Disputes of any charge, old or new."""
        return tuple(await self._all(self._line.v1.disputes.list_async, _made(since, until), self._as(dispute)))

    async def of_payment(self, payment_id: str) -> OfPayment:
        """Three lists, each by the payment intent."""
        v1, only = self._line.v1, {"payment_intent": payment_id}
        charges = await self._all(v1.charges.list_async, only, self._as(shapes.charge))
        return OfPayment(
            charges=tuple(charge for charge in charges if charge is not None),
            refunds=tuple(await self._all(v1.refunds.list_async, only, shapes.refund)),
            disputes=tuple(await self._all(v1.disputes.list_async, only, self._as(dispute))),
        )

    async def balance_lines(self, since: datetime, until: datetime) -> AsyncGenerator[tuple[BalanceLine, ...]]:
        """Balance transactions with their sources."""
        listing = self._line.v1.balance_transactions.list_async

        async def part(since: datetime, until: datetime) -> list[BalanceLine]:
            return await self._all(listing, _made(since, until) | _WITH_SOURCE, shapes.balance_line, AT_ONCE)

        async for lines in in_parts(part, since, until):
            yield tuple(lines)

    async def payouts(self, since: datetime, until: datetime) -> tuple[BookedPayout, ...]:
        """Payouts by the second they were made."""
        return tuple(await self._all(self._line.v1.payouts.list_async, _made(since, until), self._as(shapes.payout)))

    async def lines_of(self, payout_id: str) -> tuple[BalanceLine, ...]:
        """Balance transactions of one payout."""
        wanted = {"payout": payout_id, **_WITH_SOURCE}
        return tuple(await self._all(self._line.v1.balance_transactions.list_async, wanted, shapes.balance_line))

    def _as(self, shape: Callable[..., T]) -> Callable[[Raw], T]:
        """A shape that refuses what belongs to the other of Stripe's two worlds."""
        return partial(shape, livemode=self._line.livemode)

    async def _all(self, listing: Listing, wanted: Raw, read: Callable[[Raw], T], most: int | None = None) -> list[T]:
        """A whole list, oldest first."""
        found = [read(raw) async for raw in self._line.all_of(listing, wanted, most)]
        return found[::-1]


def _made(since: datetime, until: datetime) -> Raw:
    return {"created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}}
