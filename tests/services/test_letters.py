"""One letter, once: whatever the mail server, the process or the neighbour does meanwhile (I18–I20, F44–F48)."""

import asyncio
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from billing.kernel.days import at_hour
from billing.notices.mailer import DeliveryUnknown, SmtpMailer
from billing.notices.sending import LEASE
from tests.services.house import House, token_in
from tests.services.letters import D, bound, ready, states
from tests.services.mailers import Breaking, Died, Meanwhile


async def test_i18_a_process_that_dies_between_the_servers_yes_and_the_commit_repeats_once_under_the_same_name(
    house: House,
) -> None:
    await ready(house)
    mailer = Breaking(house.smtp(), {1: Died})
    with pytest.raises(Died):
        await house.office(mailer).send_due(house.now)
    assert await house.office(mailer).send_due(house.now) == 0, "its lease is not over"
    house.stand_at(house.now + LEASE)
    assert await house.office(mailer).send_due(house.now) == 1
    one, two = house.letters("anna")
    assert one.headers["Message-ID"] == two.headers["Message-ID"]
    assert await house.rows("select state, doubts from letter") == [("handed_over", 1)]
    assert await bound(house, "anna-p1") == ("told", D)
    await house.advance(house.now + timedelta(days=20))
    assert len(house.letters("anna")) == 2


@pytest.mark.parametrize("mode", ["close_after_data"])
@pytest.mark.parametrize("kept", [True, False])
async def test_f46_a_server_that_never_answers_is_asked_once_more_and_then_people_look(
    house: House, mode: str, kept: bool
) -> None:
    await ready(house)
    house.misbehave(mode, kept=kept)  # pyright: ignore[reportArgumentType] - a word of the mailbox
    await house.advance(house.now + timedelta(hours=2))
    assert len(house.letters("anna")) == (2 if kept else 0)
    assert len({letter.headers["Message-ID"] for letter in house.letters()}) <= 1
    assert await states(house) == [("anna", "parked", "delivery_unknown_twice")]
    house.misbehave()
    await house.advance(house.now + timedelta(days=12))
    assert await bound(house, "anna-p1") == ("told", date(2026, 10, 5)), "R21: another day, that could be told"


async def test_f46_one_lost_answer_costs_one_repeat_and_the_day_stands(house: House) -> None:
    await ready(house)
    house.use_mailer(Breaking(house.smtp(), {1: DeliveryUnknown}))
    await house.advance(house.now + timedelta(days=20))
    assert len(house.letters("anna")) == 2
    assert await bound(house, "anna-p1") == ("told", D)


async def test_i18_a_fault_of_ours_after_the_servers_yes_costs_one_repeat_and_then_people_look(house: House) -> None:
    await ready(house)
    house.use_mailer(Breaking(house.smtp(), dict.fromkeys(range(1, 9), ValueError)))
    await house.advance(house.now + timedelta(hours=6))
    assert len(house.letters("anna")) == 2
    assert await states(house) == [("anna", "parked", "delivery_unknown_twice")]


async def test_f47_while_one_worker_waits_for_a_slow_server_another_takes_the_rest_and_nobody_is_told_twice(
    house: House,
) -> None:
    await ready(house, "anna", "jan", "ewa")
    began = house.now

    async def neighbour() -> None:
        house.stand_at(began + LEASE + timedelta(seconds=1))
        await house.office().send_due(house.now)

    mailer = Meanwhile(house.smtp(), neighbour)
    await house.office(mailer).send_due(began)
    others = [letter.to for letter in house.letters() if letter.to != mailer.first]
    assert len(others) == len(set(others)) == 2
    assert len(house.letters()) <= 4, "the one in doubt comes at most twice"


async def test_f47_a_letter_whose_turn_came_late_is_not_taken_for_lost_while_the_server_has_it(house: House) -> None:
    await ready(house, "anna", "jan")
    began = house.now

    async def neighbour() -> None:
        house.stand_at(began + LEASE + timedelta(seconds=0.9))
        await house.office().send_due(house.now)

    async def slowly() -> None:
        await asyncio.sleep(1.1)

    mailer = Meanwhile(house.smtp(), slowly, neighbour)
    await house.office(mailer).send_due(began)
    assert sorted(letter.to for letter in house.letters()) == sorted({letter.to for letter in house.letters()})
    assert await states(house) == [("anna", "handed_over", None), ("jan", "handed_over", None)]
    assert await house.one("select sum(doubts) from letter") == 0


