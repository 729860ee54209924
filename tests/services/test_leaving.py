"""What is left of a person who leaves, who never confirmed, or who asks for all we hold (R19, R57, R88–R91, I30)."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.kernel.days import at_hour
from billing.kernel.errors import NotFound
from billing.notices.planning import plan_trial_endings
from billing.privacy import service as privacy
from tests.services.house import House
from tests.services.invariants import check
from tests.services.mailers import Meanwhile

KEPT = {"orders", "audit", "ledger_line"}
"""Where the law, or the proof of what was done, needs more than the person's wish (R88, R89)."""

TELLING = at_hour(date(2026, 9, 21), 8)


async def where_is(house: House, *words: str) -> dict[str, int]:
    """In which tables any of the words stands anywhere, and in how many rows."""
    async with house.database.begin() as session:
        tables = list(await session.scalars(text("select tablename from pg_tables where schemaname = 'public'")))
        found: dict[str, int] = {}
        for table in tables:
            rows = [str(row[0]) for row in await session.execute(text(f"select t::text from {table} t"))]
            count = sum(any(word in row for word in words) for row in rows)
            if count:
                found[table] = count
    return found


async def a_full_life(house: House) -> None:
    """A parent who did everything there is to do, beside another parent of the same child."""
    await house.family("rodzic-a", "dziecko-1", "dziecko-2")
    await house.family("rodzic-b", "dziecko-1")
    await house.advance(TELLING)
    await house.buy("rodzic-a", "dziecko-1")
    await house.click(await house.token("rodzic-a", "dziecko-2"))
    await house.settle()


async def test_r88_after_erasure_nothing_names_the_person_but_what_the_law_keeps(house: House) -> None:
    await a_full_life(house)
    sold = "select account, amount from ledger_line where cause like 'payment:%' order by id"
    books = await house.rows(sold)
    kept = await house.erase("rodzic-a")
    await house.advance(house.now + timedelta(days=60))
    assert set(await where_is(house, "rodzic-a")) <= {"audit"}
    assert [(item.what, item.rows, item.until) for item in kept] == [("paid_orders", 1, date(2032, 12, 31))]
    assert await house.rows(sold) == books
    assert await house.rows("select distinct account from orders") == [(None,)]
    await check(house)


async def test_r88_r19_a_pupil_whom_nobody_has_any_more_is_forgotten_where_nothing_was_paid(house: House) -> None:
    await house.family("rodzic-a", "dziecko-2")
    await house.advance(TELLING + timedelta(hours=1))
    await house.erase("rodzic-a")
    await house.advance(house.now + timedelta(days=60))
    assert set(await where_is(house, "dziecko-2")) <= {"audit"}
    assert await house.one("select count(*) from trial where pupil is null and pupil_hash is not null") == 1


async def test_r19_after_unlinking_only_a_keyed_hash_remembers_the_trial_and_not_beyond_the_season(
    house: House,
) -> None:
    await house.family("anna", "dziecko-9")
    before = await house.one("select ends_at from trial")
    await house.unlink("anna", "dziecko-9")
    await house.settle()
    assert set(await where_is(house, "dziecko-9")) <= {"audit"}
    await house.advance(house.now + timedelta(days=5))
    await house.link("anna", "dziecko-9")
    assert await house.one("select ends_at from trial") == before, "R18: it does not begin anew"
    await house.unlink("anna", "dziecko-9")
    await house.advance(datetime(2027, 7, 2, tzinfo=UTC))
    assert await house.one("select count(*) from trial") == 0


async def test_i30_a_letter_under_way_while_its_reader_is_erased_leaves_no_trace_of_whom_it_was_to(
    house: House,
) -> None:
    await house.family("rodzic-a", "dziecko-1")
    await house.advance(TELLING - timedelta(seconds=1))
    house.stand_at(TELLING)
    async with house.database.begin() as session:
        await plan_trial_endings(session, house.catalogue.trial, house.now)
    await house.office(Meanwhile(house.smtp(), lambda: house.erase("rodzic-a"))).send_due(house.now)
    await house.advance(house.now + timedelta(days=30))
    assert len(house.letters()) == 1
    assert set(await where_is(house, "rodzic-a")) <= {"audit"}
    assert await house.rows("select text, html, subject from letter") == [(None, None, None)]


