"""A bank that thinks again, heard of or not in between: all ends as its last word says (R60, I01, I04)."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from billing.payments.facts import ProviderBusy
from billing.sandbox.postgres import EmbeddedPostgres
from billing.sandbox.stripe import disputes as at_stripe
from billing.withdrawals import dispute_rules as rules
from billing.withdrawals.disputes import apply_dispute
from tests.histories.direct import books_of
from tests.services.again import begin
from tests.services.house import House
from tests.services.invariants import check

HOUR = timedelta(hours=1)
LATER = datetime(2026, 12, 1, 12, tzinfo=UTC)
AFTER = {
    "": ("warning_needs_response", "needs_response"),
    "warning_needs_response": ("warning_under_review", "warning_closed", "needs_response"),
    "warning_under_review": ("warning_closed", "needs_response"),
    "warning_closed": ("needs_response",),
    "needs_response": ("under_review", "lost", "won"),
    "under_review": ("lost", "won"),
    "lost": ("won",),
    "won": ("lost",),
}
"""What a bank may say next."""


def chains(most: int, said: tuple[str, ...] = (), last: str = "") -> Iterator[tuple[str, ...]]:
    if said:
        yield said
    if len(said) < most:
        for word in AFTER[last]:
            yield from chains(most, (*said, word), word)


class Known:
    """What the rules make of words, one after another."""

    def __init__(self) -> None:
        self.state: rules.State = "open"
        self.is_taken = False

    def hear(self, told: str) -> None:
        after = rules.turn(self.state, told, is_taken=self.is_taken)
        self.is_taken |= rules.takes_money(told)
        if after is not None:
            self.state = rules.move(self.state, after)


def test_i01_whatever_of_a_dispute_was_heard_of_it_is_in_the_end_what_the_last_word_says() -> None:
    seen = 0
    for chain in chains(7):
        for heard in itertools.product((0, 1, 2), repeat=len(chain) - 1):
            known = Known()
            for word, times in zip(chain, (*heard, 1), strict=True):
                for _ in range(times):
                    known.hear(word)
            assert known.state == rules.state_of(chain[-1]), (chain, heard)
            assert known.is_taken == rules.takes_money(chain[-1])
            seen += 1
    assert seen > 10_000


def test_i01_words_read_earlier_and_told_later_take_nothing_back_until_the_bank_itself_thinks_again() -> None:
    for chain in chains(5):
        if {"lost", "won"} <= set(chain):
            continue
        for told in itertools.permutations(chain):
            known = Known()
            for word in told:
                known.hear(word)
            assert known.is_taken == any(map(rules.takes_money, chain))
            if chain[-1] in {"lost", "won", "warning_closed"}:
                assert known.state == rules.state_of(chain[-1]), told


# On real parts


async def prepare(house: House) -> None:
    """Two pupils, one order, paid by card; nothing of what follows reaches us by itself."""
    await house.family("anna", "p1", "p2")
    await house.buy("anna", "p1", "p2", method="card")


def say(house: House, word: str) -> None:
    """The bank's next word, as Stripe tells it."""
    store = house.world.standin._store
    with store.transaction():
        books = books_of(house.world.standin)
        known = books.store.all_of("dispute")
        dispute = known[0] if known else at_stripe.open_dispute(books, books.store.all_of("charge")[0])
        if word in {"lost", "won"}:
            at_stripe.close(books, dispute, won=word == "won")
        elif dispute["status"] != word:
            dispute["status"] = word
            books.save(dispute)
            books.emit("charge.dispute.updated", dispute)


async def the_end(house: House) -> dict[str, Any]:
    """What a bank's words have come to, without the way there."""
    rights = "select pupil, until from subscription where state in ('active', 'past_due', 'paused') order by 1"
    books = "select account, sum(amount) from ledger_line group by 1 having sum(amount) <> 0 order by 1"
    held = "select kind from finance_case where state <> 'closed' order by 1"
    ends = "select kind, outcome from finance_case where kind = 'dispute'"
    grants = (
        """select pupil, source, until from entitlement_grant where until > :later and since < until order by 1, 2"""
    )
    return {
        "dispute": [tuple(row) for row in await house.rows("select state, told, amount from dispute")],
        "rights": [tuple(row) for row in await house.rows(rights)],
        "grants": [tuple(row) for row in await house.rows(grants, later=LATER)],
        "money": [tuple(row) for row in await house.rows("select amount, refund_reserved from payment")],
        "books": [tuple(row) for row in await house.rows(books)],
        "cases": [row.kind for row in await house.rows(held)],
        "ended": [tuple(row) for row in await house.rows(ends)],
        "answers": [
            (decision.allowed, decision.reason)
            for pupil in ("p1", "p2")
            for decision in [await house.answer("anna", pupil, at) for at in (house.now + HOUR, LATER)]
        ],
    }


