"""One box finds by anything: an id of ours or of Stripe's, an order number, an e-mail address, a reference (R115)."""

import re
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.tables import AccountRow
from billing.activation.tables import ActivationLinkRow
from billing.checkout.tables import OrderRow
from billing.finance.filters import fold, pattern_of
from billing.finance.queries.sql import EVENT, like
from billing.kernel.errors import NotFound
from billing.kernel.ids import parse, public
from billing.notices.tables import LetterRow
from billing.payments.tables import PaymentRow, RefundRow
from billing.subscriptions.tables import SubscriptionRow
from billing.trials.tables import TrialRow

_OURS: Final = re.compile(r"^(trl|ord|sub|lnk|ref|ntc)_[0-9a-z]{26}$")
_THEIRS: Final = re.compile(r"^(cs|pi|ch|py|re|pyr|evt)_[A-Za-z0-9_]{1,255}$")
_NUMBER: Final = re.compile(r"^[0-9]{1,18}$")
_MOST_ACCOUNTS: Final = 10


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a search text means: rows by key, or a pattern over texts (with an order number, if it looks like one).

    `jump` is the page of the one thing an id names.
    """

    orders: tuple[UUID, ...] = ()
    trials: tuple[UUID, ...] = ()
    passes: tuple[UUID, ...] = ()
    pattern: str | None = None
    number: int | None = None
    jump: str | None = None


async def understand(session: AsyncSession, text: str) -> Search:
    """What the text in the box means now. An id that names nothing finds nothing."""
    given = text.strip()
    if _OURS.match(given.lower()):
        return await _ours(session, given.lower())
    if _THEIRS.match(given):
        return await _theirs(session, given)
    number = int(given) if _NUMBER.match(given) else None
    return Search(pattern=pattern_of(given), number=number)


async def _ours(session: AsyncSession, text: str) -> Search:
    prefix = text[:3]
    try:
        key = parse(prefix, text)
    except NotFound:
        return Search()
    if prefix == "trl":
        return Search(trials=(key,)) if await session.get(TrialRow, key) else Search()
    if prefix == "sub":
        return Search(passes=(key,)) if await session.get(SubscriptionRow, key) else Search()
    if prefix == "ord":
        return _order(key) if await session.get(OrderRow, key) else Search()
    if prefix == "ref":
        refund = await session.get(RefundRow, key)
        return _order_named(refund.order_id) if refund else Search()
    if prefix == "ntc":
        letter = await session.get(LetterRow, key)
        return Search(jump=f"/finance/letters/{text}") if letter else Search()
    link = await session.get(ActivationLinkRow, key)
    if link is None:
        return Search()
    orders = await session.scalars(select(OrderRow.id).where(OrderRow.link_id == key))
    return Search(orders=tuple(orders), jump=f"/finance/accounts/{link.account}")


async def _theirs(session: AsyncSession, text: str) -> Search:
    if text.startswith("evt_"):
        known = await session.scalar(select(EVENT.c.id).where(EVENT.c.id == text))
        return Search(jump=f"/finance/events?q={text}") if known else Search()
    if text.startswith("cs_"):
        key = await session.scalar(select(OrderRow.id).where(OrderRow.session_id == text))
        return _order(key) if key else Search()
    if text.startswith(("re_", "pyr_")):
        name = await session.scalar(select(RefundRow.order_id).where(RefundRow.stripe_refund == text))
    else:
        ids = or_(PaymentRow.stripe_payment_intent == text, PaymentRow.stripe_charge == text)
        name = await session.scalar(select(PaymentRow.order_id).where(ids).limit(1))
    return _order_named(name) if name else Search()


def _order(key: UUID) -> Search:
    return Search(orders=(key,), jump=f"/finance/orders/{public('ord', key)}")


def _order_named(name: str) -> Search:
    return _order(parse("ord", name))


async def accounts_like(session: AsyncSession, text: str) -> list[str]:
    """References of accounts whose reference or address holds the text; an exact one comes first."""
    pattern = pattern_of(text)
    texts = (AccountRow.account, AccountRow.email, AccountRow.guardian_email)
    hit = or_(*(like(text, pattern) for text in texts))
    query = select(AccountRow.account).where(hit).order_by(AccountRow.account).limit(_MOST_ACCOUNTS)
    found = list(await session.scalars(query))
    return sorted(found, key=lambda account: (fold(account) != fold(text), account))
