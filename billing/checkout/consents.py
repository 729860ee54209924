"""What a buyer agreed to by ticking and clicking, kept as evidence with the order (R43, R45, R64, R92)."""

from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Offer
from billing.checkout.tables import ConsentRow, OrderRow
from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id, public
from billing.subscriptions import consents


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What the buyer accepted by the click, in which words (R43, R45). Hashes are SHA-256 in hex. `renewal_hash` is
    there when the box beside the renewal was ticked (R64)."""

    start_now: bool
    start_now_hash: str
    terms_hash: str
    terms_version: str
    locale: str
    renewal_hash: str | None = None


def require_renewal(offer: Offer, accepted: Accepted) -> None:
    """Nothing renews without a consent of its own: an order for it without one is refused (R64). Raises Conflict."""
    if offer.kind == "renewing" and accepted.renewal_hash is None:
        raise Conflict("Automatic renewal needs a consent of its own.", code="conflict")


def keep(session: AsyncSession, order: OrderRow, offer: Offer, accepted: Accepted, at: datetime) -> None:
    """What stood beside each box, and whether it was ticked (R43, R92)."""
    rows = [("start_now", accepted.start_now_hash, accepted.start_now), ("terms", accepted.terms_hash, True)]
    if offer.kind == "renewing" and accepted.renewal_hash is not None:
        rows.append(("renewal", accepted.renewal_hash, True))
        consents.agree(
            session,
            order_id=public("ord", order.id),
            unit_gross=offer.unit_gross,
            currency=offer.currency,
            interval=offer.interval or "month",
            text_hash=accepted.renewal_hash,
            version=accepted.terms_version,
            locale=accepted.locale,
            channel="order_page",
            at=at,
        )
    for kind, text, given in rows:
        _keep(session, order, kind, text, accepted.terms_version, at, given=given)


def keep_wish(session: AsyncSession, order: OrderRow, accepted: Accepted, at: datetime) -> None:
    """What a later click says of the early start, beside what was said before (R43)."""
    text, given = accepted.start_now_hash, accepted.start_now
    _keep(session, order, "start_now", text, accepted.terms_version, at, given=given)


def _keep(
    session: AsyncSession, order: OrderRow, kind: str, text: str, version: str, at: datetime, *, given: bool
) -> None:
    key = new_id(at)
    session.add(ConsentRow(id=key, order_id=order.id, kind=kind, text_hash=text, version=version, given=given, at=at))
