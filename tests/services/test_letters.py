"""One letter, once: whatever the mail server, the process or the neighbour does meanwhile (I18–I20, F44–F48)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from billing.kernel.days import at_hour
from billing.notices.mailer import DeliveryUnknown, SmtpMailer
from billing.notices.planning import plan_trial_endings
from billing.notices.sending import LEASE
from entitlements import service as desk
from tests.services.house import House, token_in
from tests.services.invariants import check
from tests.services.mailers import Breaking, Died, Meanwhile

D = date(2026, 10, 1)
TELLING = at_hour(date(2026, 9, 21), 8)


async def states(house: House, kind: str = "trial_ending") -> list[tuple[str, str, str | None]]:
    query = "select account, state, fault from letter where kind = :kind order by created_at, account, about"
    return [tuple(row) for row in await house.rows(query, kind=kind)]


async def ready(house: House, *accounts: str) -> None:
    """A family for each account, whose letter is due now and planned."""
    for account in accounts or ("anna",):
        await house.family(account, f"{account}-p1")
    await house.advance(TELLING - timedelta(seconds=1))
    house.stand_at(TELLING)
    async with house.database.begin() as session:
        await plan_trial_endings(session, house.catalogue.trial, house.now)


async def bound(house: House, pupil: str) -> tuple[str | None, date]:
    return tuple((await house.rows("select bound_reason, reverts_on from trial where pupil = :pupil", pupil=pupil))[0])


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
    assert await house.office().send_due(house.now) == 0
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


async def test_i19_a_pupil_added_while_the_letter_is_with_the_server_is_not_taken_for_told(house: House) -> None:
    await ready(house, "anna")
    pupils_trial = await house.one("select tell_from from trial")

    async def a_second_pupil() -> None:
        await house.link("anna", "late")
        await house.rows_changed(
            "update trial set reverts_on = :day, ends_at = :ends, told_by = :by, tell_from = :from_ "
            "where pupil = 'late'",
            day=D, ends=at_hour(D, 0), by=at_hour(date(2026, 9, 24), 0), from_=pupils_trial,
        )  # fmt: skip
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
    await house.rows_changed(
        "update trial set reverts_on = :day, ends_at = :ends, told_by = :by, tell_from = :from_ where pupil = 'late'",
        day=D, ends=at_hour(D, 0), by=at_hour(date(2026, 9, 24), 0), from_=TELLING,
    )  # fmt: skip
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
    return [
        part.split("/")[-1]
        for part in words.split()
        if "/activate/" in part or "/confirm/" in part or "/orders/" in part
    ]


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
