"""What no program can go round: the database itself refuses it."""

from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from billing.kernel.db import Database
from billing.migrations.tables import metadata

LINE = (
    "insert into ledger_line (id, transaction_id, cause, order_id, account, amount, currency, at, booked_on) values "
    "(gen_random_uuid(), '00000000-0000-0000-0000-00000000000{t}', '{cause}', 'ord_1', '{account}', {amount}, 'PLN', "
    "'2026-09-01T08:00Z', '2026-09-01')"
)
RIGHT = (
    "insert into subscription "
    "(id, kind, state, pupil, product, features, since, until, created_at, is_renewal_on, is_paused) values "
    "(gen_random_uuid(), 'season_pass', '{state}', '{pupil}', '{product}', '{{}}', '{since}', '{until}', "
    "'2026-09-01T08:00Z', false, false)"
)
AUDIT = (
    "insert into audit (id, at, actor, action, subject, facts) values "
    "(gen_random_uuid(), '2026-09-01T08:00Z', 'system', 'a.b', 'ord_1', '{}')"
)
PRICE = (
    "insert into price_history (id, remembered_at, digest, catalogue_version, product, season, gross, currency, "
    "vat_rate_percent, valid_from, valid_until, reduced) values (gen_random_uuid(), '2026-09-01T08:00Z', 'd', '1', "
    "'p', '2026/27', 4499, 'PLN', 23, '2026-07-01', '2027-06-01', false)"
)
ORDER = (
    "insert into orders (id, token_hash, account, link_id, pupils, product, product_name, features, season, since, "
    "until, first_day, last_day, sold_until, unit_gross, total, currency, vat_rate_percent, price_key, locale, "
    "terms_version, terms_hash, start_now, blocked_features, state, created_at, checks) values "
    "('00000000-0000-0000-0000-0000000000{n:02}', '{n}', '{account}', gen_random_uuid(), '{{{pupils}}}', 'p', 'P', "
    "'{{}}', '2026/27', '2026-09-01T08:00Z', '2027-06-30T22:00Z', '2026-09-01', '2027-06-30', '2027-05-31T22:00Z', "
    "4499, {total}, 'PLN', 23, 'k', 'pl', 'v', 'h', true, '{{}}', '{state}', '2026-09-01T08:00Z', 0)"
)
CONSENT = (
    "insert into consent (id, order_id, kind, text_hash, version, given, at) values "
    "(gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'terms', 'h', 'v', true, '2026-09-01T08:00Z')"
)
CHANGES = {
    "ledger_line": "update ledger_line set amount = 1",
    "audit": "update audit set reason = 'other'",
    "consent": "update consent set given = false",
    "price_history": "update price_history set gross = 1",
}


def order(n: int, *, account: str = "a1", pupils: str = "p1", total: int = 4499, state: str = "incomplete") -> str:
    return ORDER.format(n=n, account=account, pupils=pupils, total=total, state=state)


def right(
    since: str, until: str, *, pupil: str = "p1", product: str = "season", state: str = "active"
) -> str:  # fmt: skip
    return RIGHT.format(since=since, until=until, pupil=pupil, product=product, state=state)


def line(account: str, amount: int, *, cause: str = "payment:1", transaction: int = 1) -> str:
    return LINE.format(account=account, amount=amount, cause=cause, t=transaction)


async def _do(session: AsyncSession, statements: Sequence[str]) -> None:
    link = await session.connection()
    for statement in statements:
        await link.exec_driver_sql(statement)


async def _refused(database: Database, *statements: str) -> str:
    """Do them all in one transaction; answers the SQLSTATE with which the database refused."""
    with pytest.raises(DBAPIError) as caught:
        async with database.begin() as session:
            await _do(session, statements)
    return str(getattr(caught.value.orig, "sqlstate", ""))


async def _accepted(database: Database, *statements: str) -> None:
    async with database.begin() as session:
        await _do(session, statements)


@pytest.fixture
async def books(database: Database) -> Database:
    """A database in which each append-only table has a row."""
    await _accepted(database, order(1), CONSENT, AUDIT, PRICE, line("stripe_clearing", 4499), line("revenue", -4499))
    return database


@pytest.mark.parametrize("table", sorted(CHANGES))
async def test_books_and_evidence_are_never_changed(books: Database, table: str) -> None:
    """I09, I17, R82, R92."""
    assert await _refused(books, CHANGES[table]) == "23001"


@pytest.mark.parametrize("table", sorted(CHANGES))
async def test_books_and_evidence_are_never_deleted(books: Database, table: str) -> None:
    """I09, I17, R82, R92."""
    assert await _refused(books, f"delete from {table}") == "23001"
    assert await _refused(books, f"truncate {table} cascade") == "23001"


