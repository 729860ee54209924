"""ONE list of everything sold and given: trials, passes and orders, newest first.

Each branch is read backwards along its primary key (UUIDv7, so newest first) and the three are merged, so that a page
costs the same however many rows there are; a page begins after the last row of the one before (keyset).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.tables import AccountRow
from billing.catalog.rules import in_year
from billing.catalog.values import SeasonRule
from billing.checkout.tables import OrderRow
from billing.finance.filters import KINDS, STATES, Filters, Kind
from billing.finance.queries.search import Search, Words, person_like
from billing.finance.queries.sql import key_of, like_ref
from billing.kernel.days import end_of
from billing.payments.tables import PaymentRow, RefundRow
from billing.subscriptions.tables import SubscriptionRow
from billing.trials.tables import TrialRow
from entitlements.tables import LinkRow

LATE: Final = timedelta(hours=1)
_OPEN: Final = ("incomplete", "pending")
_NO_NUMBER: Final = sql_cast(None, BigInteger)
_NO_TEXT: Final = sql_cast(None, Text)


class Row(msgspec.Struct, frozen=True):
    """One line of the list; money in grosz. `made_at` is when it began to exist."""

    id: UUID
    kind: str
    number: int | None
    account: str | None
    pupils: list[str]
    state: str
    season: str | None
    amount: int | None
    since: datetime
    until: datetime
    made_at: datetime
    is_overdue: bool
    needs_staff: bool


class Totals(msgspec.Struct, frozen=True):
    """What all filtered rows come to: how many of each kind, and in grosz what paid orders took and gave back."""

    trials: int = 0
    passes: int = 0
    orders: int = 0
    taken: int = 0
    given_back: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return self.trials + self.passes + self.orders


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the list: the filters, what their search text means, the rule of seasons, and the instant."""

    filters: Filters
    search: Search | None
    season: SeasonRule
    at: datetime


class Branch(msgspec.Struct, frozen=True):
    """The rows of one kind: a select with the columns of `Row`, and its key."""

    kind: Kind
    rows: Select[*tuple[Any, ...]]
    key: Any


async def page_of(session: AsyncSession, asked: Question, after: UUID | None, limit: int) -> list[Row]:
    """The next `limit` rows after a row, newest first; rows that are added meanwhile move nothing."""
    newest: list[Any] = []
    for branch in _branches(asked):
        narrowed = branch.rows if after is None else branch.rows.where(branch.key < after)
        newest.append(select(narrowed.order_by(branch.key.desc()).limit(limit).subquery()))
    if not newest:
        return []
    merged = union_all(*newest).subquery()
    found = await session.execute(select(merged).order_by(merged.c.id.desc()).limit(limit))
    return [Row(*row) for row in found]


async def totals_of(session: AsyncSession, asked: Question) -> Totals:
    """The totals of all filtered rows, not only of those on the page."""
    counts: dict[Kind, int] = {}
    taken = given_back = 0
    for branch in _branches(asked):
        rows = branch.rows.subquery()
        paid = func.coalesce(func.sum(rows.c.amount).filter(rows.c.state == "paid"), 0)
        number, money = (await session.execute(select(func.count(), paid).select_from(rows))).one()
        counts[branch.kind] = number
        if money:
            taken, given_back = int(money), await _given_back(session, rows.c.id)
    return Totals(counts.get("trial", 0), counts.get("pass", 0), counts.get("order", 0), taken, given_back)


async def _given_back(session: AsyncSession, orders: Any) -> int:
    """What went back to the buyers of these orders, in grosz."""
    key = key_of("payment.order_id").label("order_key")
    refunds = select(PaymentRow.amount_refunded, key).where(PaymentRow.amount_refunded > 0).subquery()
    total = func.coalesce(func.sum(refunds.c.amount_refunded), 0)
    return int(await session.scalar(select(total).where(refunds.c.order_key.in_(select(orders)))) or 0)


async def accounts_of(session: AsyncSession, pupils: Sequence[str]) -> dict[str, list[str]]:
    """The accounts linked to each pupil, for rows that have no buyer."""
    query = select(LinkRow.pupil, LinkRow.account).where(LinkRow.pupil.in_(pupils)).order_by(LinkRow.linked_at)
    found: dict[str, list[str]] = {}
    for pupil, account in await session.execute(query):
        found.setdefault(pupil, []).append(account)
    return found


def _branches(asked: Question) -> list[Branch]:
    """The kinds that can have rows."""
    filters = asked.filters
    made = {"trial": _trials, "pass": _passes, "order": _orders}
    return [
        made[kind](asked)
        for kind in KINDS
        if filters.kind in {None, kind} and (filters.state is None or filters.state in STATES[kind])
    ]


