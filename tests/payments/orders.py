"""What an order would ask of the provider."""

from datetime import timedelta
from typing import Any

import msgspec

from billing.payments.facts import OpenCheckout
from tests.gateway.world import START

ORDER = "ord_01kd0000000000000000000000"


def wanted(**changes: Any) -> OpenCheckout:
    """A page for two passes."""
    page = OpenCheckout(
        key="checkout-1",
        reference="int_01kd0000000000000000000000",
        order=ORDER,
        product_name="Mobilne dodatki 2026/27",
        unit_amount=4499,
        quantity=2,
        total=8998,
        methods=("blik", "p24", "card"),
        success_url="https://shop.example/orders/x",
        cancel_url="https://shop.example/orders/x",
        locale="pl",
        expires_at=START + timedelta(hours=23),
    )
    return msgspec.structs.replace(page, **changes)
