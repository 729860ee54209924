"""Disputes: the right stays until the bank has decided against us; every order of the news ends the same (R60, I01)."""

import itertools
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.days import at_hour
from billing.kernel.errors import Conflict
from billing.sandbox.postgres import EmbeddedPostgres
from billing.withdrawals import dispute_rules as rules
from tests.services.again import begin
from tests.services.house import House, spread
from tests.services.invariants import check, end_state

STATES = [*rules.STATES]


async def bought(house: House, account: str = "anna", pupil: str = "p1", method: str = "card") -> str:
    """A family that has paid; answers the charge."""
    await house.family(account, pupil)
    await house.buy(account, pupil, method=method)
    order = "select stripe_charge from payment order by recorded_at desc, id desc limit 1"
    return str(await house.one(order))


async def argue(house: House, charge: str, *outcomes: str) -> None:
    for outcome in outcomes:
        await house.world.control(f"charges/{charge}/dispute", {"outcome": outcome})
        await house.settle()


async def cases(house: House, kind: str = "dispute") -> list[tuple[Any, ...]]:
    return spread(await house.rows("select state, outcome from finance_case where kind = :kind order by id", kind=kind))


async def rights(house: House) -> list[tuple[Any, ...]]:
    return spread(await house.rows("select pupil, state from subscription order by pupil"))


async def balance(house: House, account: str) -> int:
    query = "select coalesce(sum(amount), 0) from ledger_line where account = :account"
    return int(await house.one(query, account=account))


@pytest.mark.parametrize("method", ["card", "blik"])
async def test_r60_a_dispute_keeps_the_right_until_it_is_lost_then_the_pass_ends(house: House, method: str) -> None:
    charge = await bought(house, method=method)
    await argue(house, charge, "opened")
    assert await rights(house) == [("p1", "active")]
    assert (await house.answer("anna", "p1")).allowed
    assert await cases(house) == [("open", None)]
    await check(house)
    await argue(house, charge, "lost")
    assert await rights(house) == [("p1", "disputed")]
    assert await cases(house) == [("closed", "lost")]
    await check(house)
    assert (await house.answer("anna", "p1")).reason == "trial", "R21: its trial runs on"
    await house.advance(at_hour(date(2026, 10, 10), 8))
    answer = await house.answer("anna", "p1")
    assert (answer.allowed, answer.reason) == (False, "trial_ended")
    assert len(await house.rows("select 1 from letter where kind = 'trial_ending' and state = 'handed_over'")) == 1


async def test_r60_after_the_trial_the_answer_names_the_dispute(house: House) -> None:
    await house.family("anna", "p1")
    await house.advance(at_hour(date(2026, 10, 10), 8))
    await house.buy("anna", "p1", method="card")
    await argue(house, str(await house.one("select stripe_charge from payment")), "opened", "lost")
    answer = await house.answer("anna", "p1")
    assert (answer.allowed, answer.reason) == (False, "disputed")


async def test_r60_a_dispute_won_closes_its_case_and_changes_nothing_else(house: House) -> None:
    charge = await bought(house)
    before = await house.rows("select state, since, until from subscription")
    await argue(house, charge, "opened", "won")
    assert await house.rows("select state, since, until from subscription") == before
    assert await cases(house) == [("closed", "won")]
    assert await balance(house, "chargebacks") == 0
    assert await house.rows("select kind from letter where kind = 'dispute_lost'") == []
    await check(house)


async def test_r60_the_buyer_is_told_once_that_the_right_has_ended(house: House) -> None:
    charge = await bought(house)
    await argue(house, charge, "opened", "lost")
    letters = await house.rows("select account, state from letter where kind = 'dispute_lost'")
    assert spread(letters) == [("anna", "handed_over")]
    told = await house.one("select text from letter where kind = 'dispute_lost'")
    assert str(await house.one("select number from orders")) in told


async def test_i04_nothing_brings_a_right_back_that_a_lost_dispute_ended(house: House) -> None:
    charge = await bought(house)
    told = [*house.world.receiver.letters]
    await argue(house, charge, "opened", "lost")
    for letter in told + house.world.receiver.letters:
        assert not await house.keep_event(letter.body)
    again = "update stripe_event set state = 'new', tries = 0, handled_at = null, due_at = received_at"
    await house.rows_changed(again)
    await house.settle()
    assert await rights(house) == [("p1", "disputed")]
    await check(house)


