"""Renewing subscriptions at Stripe, over the line of `StripeGateway`."""

from typing import Any

import msgspec

from billing.payments import requests, shapes, shapes_renewals
from billing.payments.facts import Checkout, PaymentFacts, ProviderMissing
from billing.payments.gateway_renewals import (
    ChangeRenewal,
    InvoiceFacts,
    MandateFacts,
    Preview,
    SetRenewal,
    SubscriptionFacts,
)
from billing.payments.line import Line


class StripeRenewals:
    """`Renewals` over a line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def read_subscription(self, subscription_id: str) -> SubscriptionFacts:
        """Three kinds of objects: the subscription, its invoices, and its buyer's payments."""
        subscriptions = self._line.v1.subscriptions
        raw = await self._line.ask(lambda: subscriptions.retrieve_async(subscription_id))
        bare = shapes_renewals.subscription(raw, livemode=self._line.livemode)
        return msgspec.structs.replace(bare, invoices=await self._invoices(bare))

    async def _invoices(self, bare: SubscriptionFacts) -> tuple[InvoiceFacts, ...]:
        """Oldest first. A buyer is one subscription's only, so its payments are this subscription's."""
        v1, mode = self._line.v1, self._line.livemode
        money: dict[str, PaymentFacts] = {}
        paying = {"customer": bare.customer_id, "expand": ["data.latest_charge.balance_transaction"]}
        async for raw in self._line.all_of(v1.payment_intents.list_async, paying):
            paid = shapes.payment_of(shapes.read(raw, shapes.PaymentIntent), livemode=mode)
            if paid is not None:
                money[paid.payment_id] = paid
        asked = {"subscription": bare.subscription_id, "expand": ["data.payments"]}
        found = [
            shapes_renewals.invoice(raw, money, livemode=mode)
            async for raw in self._line.all_of(v1.invoices.list_async, asked)
        ]
        return tuple(sorted(found, key=lambda invoice: (invoice.made_at, invoice.covers_from, invoice.invoice_id)))

    async def subscription_of(self, invoice_id: str) -> str | None:
        """The subscription an invoice names as its parent."""
        raw = await self._line.ask(lambda: self._line.v1.invoices.retrieve_async(invoice_id))
        return shapes_renewals.subscription_of(raw)

    async def page_of(self, subscription_id: str) -> Checkout | None:
        """The page that names the subscription as what came of it."""
        listing = self._line.v1.checkout.sessions.list_async
        async for raw in self._line.all_of(listing, {"subscription": subscription_id}):
            return shapes.checkout(raw, livemode=self._line.livemode)
        return None

    async def set_renewal(self, wanted: SetRenewal) -> SubscriptionFacts:
        """Ending it now is a call of its own, and done already where Stripe no longer knows it as live."""
        subscriptions, name = self._line.v1.subscriptions, wanted.subscription_id
        options: Any = {"idempotency_key": wanted.key}
        if wanted.is_over:
            try:
                body: Any = {"invoice_now": False, "prorate": False}
                await self._line.ask(lambda: subscriptions.cancel_async(name, body, options))
            except ProviderMissing:
                facts = await self.read_subscription(name)
                if not facts.is_over:
                    raise
                return facts
        else:
            change = requests.set_renewal(wanted)
            await self._line.ask(lambda: subscriptions.update_async(name, change, options))
        return await self.read_subscription(name)

    async def preview_change(self, wanted: ChangeRenewal) -> Preview:
        """Stripe counts it, as it would count the charge."""
        body, options = requests.preview_change(wanted), {"idempotency_key": wanted.key}
        raw = await self._line.ask(lambda: self._line.v1.invoices.create_preview_async(body, options))
        return shapes_renewals.preview(raw)

    async def change_renewal(self, wanted: ChangeRenewal) -> SubscriptionFacts:
        """Stripe changes nothing where the charge fails."""
        body = requests.change_renewal(wanted)
        subscriptions, options = self._line.v1.subscriptions, {"idempotency_key": wanted.key}
        await self._line.ask(lambda: subscriptions.update_async(wanted.subscription_id, body, options))
        return await self.read_subscription(wanted.subscription_id)

    async def read_mandate(self, mandate_id: str) -> MandateFacts:
        """The mandate as it stands."""
        raw = await self._line.ask(lambda: self._line.v1.mandates.retrieve_async(mandate_id))
        return shapes_renewals.mandate(raw, livemode=self._line.livemode)

    async def portal(self, customer_id: str, return_url: str, locale: str, key: str) -> str:
        """A session of Stripe's customer portal."""
        body: Any = {"customer": customer_id, "return_url": return_url, "locale": requests.locale_of(locale)}
        sessions, options = self._line.v1.billing_portal.sessions, {"idempotency_key": key}
        raw = await self._line.ask(lambda: sessions.create_async(body, options))
        return shapes.read(raw, _Addressed).url


class _Addressed(msgspec.Struct, frozen=True):
    url: str
