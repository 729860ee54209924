"""A letter says what is true when it goes, to everybody it concerns, and to nobody else (I19, I20, R24–R30)."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal

import asyncpg
import pytest

from billing.kernel.days import at_hour
from billing.notices import service as notices
from billing.notices.planning import plan_trial_endings
from billing.sandbox.postgres import SUPERUSER
from entitlements import service as desk
from tests.services.house import House
from tests.services.invariants import check
from tests.services.letters import TELLING, D, bound, ready, states
from tests.services.mailers import Meanwhile


async def test_f48_r30_who_pays_between_planning_and_sending_cancels_the_letters_to_both_parents(house: House) -> None:
    await house.family("anna", "p1")
    await house.family("jan", "p1")
    await ready(house, "ewa")
    await house.pay(await house.click(await house.token("anna", "p1")))
    await house.settle(without={"letters.send"})
    await house.settle()
    assert {letter.to.partition("@")[0] for letter in house.letters() if letter.subject.startswith("Od ")} == {"ewa"}
    assert {row for row in await states(house) if row[0] != "ewa"} == {
        ("anna", "dropped", "paid_or_unlinked"),
        ("jan", "dropped", "paid_or_unlinked"),
    }


async def test_r25_nobody_is_told_of_an_end_when_a_sponsor_pays_beyond_it(house: House) -> None:
    await ready(house)
    async with house.database.begin() as session:
        await desk.add_grant(
            session, pupil="anna-p1", source="sponsored", origin="spn_1", features=house.catalogue.add_ons,
            since=house.now, until=datetime(2027, 6, 30, 22, tzinfo=UTC), at=house.now,
        )  # fmt: skip
    await house.advance(house.now + timedelta(days=30))
    assert house.letters() == []


async def test_r25_a_pass_bought_for_next_season_keeps_its_trial_quiet_and_this_seasons_trial_told(
    house: House,
) -> None:
    house.stand_at(datetime(2027, 6, 2, 8, tzinfo=UTC))
    await house.family("anna", "p1")
    (reverts,) = (await house.rows("select reverts_on from trial"))[0]
    assert reverts == date(2027, 7, 2)
    await house.buy("anna", "p1")
    await house.advance(datetime(2027, 6, 30, 12, tzinfo=UTC))
    house.stand_at(datetime(2027, 7, 1, 8, tzinfo=UTC))
    await house.link("anna", "p1")
    await house.advance(datetime(2027, 9, 1, 8, tzinfo=UTC))
    late = [letter.subject for letter in house.letters() if letter.sent_at > "2027-07-01"]
    assert late == [], "I20: told of an end to somebody who has paid"
    assert (await house.answer("anna", "p1")).reason == "paid"


async def test_r21_a_pass_that_begins_later_does_not_hide_that_the_trial_ends_before(house: House) -> None:
    house.stand_at(datetime(2027, 5, 12, 8, tzinfo=UTC))
    await house.family("anna", "p1")
    (reverts,) = (await house.rows("select reverts_on from trial"))[0]
    assert reverts == date(2027, 6, 11)
    house.stand_at(datetime(2027, 6, 1, 5, tzinfo=UTC))
    await house.buy("anna", "p1")
    await house.advance(datetime(2027, 6, 20, 8, tzinfo=UTC))
    told = [letter for letter in house.letters("anna") if letter.subject.startswith("Od ")]
    answer = await house.answer("anna", "p1")
    assert answer.allowed or told, "nobody untold falls back"
    assert (await house.answer("anna", "p1", datetime(2027, 6, 30, 22, tzinfo=UTC))).allowed


async def end_as_the_others(house: House, pupil: str, tell_from: datetime) -> None:
    """The pupil's trial ends on D too."""
    await house.rows_changed(
        "with moved as (update trial set reverts_on = :day, ends_at = :ends, told_by = :by, tell_from = :from_"
        " where pupil = :pupil returning id, tell_from)"
        " update trial_to_tell u set tell_from = moved.tell_from from moved where u.trial = moved.id",
        day=D, ends=at_hour(D, 0), by=at_hour(date(2026, 9, 24), 0), from_=tell_from, pupil=pupil,
    )  # fmt: skip


async def test_f15_i18_a_letter_that_was_taken_while_all_connections_are_lost_goes_once(house: House) -> None:
    await ready(house, "anna")
    host, name = house.database.engine.url.query["host"], house.database.engine.url.database

    async def a_restart() -> None:
        link = await asyncpg.connect(user=SUPERUSER, database="postgres", host=str(host))
        query = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1"
        assert await link.fetchval(query, name) > 0
        await link.close()

    await house.office(Meanwhile(house.smtp(), a_restart)).send_due(house.now)
    assert await house.one("select state from letter") == "handed_over"
    await house.advance(house.now + timedelta(days=1))
    assert len(house.letters("anna")) == 1


async def test_i19_a_pupil_added_while_the_letter_is_with_the_server_is_not_taken_for_told(house: House) -> None:
    await ready(house, "anna")
    pupils_trial = await house.one("select tell_from from trial")

    async def a_second_pupil() -> None:
        await house.link("anna", "late")
        await end_as_the_others(house, "late", pupils_trial)
        async with house.database.begin() as session:
            await plan_trial_endings(session, house.catalogue.trial, house.now)

    await house.office(Meanwhile(house.smtp(), a_second_pupil)).send_due(house.now)
    (letter,) = house.letters("anna")
    assert "dotyczy: 1" in (letter.text or "")
    assert (await bound(house, "late"))[0] is None, "R21: this pupil was not in the letter"
    await house.advance(house.now + timedelta(days=2))
    assert await bound(house, "late") == ("told", date(2026, 10, 2))
    assert len(house.letters("anna")) == 2