async def test_a_lost_dispute_about_money_that_went_back_before_leaves_the_right_that_stands_on_other_money(
    house: House,
) -> None:
    first = await bought(house, "anna", "p1")
    await house.register("jan")
    await house.link("jan", "p1")
    await house.rows_changed("update payment set refund_reserved = 0")
    order = await house.one("select order_id from payment")
    await house.rows_changed(
        "insert into payment (id, order_id, stripe_payment_intent, stripe_charge, amount, currency, method,"
        " captured_at, amount_refunded, refund_reserved, recorded_at) select gen_random_uuid(), order_id, 'pi_other',"
        " 'ch_other', amount, currency, method, captured_at, 0, 0, recorded_at from payment"
    )
    await argue(house, first, "opened", "lost")
    assert await rights(house) == [("p1", "active")], "the other payment of the order still pays for it"
    assert await cases(house) == [("closed", "lost")]
    assert order


async def test_i01_the_news_of_a_dispute_in_any_order_with_copies_ends_the_same(
    house: House, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    async def lost(house: House) -> None:
        await house.world.control("faults", {"webhooks": "drop"})
        await house.family("anna", "p1")
        url = await house.click(await house.token("anna", "p1"))
        await house.pay(url, "card")
        (charge,) = house.world.standin._store.all_of("charge")
        for outcome in ("opened", "lost"):
            await house.world.control(f"charges/{charge['id']}/dispute", {"outcome": outcome})

    beginning = await begin(house, postgres, tmp_path, lost)
    wanted: dict[str, Any] | None = None
    orders = list(itertools.permutations(range(4)))
    for number, order in enumerate(random.Random(60).sample(orders, 6)):
        async with beginning.lived() as lived:
            rows = lived.world.standin._store.rows("SELECT type, body FROM events ORDER BY seq")
            told = [body.encode() for kind, body in rows if kind == "checkout.session.completed" or "dispute" in kind]
            assert len(told) == 4
            for place in [*order, *order[:2]]:
                await lived.keep_event(told[place])
                if number % 2:
                    await lived.settle(without={"checkout.sweep"})
            await lived.settle()
            await check(lived)
            found = await end_state(lived)
            wanted = wanted or found
            assert found == wanted, order
            assert await rights(lived) == [("p1", "disputed")]
            assert await cases(lived) == [("closed", "lost")]


async def test_a_dispute_of_somebody_elses_payment_changes_nothing(house: House) -> None:
    charge = await house.world.paid()
    await house.world.control(f"charges/{charge.id}/dispute", {"outcome": "opened"})
    await house.settle()
    assert await cases(house) == []
    states = await house.rows("select distinct state from stripe_event where type like 'charge.dispute.%'")
    assert spread(states) == [("ignored",)]


@given(st.sampled_from(STATES), st.sampled_from(STATES))
def test_i17_a_dispute_moves_along_drawn_edges_only(before: rules.State, after: rules.State) -> None:
    if (before, after) in rules.MOVES:
        assert rules.move(before, after) == after
    else:
        with pytest.raises(Conflict):
            rules.move(before, after)


@given(st.text(max_size=20))
def test_r60_a_word_we_do_not_know_never_ends_a_right(word: str) -> None:
    if word not in {"won", "lost", "warning_closed", "prevented"}:
        assert rules.state_of(word) == "open"


@pytest.mark.parametrize(
    ("told", "state", "takes"),
    [
        ("warning_needs_response", "open", False),
        ("warning_under_review", "open", False),
        ("warning_closed", "won", False),
        ("prevented", "won", False),
        ("needs_response", "open", True),
        ("under_review", "open", True),
        ("won", "won", True),
        ("lost", "lost", True),
    ],
)
def test_r60_every_word_of_the_provider_has_its_meaning(told: str, state: str, takes: bool) -> None:
    assert (rules.state_of(told), rules.takes_money(told)) == (state, takes)


@given(st.integers(-9000, 20000), st.integers(1, 9000), st.integers(0, 4))
def test_i03_rights_stand_on_money_exactly_when_it_pays_for_all_of_them(kept: int, unit: int, held: int) -> None:
    assert rules.is_covered(kept, unit, held) == (kept // unit >= held if kept >= 0 else held * unit <= kept)
