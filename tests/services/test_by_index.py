"""However many pupils there are: what workers, probes, parents and the pages of staff's work ask is found by an index.

Each statement that the product really sends is explained with scans of whole tables forbidden: one that is planned all
the same has no index that could serve it, and costs more with every pupil.
"""

from datetime import timedelta

import pytest

from billing import health
from billing.activation import service as activation
from billing.checkout.showing import paid_until
from billing.finance.queries import search
from billing.finance.queries import work as staff
from tests.services.healthy import healthy
from tests.services.house import House
from tests.services.statements import overheard, partial_indexes, read_whole

SMALL = frozenset({
    "alembic_version", "api_key", "early_news", "entitlement_block", "entitlement_numbering", "mail_pace", "payout",
    "price_history", "reconciliation_run", "staff_session", "webhook_endpoint", "webhook_mark",
})  # fmt: skip
"""Tables that do not grow with the number of pupils."""

READ_ALL = frozenset({"billing/invariants/service.py", "billing/payments/history.py", "billing/withdrawals/history.py"})
"""What is meant to read very much, a few times a day: the nightly audit; Stripe's books laid beside ours."""


FEW = frozenset({("billing/payments/early.py", "payment"), ("entitlements/numbering.py", "entitlement_change")})
"""Begun from the other end while tables are as small as here: with many rows each of these goes by an index too."""

ANY_PART = frozenset({("billing/finance/queries/search.py", "account"),
                      ("billing/finance/queries/search.py", "entitlement_pupil")})  # fmt: skip
"""Staff find people by any part of an address or a reference, which only an extension's index (pg_trgm) could serve."""


async def test_what_is_asked_every_day_is_found_by_an_index(house: House) -> None:
    with overheard(house.database) as sent:
        await healthy(house)
        await house.advance(house.now + timedelta(days=40))
        async with house.database.begin() as session:
            await health.ages(session, house.services, house.now)
            await health.waiting(session, house.now)
            await health.reconciled(session, house.now)
            await staff.tasks(session)
            await staff.events(session, None, None)
            await staff.letters(session, None)
            await search.understand(session, "lodz")
            link = await activation.find(session, await house.token("anna", "p1"), house.now)
            await paid_until(session, link)
        for work in house.works:
            await work.run(house.now)
    assert len(sent) > 200, "most of what a day brings was heard"
    found: dict[str, set[str]] = {}
    async with house.database.engine.connect() as link:
        partial = await partial_indexes(link)
        for statement, (sender, values) in sent.items():
            whole = await read_whole(link, statement, values, partial) - SMALL
            tables = {table for table in whole if (sender, table) not in FEW | ANY_PART}
            if tables and sender not in READ_ALL:
                found[f"{sender}: {' '.join(statement.split())}"] = tables
    assert found == {}


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("select * from orders where until > now()", {"orders"}),
        ("select min(ends_at) from trial where ended_at is null or pupil is null", {"trial"}),
        ("select * from letter where fault = '' order by id limit 1", {"letter"}),
        ("select count(*) from letter where state = 'parked'", set()),
        ("select * from orders where account = 'anna'", set()),
        ("select distinct product_name from orders", {"orders"}),
        ("select min(product_name) from orders", set()),
    ],
)
async def test_a_statement_without_an_index_is_noticed(house: House, statement: str, tables: set[str]) -> None:
    async with house.database.engine.connect() as link:
        assert await read_whole(link, statement, (), await partial_indexes(link)) == tables
