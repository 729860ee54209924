"""A season's passes end on a day that everybody who shares one was told of once; nothing renews by itself (R63)."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from billing.kernel.days import at_hour, start_of
from entitlements import service as desk
from tests.services.house import House, token_in
from tests.services.invariants import check
from tests.services.letters import states

BOUGHT = datetime(2027, 5, 25, 9, tzinfo=UTC)
TOLD = at_hour(date(2027, 6, 16), 8)
END = start_of(date(2027, 7, 1))
KIND = "season_ending"


async def bought(house: House, account: str = "anna", *pupils: str) -> None:
    house.stand_at(BOUGHT)
    for pupil in pupils or ("p1",):
        await house.family(account, pupil)
        await house.buy(account, pupil)
    await house.settle()


def told(house: House, account: str | None = None) -> list[str]:
    letters = [letter for letter in house.letters(account) if letter.subject.startswith("Od 1 lipca 2027")]
    return [(letter.text or "").replace("\xa0", " ") for letter in letters]


async def test_r63_over_30_june_nobody_is_charged_and_both_parents_were_told_once_with_the_next_offer(
    house: House,
) -> None:
    await bought(house)
    await house.family("jan", "p1")
    charged = await house.one("select count(*) from payment")
    await house.advance(TOLD - timedelta(seconds=1))
    assert told(house) == []
    await house.advance(TOLD + timedelta(minutes=5))
    for account in ("anna", "jan"):
        (text,) = told(house, account)
        for words in (
            "Opłacony dostęp do Mobilnych dodatków kończy się wraz z sezonem",
            "Od dnia 1 lipca 2027 r. automatycznie powróci wersja podstawowa.",
            "Dostęp od: 1 lipca 2027 r.",
            "Dostęp do: 30 czerwca 2028 r.",
            "44,99 zł",
            "Nic nie zostanie pobrane, jeśli nie złożysz zamówienia.",
        ):
            assert words in text, words
    assert (await house.answer("anna", "p1", END - timedelta(milliseconds=1))).reason == "paid"
    await house.advance(END + timedelta(days=40))
    assert (await house.answer("anna", "p1")).reason == "pass_expired"
    assert await house.one("select count(*) from payment") == charged
    assert await house.one("select count(*) from subscription where state = 'active'") == 0
    assert await states(house, KIND) == [("anna", "handed_over", None), ("jan", "handed_over", None)]
    await check(house)


async def test_r63_its_link_sells_the_next_season_while_the_pass_still_runs(house: House) -> None:
    await bought(house)
    await house.advance(TOLD + timedelta(minutes=5))
    await house.pay(await house.click(token_in(house.letters("anna")[-1])))
    await house.settle()
    assert (await house.answer("anna", "p1", END)).reason == "paid"
    assert await house.one("select until from subscription where since = :at", at=END) == start_of(date(2028, 7, 1))


async def test_r63_one_letter_names_all_pupils_of_an_account(house: House) -> None:
    await bought(house, "anna", "p1", "p2")
    await house.advance(TOLD + timedelta(minutes=5))
    (text,) = told(house)
    assert "Liczba uczniów, których to dotyczy: 2." in text


async def test_r63_i20_who_has_the_next_season_already_is_not_told(house: House) -> None:
    await bought(house)
    house.stand_at(datetime(2027, 6, 2, 8, tzinfo=UTC))
    await house.buy("anna", "p1")
    await house.advance(END)
    assert told(house) == []
    assert await states(house, KIND) == [("anna", "dropped", "paid_or_unlinked")]


async def test_r63_i20_whose_school_pays_from_july_on_is_told_only_of_what_ends(house: House) -> None:
    await bought(house, "anna", "p1", "p2")
    async with house.database.begin() as session:
        await desk.add_grant(
            session, pupil="p1", source="sponsored", origin="spn_1", features=house.catalogue.add_ons,
            since=house.now, until=END + timedelta(days=1), at=house.now,
        )  # fmt: skip
    await house.advance(TOLD + timedelta(minutes=5))
    (text,) = told(house)
    assert "Liczba uczniów, których to dotyczy: 1." in text


async def test_r63_a_mail_server_that_is_down_for_the_whole_fortnight_parks_nothing_and_tells_nobody_late(
    house: House,
) -> None:
    await bought(house)
    house.misbehave("tempfail", "anna@")
    await house.advance(END - timedelta(hours=5))
    assert [state for _, state, _ in await states(house, KIND)] == ["planned"]
    await house.advance(END + timedelta(days=1))
    house.misbehave()
    await house.advance(END + timedelta(days=2))
    assert await states(house, KIND) == [("anna", "dropped", "too_late")]
    assert told(house) == []


async def test_r29_an_address_that_bounced_is_not_written_to(house: House) -> None:
    await bought(house)
    await house.rows_changed("update account set bounced_at = :at", at=house.now)
    await house.advance(TOLD + timedelta(minutes=5))
    assert await states(house, KIND) == []


async def test_r63_how_long_before_is_for_the_catalogue_to_say(house: House) -> None:
    season = msgspec.structs.replace(house.catalogue.season, notice_days=30)
    house.catalogue = msgspec.structs.replace(house.catalogue, season=season)
    house.use_mailer(house.smtp())
    await bought(house)
    await house.advance(at_hour(date(2027, 5, 31), 8) + timedelta(minutes=5))
    (text,) = told(house)
    assert "30 czerwca 2028" in text, "what is on sale on that day would be over by then"