async def test_i19_an_account_told_of_the_same_day_about_another_pupil_is_told_of_this_one_too(house: House) -> None:
    await house.family("anna", "p1")
    await house.family("jan", "p2")
    await ready(house, "ewa")
    house.misbehave("tempfail", "jan@")
    await house.settle()
    await house.link("anna", "p2")
    house.misbehave()
    await house.advance(house.now + timedelta(days=2))
    reason, day = await bound(house, "p2")
    assert reason == "told"
    for account in ("anna", "jan"):
        told = await house.rows(
            "select pupils, handed_over_at from letter where account = :account and day = :day",
            account=account,
            day=day,
        )
        assert [row for row in told if "p2" in row.pupils and row.handed_over_at], f"{account} was not told of p2"


async def test_r29_a_pupil_added_to_a_bounced_notice_is_pending_too(house: House) -> None:
    await house.family("jan", "p2")
    await ready(house)
    house.misbehave("bounce", "anna@")
    await house.settle()
    await house.link("anna", "late")
    await end_as_the_others(house, "late", TELLING)
    await house.settle()
    assert (await house.answer("anna", "anna-p1")).notice_pending
    assert (await house.answer("anna", "late")).notice_pending


async def test_r26_the_mail_of_a_child_goes_to_the_guardian_and_none_to_the_unconfirmed(house: House) -> None:
    await house.family("child", "p1", age_band="under_13", kind="pupil", guardian_email="mum@rodzice.example")
    await house.family("new", "p1", email_confirmed=False)
    await ready(house, "ewa")
    await house.settle()
    assert {letter.to for letter in house.letters() if letter.subject.startswith("Od ")} == {
        "mum@rodzice.example",
        "ewa@rodzice.example",
    }


async def test_r24_three_pupils_of_one_day_are_one_letter_and_another_day_is_another(house: House) -> None:
    await house.family("anna", "p1", "p2", "p3")
    house.stand_at(house.now + timedelta(days=1))
    await house.link("anna", "p4")
    await house.advance(house.now + timedelta(days=25))
    first, second = house.letters("anna")
    assert ("dotyczy: 3" in (first.text or ""), "dotyczy: 1" in (second.text or "")) == (True, True)
    await check(house)


async def test_i20_a_pupil_unlinked_between_planning_and_sending_is_in_no_letter(house: House) -> None:
    await house.family("jan", "p1")
    await house.family("ewa", "p2", "p3")
    await ready(house)
    await house.unlink("jan", "p1")
    await house.unlink("ewa", "p2")
    await house.settle()
    assert "dotyczy: 1" in (house.letters("ewa")[0].text or "")
    assert house.letters("jan") == []
    assert ("jan", "dropped", "paid_or_unlinked") in await states(house)


async def test_r25_a_notice_that_the_app_shows_after_the_payment_tells_nobody_of_an_end(house: House) -> None:
    await house.family("jan", "p2")
    await ready(house)
    house.misbehave("bounce")
    await house.settle()
    assert (await house.answer("anna", "anna-p1")).notice_pending
    await house.buy("anna", "anna-p1")
    assert not (await house.answer("anna", "anna-p1")).notice_pending, "the app is asked no more"
    await house.shown("anna")
    assert ("anna", "dropped", "paid_or_unlinked") in await states(house)
    await check(house)


@pytest.mark.parametrize("trouble", ["bounce", "tempfail"])
async def test_r29_what_the_app_shows_while_the_letter_is_with_the_mail_server_stays_told(
    house: House, trouble: Literal["bounce", "tempfail"]
) -> None:
    await ready(house)
    async with house.database.begin() as session:
        await plan_trial_endings(session, house.catalogue.trial, house.now)

    async def show() -> None:
        async with house.database.begin() as session:
            for row in await notices.notices_of(session, "anna"):
                await notices.shown(session, notices.letter_id(row), house.catalogue.trial, house.now)

    house.misbehave(trouble)
    await house.office(Meanwhile(house.smtp(), show)).send_due(house.now)
    assert await house.rows("select state, server_answer from letter") == [("handed_over", "shown in the app")]
    assert await bound(house, "anna-p1") == ("told", D)
    assert not (await house.answer("anna", "anna-p1")).notice_pending
    assert await house.one("select bounced_at is not null from account") == (trouble == "bounce")


async def test_i20_a_notice_of_a_day_that_moved_is_not_shown_and_the_new_day_is(house: House) -> None:
    await ready(house)
    house.misbehave("bounce")
    await house.settle()
    await house.advance(at_hour(D - timedelta(days=7), 1))
    assert await states(house) == [("anna", "dropped", "day_moved")]
    assert not (await house.answer("anna", "anna-p1")).notice_pending
    new = (await bound(house, "anna-p1"))[1]
    await house.advance(at_hour(new - timedelta(days=8), 12))
    assert (await house.answer("anna", "anna-p1")).notice_pending
    await house.shown("anna")
    assert await bound(house, "anna-p1") == ("told", new)
