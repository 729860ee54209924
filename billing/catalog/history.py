"""Prices as they really were: which catalogue was loaded when. Pure; days are Warsaw days."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

import msgspec

from billing.catalog.rules import LOOK_BACK, lowest_before, price_on
from billing.catalog.values import Catalogue, Price
from billing.kernel.days import day_of, end_of, start_of


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """The prices of a catalogue that was loaded at an instant, and held until the next was."""

    at: datetime
    digest: str
    prices: tuple[tuple[str, Price], ...]


def lowest_remembered(
    batches: Sequence[Remembered], product: str, season: str | None, start: date, at: datetime
) -> int | None:
    """The lowest price that was in force in the 30 days before `start`, as far as they are past at `at`."""
    days = (start - timedelta(days=back) for back in range(1, LOOK_BACK.days + 1))
    return min(
        (
            price.gross
            for on in days
            if on <= day_of(at)
            for batch in _in_force(batches, on)
            if (price := price_on((price for key, price in batch.prices if key == product), season, on))
        ),
        default=None,
    )


def contradictions(catalogue: Catalogue, batches: Sequence[Remembered], at: datetime) -> list[str]:
    """Reductions, running or to come, before which something was cheaper than this catalogue remembers."""
    found: list[str] = []
    for product in catalogue.products:
        for price in product.prices:
            if not price.reduced or price.valid_until <= day_of(at):
                continue
            told = lowest_before(product.prices, price.season, price.valid_from)
            real = lowest_remembered(batches, product.key, price.season, price.valid_from, at)
            if real is not None and (told is None or real < told):
                found.append(
                    f"products.{product.key}.prices: the price was {real} within 30 days before {price.valid_from}; "
                    "keep that window in the file"
                )
    return found


def _in_force(batches: Sequence[Remembered], on: date) -> Iterator[Remembered]:
    """Every batch that held at some time of a day."""
    for number, batch in enumerate(batches):
        is_begun = batch.at < end_of(on)
        is_over = number + 1 < len(batches) and batches[number + 1].at <= start_of(on)
        if is_begun and not is_over:
            yield batch
