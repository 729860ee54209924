"""The shipped catalogue, and ways to bend it."""

from datetime import date
from typing import Any

import msgspec

from billing.catalog.service import SAMPLE, load
from billing.catalog.values import Catalogue, Price

SEASON = "mobile-addons-season"
MONTHLY = "mobile-addons-monthly"


def text(**changes: str) -> str:
    """The shipped file with pieces of text exchanged; each must be there."""
    found = SAMPLE.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in found
        found = found.replace(old, new)
    return found


def price(gross: int, since: date, until: date, *, season: str | None = "2026/27", reduced: bool = False) -> Price:
    """One window."""
    return Price(gross=gross, season=season, valid_from=since, valid_until=until, reduced=reduced)


def priced(*prices: Price, key: str = SEASON, **changes: Any) -> Catalogue:
    """The shipped catalogue with other prices for one product."""
    sample = load()
    products = tuple(
        msgspec.structs.replace(product, prices=prices, **changes) if product.key == key else product
        for product in sample.products
    )
    return msgspec.structs.replace(sample, products=products)
