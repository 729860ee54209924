"""One box finds by anything: an id of ours or of Stripe's, an order number, an e-mail address, a reference (R115)."""

import re
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.tables import AccountRow
from billing.activation.tables import ActivationLinkRow
from billing.checkout.tables import OrderRow
from billing.finance.filters import fold, pattern_of
from billing.finance.queries.sql import EVENT, like, like_ref
from billing.kernel.errors import NotFound
from billing.kernel.ids import parse, public
from billing.notices.tables import LetterRow
from billing.payments.tables import PaymentRow, RefundRow
from billing.subscriptions.tables import SubscriptionRow
from billing.trials.tables import TrialRow
from entitlements.tables import LinkRow, PupilRow

_OURS: Final = re.compile(r"^(trl|ord|sub|lnk|ref|ntc)_[0-9a-z]{26}$")
_THEIRS: Final = re.compile(r"^(cs|pi|ch|py|re|pyr|evt)_[A-Za-z0-9_]{1,255}$")
_NUMBER: Final = re.compile(r"^[0-9]{1,18}$")
_MOST: Final = 1000
_MOST_SHOWN: Final = 10

_SOLD: Final = sql("""
with recursive sold as (
    select min(product_name) as name from orders
    union all
    select (select min(product_name) from orders where product_name > sold.name) from sold where sold.name is not null
) select name from sold where name is not null""")
"""The names under which anything was ever ordered: the first by the index, then each time the next one after it. There
are few, however many orders there are; `distinct` reads them all."""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A text that is no id: the accounts, pupils and products it fits (None: too many to list, so that rows are
    compared with the pattern), the pupils of those accounts, and the text itself as a pupil's or an order's name."""

    pattern: str
    ref: str
    number: int | None
    accounts: tuple[str, ...] | None
    pupils: tuple[str, ...] | None
    products: tuple[str, ...]
    shown: tuple[str, ...]


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a search text means: rows by key, or words. `jump` is the page of the one thing that an id names."""

    orders: tuple[UUID, ...] = ()
    trials: tuple[UUID, ...] = ()
    passes: tuple[UUID, ...] = ()
    jump: str | None = None
    words: Words | None = None


async def understand(session: AsyncSession, text: str) -> Search:
    """What the text in the box means now. An id that names nothing finds nothing."""
    given = text.strip()
    if _OURS.match(given.lower()):
        return await _ours(session, given.lower())
    if _THEIRS.match(given):
        return await _theirs(session, given)
    return Search(words=await _words(session, given))


async def _words(session: AsyncSession, text: str) -> Words:
    pattern = pattern_of(text)
    query = select(AccountRow.account).where(person_like(pattern)).order_by(AccountRow.account).limit(_MOST + 1)
    accounts = list(await session.scalars(query))
    pupils = list(
        await session.scalars(select(PupilRow.pupil).where(like_ref(PupilRow.pupil, pattern)).limit(_MOST + 1))
    )
    is_few = len(accounts) <= _MOST and len(pupils) <= _MOST
    if is_few:
        pupils += await session.scalars(select(LinkRow.pupil).where(LinkRow.account.in_(accounts)))
    names = await session.scalars(_SOLD)
    return Words(
        pattern=pattern,
        ref=text,
        number=int(text) if _NUMBER.match(text) else None,
        accounts=tuple(accounts) if is_few else None,
        pupils=tuple(pupils) if is_few else None,
        products=tuple(name for name in names if fold(text) in fold(name)),
        shown=tuple(sorted(accounts, key=lambda account: (fold(account) != fold(text), account))[:_MOST_SHOWN]),
    )


def person_like(pattern: str) -> ColumnElement[bool]:
    """Whether an account's reference or one of its addresses holds the text."""
    account = like_ref(AccountRow.account, pattern)
    return or_(account, like(AccountRow.email, pattern), like(AccountRow.guardian_email, pattern))


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