async def lived(house: House, chain: tuple[str, ...], heard: tuple[int, ...]) -> dict[str, Any]:
    """Each word is heard of at once, or only with the next ones; then everything is told once more, backwards."""
    for word, is_heard in zip(chain, (*heard, 1), strict=True):
        house.stand_at(house.now + HOUR)
        say(house, word)
        if is_heard:
            await house.settle(without={"reconciliation.recent"})
            await check(house)
    for letter in reversed(house.world.receiver.letters):
        await house.keep_event(letter.body)
    await house.rows_changed("update stripe_event set state = 'new', tries = 0 where type like 'charge.dispute%'")
    house.stand_at(house.now + HOUR)
    await house.settle()
    await check(house)
    return await the_end(house)


SHORT = (("needs_response", "lost", "won"), ("needs_response", "won", "lost"))
LONG = (("needs_response", "lost", "won", "lost"), ("needs_response", "won", "lost", "won"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "chain", [*SHORT, *(pytest.param(each, marks=pytest.mark.slow) for each in LONG)], ids="-".join
)
async def test_i01_i04_r60_a_dispute_that_turns_ends_the_same_whatever_of_it_was_heard_of_in_between(
    house: House, postgres: EmbeddedPostgres, tmp_path: Path, chain: tuple[str, ...]
) -> None:
    beginning = await begin(house, postgres, tmp_path, prepare)
    wanted: dict[str, Any] | None = None
    for heard in itertools.product((1, 0), repeat=len(chain) - 1):
        async with beginning.lived() as made:
            found = await lived(made, chain, heard)
            wanted = wanted or found
            assert found == wanted, (chain, heard)
    assert wanted is not None
    if chain[-1] == "won":
        assert [pupil for pupil, _ in wanted["rights"]] == ["p1", "p2"]
        assert set(wanted["answers"]) == {(True, "paid")}
        assert (wanted["cases"], wanted["ended"]) == ([], [("dispute", "won")])
    else:
        assert wanted["rights"] == []
        assert wanted["answers"][1] == wanted["answers"][3] == (False, "trial_ended")
        assert (wanted["cases"], wanted["ended"]) == ([], [("dispute", "lost")])


async def test_r60_an_inquiry_that_was_over_and_becomes_a_dispute_takes_the_right_when_it_is_lost(
    house: House,
) -> None:
    await prepare(house)
    for word in ("warning_needs_response", "warning_closed"):
        house.stand_at(house.now + HOUR)
        say(house, word)
        await house.settle()
    assert [tuple(row) for row in await house.rows("select state, taken_at from dispute")] == [("won", None)]
    for word, state in (("needs_response", "open"), ("lost", "lost")):
        house.stand_at(house.now + HOUR)
        say(house, word)
        await house.settle()
        assert await house.one("select state from dispute") == state
    found = await the_end(house)
    assert (found["rights"], found["cases"], found["ended"]) == ([], [], [("dispute", "lost")])
    assert ("chargebacks", 8998) in found["books"]
    await check(house)


async def test_i01_what_was_read_before_the_bank_thought_again_and_is_told_after_is_read_again(house: House) -> None:
    await prepare(house)
    await house.world.control(
        f"charges/{await house.one('select stripe_charge from payment')}/dispute", {"outcome": "lost"}
    )
    name = house.world.standin._store.all_of("dispute")[0]["id"]
    early, early_at = await house.services.gateway.read_dispute(name), house.now
    house.stand_at(house.now + HOUR)
    say(house, "won")
    await house.settle()
    assert await house.one("select state from dispute") == "won"
    with pytest.raises(ProviderBusy):
        async with house.database.begin() as session:
            await apply_dispute(session, early, early_at)
    assert await house.one("select state from dispute") == "won"
    async with house.database.begin() as session:
        unheard = msgspec.structs.replace(early, state="warning_closed")
        assert (await apply_dispute(session, unheard, early_at)).startswith("dispute won")
    assert await house.one("select told from dispute") == "won"
    await check(house)


async def test_i11_i12_a_family_that_bought_again_meanwhile_has_one_right_and_a_person_decides_about_the_money(
    house: House,
) -> None:
    await prepare(house)
    charge = await house.one("select stripe_charge from payment")
    await house.world.control(f"charges/{charge}/dispute", {"outcome": "lost"})
    await house.settle()
    await house.buy("anna", "p1", method="blik")
    house.stand_at(house.now + HOUR)
    say(house, "won")
    await house.settle()
    live = await house.rows("select pupil, state from subscription where state = 'active' order by pupil")
    assert [tuple(row) for row in live] == [("p1", "active"), ("p2", "active")]
    cases = await house.rows("select kind, facts->>'amount' from finance_case where state = 'open'")
    assert [tuple(row) for row in cases] == [("stray_money", "4499")]


async def test_i12_money_that_is_back_when_the_season_is_over_buys_nothing_and_a_person_decides(house: House) -> None:
    await prepare(house)
    charge = await house.one("select stripe_charge from payment")
    await house.world.control(f"charges/{charge}/dispute", {"outcome": "lost"})
    await house.settle()
    house.stand_at(datetime(2027, 8, 1, tzinfo=UTC))
    say(house, "won")
    await house.settle(without={"notices.send"})
    assert await house.one("select count(*) from subscription where state = 'active'") == 0
    cases = await house.rows("select kind, facts->>'amount' from finance_case where kind = 'stray_money'")
    assert [tuple(row) for row in cases] == [("stray_money", "8998")]
