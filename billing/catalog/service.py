"""Loading the catalogue, and remembering its prices for as long as the house stands (R82)."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final, cast

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog import reading
from billing.catalog.history import Remembered, contradictions
from billing.catalog.tables import PriceHistoryRow
from billing.catalog.values import BadCatalogue, Catalogue, Price
from billing.kernel.ids import new_id
from billing.kernel.money import Currency

SAMPLE: Final = Path(__file__).with_name("catalog.toml")
_LOCK: Final = 7_301_001


def load(path: Path | None = None) -> Catalogue:
    """The catalogue in a file, or the shipped sample. Raises BadCatalogue naming every fault."""
    source = SAMPLE if path is None else path
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise BadCatalogue([f"{source} cannot be read: {type(fault).__name__}"]) from None
    return reading.read(text)


async def remember_prices(session: AsyncSession, catalogue: Catalogue, at: datetime) -> bool:
    """Append the catalogue's prices to the history unless the last batch was the same; answers whether it did.

    Raises BadCatalogue when the catalogue has forgotten a price from the 30 days before a reduction it announces: the
    lowest price shown would be a lie (R83).
    """
    await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    batches = await remembered(session)
    if lines := contradictions(catalogue, batches, at):
        raise BadCatalogue(lines)
    digest = _digest(catalogue)
    if batches and batches[-1].digest == digest:
        return False
    for product in catalogue.products:
        for price in product.prices:
            session.add(_row(catalogue, product.key, price, digest, at))
    await session.flush()
    return True


async def remembered(session: AsyncSession) -> tuple[Remembered, ...]:
    """All batches of the price history, oldest first."""
    query = select(PriceHistoryRow).order_by(PriceHistoryRow.remembered_at, PriceHistoryRow.digest, PriceHistoryRow.id)
    rows: Sequence[PriceHistoryRow] = (await session.scalars(query)).all()
    return tuple(
        Remembered(
            at=learned, digest=digest, prices=tuple((row.product, _price(row)) for row in batch)
        )
        for (learned, digest), batch in groupby(rows, key=lambda row: (row.remembered_at, row.digest))
    )  # fmt: skip


def _digest(catalogue: Catalogue) -> str:
    prices = [(product.key, product.prices) for product in catalogue.products]
    return hashlib.sha256(msgspec.json.encode(prices)).hexdigest()


def _row(catalogue: Catalogue, product: str, price: Price, digest: str, at: datetime) -> PriceHistoryRow:
    return PriceHistoryRow(
        id=new_id(at),
        remembered_at=at,
        digest=digest,
        catalogue_version=catalogue.version,
        product=product,
        season=price.season,
        gross=price.gross,
        currency=price.currency,
        vat_rate_percent=price.vat_rate_percent,
        valid_from=price.valid_from,
        valid_until=price.valid_until,
        reduced=price.reduced,
    )


def _price(row: PriceHistoryRow) -> Price:
    return Price(
        gross=row.gross,
        vat_rate_percent=row.vat_rate_percent,
        season=row.season,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        reduced=row.reduced,
        currency=cast("Currency", row.currency),
    )
