"""Stripe's books: its lists, read page by page to their end."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from billing.payments import shapes_books as shapes
from billing.payments.facts import DisputeFacts, ListTooLong
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

T = TypeVar("T")
Listing = Callable[[Any], Awaitable[Answer]]
Raw = dict[str, Any]

_SECOND: Final = timedelta(seconds=1)
_WITH_SOURCE: Final = {"expand": ["data.source"]}
_WITH_PAYMENT: Final = {"expand": ["data.payment_intent"]}


class StripeBooks:
    """`gateway_books.Books` on a line to Stripe. It lists the newest first; answers here are oldest first."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def pages(self, since: datetime, until: datetime) -> tuple[BookedPage, ...]:
        """Sessions by the second they were made, with their payment intents, which say whether a bank refused."""
        found = await self._span(self._line.v1.checkout.sessions.list_async, since, until, _WITH_PAYMENT)
        return tuple(shapes.page(raw, livemode=self._line.livemode) for raw in found)

    async def charges(self, since: datetime, until: datetime) -> tuple[BookedCharge, ...]:
        """Charges that succeeded."""
        return self._taken(await self._span(self._line.v1.charges.list_async, since, until))

    async def refunds(self, since: datetime, until: datetime) -> tuple[BookedRefund, ...]:
        """Refunds of any charge, old or new."""
        return tuple(map(shapes.refund, await self._span(self._line.v1.refunds.list_async, since, until)))

    async def disputes(self, since: datetime, until: datetime) -> tuple[DisputeFacts, ...]:
        """Disputes of any charge, old or new."""
        return self._argued(await self._span(self._line.v1.disputes.list_async, since, until))

    async def of_payment(self, payment_id: str) -> OfPayment:
        """Three lists, each by the payment intent."""
        v1, only = self._line.v1, {"payment_intent": payment_id}
        return OfPayment(
            charges=self._taken(await self._all(v1.charges.list_async, only)),
            refunds=tuple(map(shapes.refund, await self._all(v1.refunds.list_async, only))),
            disputes=self._argued(await self._all(v1.disputes.list_async, only)),
        )

    async def balance_lines(self, since: datetime, until: datetime) -> tuple[BalanceLine, ...]:
        """Balance transactions with their sources."""
        found = await self._span(self._line.v1.balance_transactions.list_async, since, until, _WITH_SOURCE)
        return tuple(map(shapes.balance_line, found))

    async def payouts(self, since: datetime, until: datetime) -> tuple[BookedPayout, ...]:
        """Payouts by the second they were made."""
        found = await self._span(self._line.v1.payouts.list_async, since, until)
        return tuple(shapes.payout(raw, livemode=self._line.livemode) for raw in found)

    async def lines_of(self, payout_id: str) -> tuple[BalanceLine, ...]:
        """Balance transactions of one payout."""
        wanted = {"payout": payout_id, **_WITH_SOURCE}
        return tuple(map(shapes.balance_line, await self._all(self._line.v1.balance_transactions.list_async, wanted)))

    def _taken(self, found: list[Raw]) -> tuple[BookedCharge, ...]:
        read = (shapes.charge(raw, livemode=self._line.livemode) for raw in found)
        return tuple(each for each in read if each is not None)

    def _argued(self, found: list[Raw]) -> tuple[DisputeFacts, ...]:
        return tuple(dispute(raw, livemode=self._line.livemode) for raw in found)

    async def _span(self, listing: Listing, since: datetime, until: datetime, more: Raw | None = None) -> list[Raw]:
        """What was made in a stretch of time; one that is too long to be read is read in halves."""
        first, last = int(since.timestamp()), int(until.timestamp())
        try:
            return await self._all(listing, {"created": {"gte": first, "lt": last}, **(more or {})})
        except ListTooLong:
            middle = since + (until - since) // 2
            if until - since <= _SECOND * 2:
                raise
            earlier = await self._span(listing, since, middle, more)
            return earlier + await self._span(listing, middle, until, more)

    async def _all(self, listing: Listing, wanted: Raw) -> list[Raw]:
        found = [raw async for raw in self._line.all_of(listing, wanted)]
        return found[::-1]
