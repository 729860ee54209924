"""Our products and prices in the provider's own catalogue, so that its reports speak our words. Nothing is ever deleted
there, and no price changes its amount: another amount is another price, under another name."""

from collections.abc import Iterable

import msgspec

from billing.catalog.rules import price_key
from billing.catalog.values import Catalogue
from billing.payments.facts import PriceFacts, ProductFacts
from billing.payments.gateway import Gateway


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference: what is there (None: nothing yet) and what should be."""

    name: str
    there: ProductFacts | PriceFacts | None
    wanted: ProductFacts | PriceFacts


def wanted(catalogue: Catalogue) -> tuple[ProductFacts | PriceFacts, ...]:
    """What the provider should hold: each product, then its payable prices, the same amount once."""
    found: dict[str, ProductFacts | PriceFacts] = {}
    for product in catalogue.products:
        found[product.key] = ProductFacts(product=product.key, name=product.names.pl, active=product.enabled)
        for price in product.prices:
            name = price_key(product, price)
            if price.gross:
                found[name] = PriceFacts(
                    lookup_key=name,
                    product=product.key,
                    unit_amount=price.gross,
                    currency=price.currency,
                    interval=product.interval,
                )
    return tuple(found.values())


async def diff(gateway: Gateway, catalogue: Catalogue) -> tuple[Change, ...]:
    """Where the provider's catalogue is not ours; changes nothing."""
    changes: list[Change] = []
    for thing in wanted(catalogue):
        there: ProductFacts | PriceFacts | None
        if isinstance(thing, ProductFacts):
            name, there = thing.product, await gateway.find_product(thing.product)
        else:
            name, there = thing.lookup_key, await gateway.find_price(thing.lookup_key)
        if there != thing:
            changes.append(Change(name=name, there=there, wanted=thing))
    return tuple(changes)


async def push(gateway: Gateway, catalogue: Catalogue) -> tuple[Change, ...]:
    """Make the provider's catalogue ours; answers what was changed. Doing it again changes nothing."""
    changes = await diff(gateway, catalogue)
    for change in changes:
        key = f"catalog-{change.name}"
        if isinstance(change.wanted, ProductFacts):
            await gateway.put_product(change.wanted, key)
        else:
            await gateway.put_price(change.wanted, key)
    return changes


def told(changes: Iterable[Change]) -> list[str]:
    """The changes as lines for a person: `+` is new, `~` differs."""
    return [f"{'~' if change.there else '+'} {change.name}: {_words(change.wanted)}" for change in changes]


def _words(thing: ProductFacts | PriceFacts) -> str:
    if isinstance(thing, ProductFacts):
        return f"{thing.name}{'' if thing.active else ' (off)'}"
    return f"{thing.unit_amount // 100}.{thing.unit_amount % 100:02d} {thing.currency}"
