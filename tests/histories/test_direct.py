"""The short way to the stand-in says what the long one says: Stripe's own library against the plain calls of the
generated histories, on the same books."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from billing.payments.facts import OpenCheckout, OpenRefund, ProviderMissing, ProviderRefused
from billing.payments.stripe_gateway import StripeGateway
from billing.sandbox.stripe import checkout_flow
from tests.gateway.world import KEY, Hands
from tests.histories.direct import BASE, books_of, gateway_to, standin_in_memory
from tests.histories.quick import plug_in


async def test_both_ways_read_make_and_refuse_the_same() -> None:
    hands = Hands()
    standin = standin_in_memory(hands)
    long, _ = gateway_to(standin)
    quick = StripeGateway(KEY, BASE)
    plug_in(quick, standin)
    wanted = OpenCheckout(
        key="key-1", reference="int_1", order="ord_1", product_name="Mobilne dodatki", unit_amount=4499, quantity=2,
        total=8998, methods=("card", "blik"), success_url="https://shop.example/a?b=1&c=ą",
        cancel_url="https://shop.example/b", locale="pl", expires_at=hands.now() + timedelta(hours=24),
    )  # fmt: skip
    page = await long.open_checkout(wanted)
    assert await quick.open_checkout(wanted) == page, "one key, one body, one page"
    with standin._store.transaction():
        books = books_of(standin)
        session = checkout_flow.pay(books, books.get(page.session_id, "checkout.session"), "card", "succeeded")
    payment = str(session["payment_intent"])
    refund = OpenRefund(key="key-2", reference="ref_1", payment_id=payment, amount=1000, order="ord_1")
    made = await quick.refund(refund)
    assert await long.refund(refund) == made
    same: list[Callable[[StripeGateway], Awaitable[Any]]] = [
        lambda gateway: gateway.read_checkout(page.session_id),
        lambda gateway: gateway.checkout_of(payment),
        lambda gateway: gateway.find_checkout("int_1", hands.now() - timedelta(hours=1)),
        lambda gateway: gateway.find_refund(payment, "ref_1"),
        lambda gateway: gateway.read_payment(payment),
        lambda gateway: gateway.list_events(hands.now() - timedelta(hours=1), hands.now()),
        lambda gateway: gateway.expire_checkout(page.session_id, "key-3"),
    ]
    for ask in same:
        assert await ask(quick) == await ask(long)
    for gateway in (quick, long):
        with pytest.raises(ProviderMissing):
            await gateway.read_checkout("cs_unknown")
        with pytest.raises(ProviderRefused) as refused:
            await gateway.refund(OpenRefund(key="key-4", reference="r", payment_id=payment, amount=9000, order="o"))
        assert refused.value.status == 400
    standin.close()