async def test_an_append_only_table_refuses_even_a_change_that_finds_no_row(database: Database) -> None:
    assert await _refused(database, CHANGES["audit"]) == "23001"


async def test_a_ledger_transaction_must_sum_to_zero_when_it_commits(database: Database) -> None:
    """I09: refused at the commit, so lines may come one by one."""
    assert await _refused(database, line("stripe_clearing", 4499), line("revenue", -3658)) == "23514"
    assert await _refused(database, line("stripe_clearing", 4499), line("revenue", -4500)) == "23514"
    await _accepted(database, line("stripe_clearing", 4499), line("revenue", -3658), line("vat_output", -841))
    async with database.begin() as session:
        assert await session.scalar(text("select sum(amount) from ledger_line")) == 0


async def test_two_wrong_ledger_transactions_do_not_make_a_right_one(database: Database) -> None:
    assert (
        await _refused(database, line("revenue", 1), line("vat_output", -1, transaction=2, cause="payment:2"))
        == "23514"
    )


async def test_a_later_line_cannot_upset_a_balanced_transaction(books: Database) -> None:
    assert await _refused(books, line("vat_output", 1)) == "23514"


async def test_a_fact_is_booked_once(books: Database) -> None:
    """The cause names the fact (I09)."""
    again = (line("stripe_clearing", 4499, transaction=2), line("revenue", -4499, transaction=2))
    assert await _refused(books, *again) == "23505"


YEAR = ("2026-09-01T08:00Z", "2027-06-30T22:00Z")


@pytest.mark.parametrize(
    ("since", "until"),
    [YEAR, ("2027-06-30T21:59:59.999Z", "2027-07-01T00:00Z"), ("2026-08-01T00:00Z", "2026-09-01T08:00:00.001Z"),
     ("2026-10-01T00:00Z", "2026-10-02T00:00Z"), ("2026-01-01T00:00Z", "2028-01-01T00:00Z")],
)  # fmt: skip
async def test_no_two_paid_rights_of_a_pupil_overlap(database: Database, since: str, until: str) -> None:
    """I11."""
    await _accepted(database, right(*YEAR))
    assert await _refused(database, right(since, until)) == "23P01"


async def test_rights_may_touch_and_belong_to_others(database: Database) -> None:
    """Intervals are half-open: the next season begins where the last one ends."""
    await _accepted(
        database,
        right(*YEAR),
        right("2027-06-30T22:00Z", "2028-06-30T22:00Z"),
        right(*YEAR, pupil="p2"),
        right(*YEAR, pupil="P1"),
        right(*YEAR, product="monthly"),
    )


@pytest.mark.parametrize("state", ["past_due", "paused"])
async def test_a_right_in_trouble_still_keeps_others_out(database: Database, state: str) -> None:
    await _accepted(database, right(*YEAR, state=state))
    assert await _refused(database, right(*YEAR)) == "23P01"


@pytest.mark.parametrize("state", ["ended", "withdrawn", "refunded", "disputed"])
async def test_a_right_that_is_over_makes_room(database: Database, state: str) -> None:
    await _accepted(database, right(*YEAR, state=state), right(*YEAR))


async def test_a_product_and_a_pupil_do_not_run_together_in_the_constraint(database: Database) -> None:
    """`a` + `b c` is not `a b` + `c`: a reference holds no space."""
    await _accepted(database, right(*YEAR, product="a", pupil="b:c"), right(*YEAR, product="a:b", pupil="c"))


async def test_one_order_of_an_account_for_the_same_pupils_and_season_is_open(database: Database) -> None:
    """R34, I11."""
    await _accepted(database, order(1), order(2, state="expired"), order(3, pupils="p1,p2", total=8998))
    assert await _refused(database, order(4)) == "23505"
    assert await _refused(database, order(5, state="pending")) == "23505"
    await _accepted(database, order(6, account="a2"))


async def test_an_orders_total_is_its_price_times_its_pupils(database: Database) -> None:
    """I16."""
    assert await _refused(database, order(1, pupils="p1,p2", total=4499)) == "23514"


async def test_every_table_has_a_primary_key_and_every_instant_a_zone(database: Database) -> None:
    """R128."""
    assert [table.name for table in metadata.tables.values() if not table.primary_key.columns] == []
    async with database.begin() as session:
        naive = await session.scalars(
            text(
                "select table_name || '.' || column_name from information_schema.columns "
                "where table_schema = 'public' and data_type in ('timestamp without time zone', 'real', "
                "'double precision', 'money', 'time without time zone')"
            )
        )
        assert list(naive) == []
