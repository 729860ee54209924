"""Consent to be charged again, at a price: kept for ever, never changed (R64, R66, R92).

Who ordered what renews agreed to its price by a box of its own; whoever is told of a higher one agrees to that price,
or is not charged it. Nothing here tells who agreed: the order does.
"""

from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.ids import new_id
from billing.subscriptions.tables_consent import RenewalConsentRow


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """The price for one pupil and interval that the buyer agreed to last, gross in grosz, and when."""

    unit_gross: int
    interval: str
    at: datetime


def agree(
    session: AsyncSession, *, order_id: str, unit_gross: int, interval: str, text_hash: str, version: str, locale: str,
    channel: str, at: datetime, currency: str = "PLN",
) -> None:  # fmt: skip
    """Keep a consent: `text_hash` is that of the words beside the box, in `locale`, `version` that of the terms."""
    session.add(
        RenewalConsentRow(
            id=new_id(at),
            order_id=order_id,
            unit_gross=unit_gross,
            currency=currency,
            interval=interval,
            text_hash=text_hash,
            version=version,
            locale=locale,
            channel=channel,
            at=at,
        )
    )


async def agreed(session: AsyncSession, order_id: str, interval: str) -> Agreed | None:
    """What the buyer of this order agreed to last for this interval; None without any such consent: nothing may be
    charged again (R64). A yes to a year, whose bank then said no, takes nothing from the yes to months."""
    query = select(RenewalConsentRow).where(
        RenewalConsentRow.order_id == order_id, RenewalConsentRow.interval == interval
    )
    row = (await session.scalars(query.order_by(RenewalConsentRow.id.desc()).limit(1))).one_or_none()
    return None if row is None else Agreed(unit_gross=row.unit_gross, interval=row.interval, at=row.at)


async def consents_of(session: AsyncSession, order_id: str) -> list[RenewalConsentRow]:
    """Every consent to be charged again for this order, oldest first (R92)."""
    query = select(RenewalConsentRow).where(RenewalConsentRow.order_id == order_id)
    return list(await session.scalars(query.order_by(RenewalConsentRow.id)))