async def test_r29_a_refused_address_is_not_written_to_again_and_the_app_is_asked_to_tell(house: House) -> None:
    await ready(house)
    house.misbehave("bounce")
    await house.settle()
    assert await states(house) == [("anna", "bounced", None)]
    assert (await house.answer("anna", "anna-p1")).notice_pending
    house.misbehave()
    await house.advance(house.now + timedelta(days=1))
    assert house.letters() == []
    assert await bound(house, "anna-p1") == (None, D)
    await house.shown("anna")
    assert await bound(house, "anna-p1") == ("told", D)
    assert not (await house.answer("anna", "anna-p1")).notice_pending


async def test_r29_shown_too_late_does_not_bind_and_three_prolongations_later_people_decide(house: House) -> None:
    await ready(house)
    house.misbehave("bounce")
    for _ in range(3):
        before = (await bound(house, "anna-p1"))[1]
        await house.advance(at_hour(before - timedelta(days=7), 0) - timedelta(seconds=1))
        assert (await bound(house, "anna-p1"))[1] == before
        await house.advance(house.now + timedelta(hours=1))
        assert (await bound(house, "anna-p1"))[1] > before
        await house.settle()
    last = (await bound(house, "anna-p1"))[1]
    await house.advance(at_hour(last, 0) + timedelta(days=3))
    assert (await house.answer("anna", "anna-p1")).allowed, "R21: untold, so it runs on"
    assert await house.one("select staff_since is not null from trial")
    assert await house.one("select prolongations from trial") == 3


async def test_f44_a_server_that_says_later_is_asked_again_ever_less_often_and_only_in_daytime(house: House) -> None:
    await ready(house)
    house.misbehave("tempfail")
    waits: list[timedelta] = []
    for _ in range(12):
        assert await house.office().send_due(house.now) == 1
        due = await house.one("select due_at from letter")
        waits.append(due - house.now)
        house.stand_at(due)
    assert [wait.total_seconds() for wait in waits[:4]] == [5, 10, 20, 40]
    assert max(waits) == timedelta(hours=1)
    house.stand_at(at_hour(date(2026, 9, 21), 20))
    assert await house.office().send_due(house.now) == 1, "it waits for the morning"
    assert await house.one("select due_at from letter") == at_hour(date(2026, 9, 22), 8)
    house.misbehave()
    await house.advance(house.now + timedelta(days=1))
    (letter,) = house.letters("anna")
    assert letter.sent_at == "2026-09-22T06:00:00Z"


@pytest.mark.parametrize("minute", [54, 55, 56])
async def test_r27_five_to_eight_is_not_eight(house: House, minute: int) -> None:
    await ready(house)
    house.stand_at(datetime(2026, 9, 22, 5, minute, tzinfo=UTC))
    await house.office().send_due(house.now)
    assert house.letters() == []


async def test_f45_one_bad_address_among_many_stops_no_other(house: House) -> None:
    names = [f"a{number:02d}" for number in range(24)]
    await ready(house, *names, "bad")
    house.misbehave("bounce", "bad@")
    await house.settle()
    assert {letter.to.partition("@")[0] for letter in house.letters()} == set(names)
    assert ("bad", "bounced", None) in await states(house)


async def test_r31_i28_nothing_kept_anywhere_holds_a_usable_token(house: House) -> None:
    await house.family("new", "p0", email_confirmed=False)
    await ready(house)
    await house.settle()
    url = await house.buy("anna", "anna-p1")
    assert url
    secrets = {word for letter in house.letters() for word in _tokens(letter.text or "")}
    assert len(secrets) == 3
    assert token_in(house.letters("anna")[0]) in secrets
    async with house.database.begin() as session:
        tables = list(await session.scalars(text("select tablename from pg_tables where schemaname = 'public'")))
        for table in tables:
            for (row,) in await session.execute(text(f"select t::text from {table} t")):
                assert not [secret for secret in secrets if secret in row], table


def _tokens(words: str) -> list[str]:
    return re.findall(r"/(?:activate|confirm|orders)/([\w-]+)", words)


async def test_a_mail_server_that_is_gone_costs_free_days_and_never_an_unannounced_end(house: House) -> None:
    await house.family("anna", "p1")
    house.use_mailer(SmtpMailer("smtp://127.0.0.1:9"))
    await house.advance(datetime(2026, 10, 4, 8, tzinfo=UTC))
    assert (await house.answer("anna", "p1")).allowed
    house.use_mailer(house.smtp())
    await house.advance(datetime(2026, 10, 30, 8, tzinfo=UTC))
    (letter,) = house.letters("anna")
    reason, day = await bound(house, "p1")
    assert reason == "told"
    assert datetime.fromisoformat(letter.sent_at) < at_hour(day - timedelta(days=7), 0)
    assert not (await house.answer("anna", "p1", at_hour(day, 0))).allowed