@pytest.mark.parametrize("is_first", ["the case", "the erasure"])
async def test_i30_a_case_opened_while_its_buyer_is_erased_names_nobody(house: House, is_first: str) -> None:
    """Whoever opens it has read the buyer before; only one of the two transactions can be first."""
    await house.register("rodzic-a")

    async def open_case(session: AsyncSession) -> None:
        await cases.open_case(session, "finding", "ref_1", house.now, account="rodzic-a", cause="seen")

    async def erase(session: AsyncSession) -> None:
        await privacy.erase(session, "rodzic-a", house.now, reason="asked")

    first, second = (open_case, erase) if is_first == "the case" else (erase, open_case)
    async with house.database.begin() as leading:
        await first(leading)

        async def follow() -> None:
            async with house.database.begin() as following:
                await second(following)

        follower = asyncio.create_task(follow())
        while not await house.rows("select 1 from pg_stat_activity where wait_event_type = 'Lock'"):
            assert not follower.done(), "nobody waited for the other"
            await asyncio.sleep(0.01)
    await follower
    assert await house.rows("select about, account from finance_case") == [("ref_1", None)]


async def test_r57_i30_money_that_comes_after_erasure_goes_back_and_brings_nothing_back(house: House) -> None:
    await house.family("rodzic-a", "dziecko-1")
    url = await house.click(await house.token("rodzic-a", "dziecko-1"))
    await house.pay(url, "p24", "pending")
    await house.settle()
    await house.erase("rodzic-a")
    await house.settle_payment(url, "succeeded")
    await house.advance(house.now + timedelta(days=3))
    assert await house.rows("select reason, amount, state from refund") == [("late", 4499, "succeeded")]
    assert set(await where_is(house, "rodzic-a")) <= {"audit"}
    assert house.letters() == []
    await check(house)


async def test_r57_a_page_left_open_at_erasure_may_still_be_paid_and_is_given_back(house: House) -> None:
    await house.family("rodzic-a", "dziecko-1")
    url = await house.click(await house.token("rodzic-a", "dziecko-1"))
    await house.erase("rodzic-a")
    await house.pay(url)
    await house.advance(house.now + timedelta(days=3))
    assert await house.rows("select reason, amount, state from refund") == [("late", 4499, "succeeded")]
    await check(house)


async def test_r3_r88_the_pass_stays_the_pupils_for_the_other_parent(house: House) -> None:
    await a_full_life(house)
    await house.erase("rodzic-a")
    answer = await house.answer("rodzic-b", "dziecko-1")
    assert (answer.allowed, answer.reason) == (True, "paid")


@pytest.mark.parametrize(("days", "there"), [(14, True), (15, False)])
async def test_r90_who_never_confirms_is_forgotten_after_fourteen_days(house: House, days: int, there: bool) -> None:
    await house.register("nowa", email_confirmed=False)
    await house.link("nowa", "dziecko-1")
    last = at_hour(date(2026, 9, 1) + timedelta(days=days), 0)
    await house.advance(last + timedelta(hours=0 if days == 15 else 23, minutes=0 if days == 15 else 59))
    assert bool(await house.rows("select 1 from account where account = 'nowa'")) is there
    if not there:
        await house.settle()
        assert set(await where_is(house, "nowa", "dziecko-1")) <= {"audit"}
        assert {letter.subject for letter in house.letters()} == {house.letters()[0].subject}


async def test_r91_an_export_holds_all_of_one_parent_and_nothing_of_the_other(house: House) -> None:
    await a_full_life(house)
    async with house.database.begin() as session:
        mine: Any = await privacy.collect(session, "rodzic-a")
        theirs: Any = await privacy.collect(session, "rodzic-b")
    assert "rodzic-b" not in json.dumps(mine, default=str)
    assert "rodzic-a" not in json.dumps(theirs, default=str)
    assert mine["account"]["email"] == "rodzic-a@rodzice.example"
    assert sorted(link["pupil"] for link in mine["pupils"]) == ["dziecko-1", "dziecko-2"]
    mine["orders"].sort(key=itemgetter("state"), reverse=True)
    assert [order["state"] for order in mine["orders"]] == ["paid", "incomplete"]
    assert [sorted(consent["kind"] for consent in order["consents"]) for order in mine["orders"]] == [
        ["start_now", "terms"]
    ] * 2
    assert [paid["amount"]["amount"] for paid in mine["orders"][0]["payments"]] == [4499]
    assert {letter["kind"] for letter in mine["letters"]} == {"trial_ending", "order_confirmation"}
    assert theirs["orders"] == []
    with pytest.raises(NotFound):
        async with house.database.begin() as session:
            await privacy.collect(session, "nobody")