def _trials(asked: Question) -> Branch:
    row, at = TrialRow, asked.at
    state = case(
        (row.converted_at.is_not(None), "converted"),
        (and_(row.bound_at.is_not(None), row.ends_at <= at), "ended"),
        else_="running",
    )
    is_open = and_(row.bound_at.is_(None), row.converted_at.is_(None))
    overdue = and_(is_open, row.pupil.is_not(None), row.staff_since.is_(None), row.ends_at <= at)
    staff = and_(is_open, row.staff_since.is_not(None))
    pupils = func.array_remove(array([row.pupil]), None, type_=ARRAY(Text))
    query = _select("trial", row.id, _NO_NUMBER, _NO_TEXT, pupils, state, row.season, _NO_NUMBER, row.starts_at,
                    row.ends_at, row.starts_at, overdue, staff)  # fmt: skip
    search = _search(asked, row.id, "trials", lambda words: (_pupil(row.pupil, words),))
    season = row.season == asked.filters.season if asked.filters.season else true()
    narrowed = _narrow(query, asked.filters, row.starts_at, state, overdue, staff)
    return Branch("trial", narrowed.where(search, season), row.id)


def _passes(asked: Question) -> Branch:
    row, at = SubscriptionRow, asked.at
    state = case((and_(row.state.in_(("active", "past_due")), row.until <= at), "ended"), else_=row.state)
    query = _select("pass", row.id, _NO_NUMBER, row.account, array([row.pupil]), state, _NO_TEXT, _NO_NUMBER, row.since,
                    row.until, row.created_at, false(), false())  # fmt: skip
    search = _search(asked, row.id, "passes", lambda words: (
        _pupil(row.pupil, words), row.pupil == words.ref, _account(row.account, words),
    ))  # fmt: skip
    narrowed = _narrow(query, asked.filters, row.created_at, state, false(), false())
    return Branch("pass", narrowed.where(search, _within_season(row.until, asked)), row.id)


def _orders(asked: Question) -> Branch:
    row, at = OrderRow, asked.at
    overdue = and_(row.state.in_(_OPEN), func.coalesce(row.check_at <= at - LATE, false()))
    failed = select(key_of("refund.order_id")).select_from(RefundRow).where(RefundRow.state.in_(("failed", "unknown")))
    staff = row.id.in_(failed)
    query = _select("order", row.id, row.number, row.account, row.pupils, row.state, row.season, row.total, row.since,
                    row.until, row.created_at, overdue, staff)  # fmt: skip
    search = _search(asked, row.id, "orders", lambda words: (
        _account(row.account, words),
        like_ref(func.array_to_string(row.pupils, " "), words.pattern) if words.pupils is None
        else row.pupils.overlap(sql_cast([*words.pupils, words.ref], ARRAY(Text))),
        row.product_name.in_(words.products),
        row.number == words.number,
    ))  # fmt: skip
    season = row.season == asked.filters.season if asked.filters.season else true()
    narrowed = _narrow(query, asked.filters, row.created_at, row.state, overdue, staff)
    return Branch("order", narrowed.where(search, season), row.id)


def _select(kind: Kind, *columns: Any) -> Select[*tuple[Any, ...]]:
    names = ("id", "number", "account", "pupils", "state", "season", "amount", "since", "until", "made_at",
             "is_overdue", "needs_staff")  # fmt: skip
    labelled = [column.label(name) for name, column in zip(names, columns, strict=True)]
    return select(labelled[0], literal(kind).label("kind"), *labelled[1:])


def _narrow(
    query: Select[*tuple[Any, ...]], filters: Filters, made_at: Any, state: Any, overdue: Any, staff: Any
) -> Select[*tuple[Any, ...]]:
    if filters.state is not None:
        query = query.where(state == filters.state)
    if filters.since is not None:
        query = query.where(made_at >= filters.since)
    if filters.until is not None:
        query = query.where(made_at < filters.until)
    if filters.need is not None:
        query = query.where(overdue if filters.need == "overdue" else staff)
    return query


def _search(
    asked: Question,
    key: Any,
    ids: Literal["trials", "passes", "orders"],
    by_words: Callable[[Words], Iterable[ColumnElement[bool]]],
) -> ColumnElement[bool]:
    search = asked.search
    if search is None:
        return true()
    return key.in_(getattr(search, ids)) if search.words is None else or_(*by_words(search.words))


def _account(account: Any, words: Words) -> ColumnElement[bool]:
    if words.accounts is not None:
        return account.in_(words.accounts)
    return account.in_(select(AccountRow.account).where(person_like(words.pattern)))


def _pupil(pupil: Any, words: Words) -> ColumnElement[bool]:
    if words.pupils is not None:
        return pupil.in_(words.pupils)
    linked = select(LinkRow.pupil).join(AccountRow, AccountRow.account == LinkRow.account)
    return or_(like_ref(pupil, words.pattern), pupil.in_(linked.where(person_like(words.pattern))))


def _within_season(until: Any, asked: Question) -> ColumnElement[bool]:
    """Whether a right ends in the season called `2026/27`; a name that is no season's holds nothing."""
    label = asked.filters.season
    if label is None:
        return true()
    first, _, _ = label.partition("/")
    if not (first.isdigit() and len(first) == 4 and label == f"{first}/{(int(first) + 1) % 100:02d}"):  # noqa: PLR2004
        return false()
    begins, ends = (end_of(in_year(asked.season.ends, year)) for year in (int(first), int(first) + 1))
    return and_(until > begins, until <= ends)
