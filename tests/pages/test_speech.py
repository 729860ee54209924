"""Languages, plurals, money and days."""

import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.pages import unbroken
from billing.kernel.speech import LANGUAGES, Language, choose, speak
from billing.notices.letters import write
from tests.pages import samples

FEW = {2, 3, 4, 22, 23, 24, 102, 103, 104, 122, 123, 124}
NUMBERS = (*range(26), *range(100, 126))


@pytest.mark.parametrize("number", NUMBERS)
def test_polish_counts_as_poles_do(number: int) -> None:
    """R122: 1 dzień, 2 dni, 5 dni; 1 uczeń, 2 uczniów; 1 konto, 2 konta, 5 kont, 12 kont, 22 konta."""
    polish = speak("pl")
    accounts = "konto" if number == 1 else "konta" if number in FEW else "kont"
    assert polish.accounts(number) == f"{number} {accounts}"
    assert polish.days(number) == f"{number} {'dzień' if number == 1 else 'dni'}"
    assert polish.pupils(number) == f"{number} {'uczeń' if number == 1 else 'uczniów'}"


@pytest.mark.parametrize("number", NUMBERS)
def test_ukrainian_counts_as_ukrainians_do(number: int) -> None:
    """Check 43: 1 and 21 are alike in Ukrainian, unlike in Polish."""
    one = number % 10 == 1 and number % 100 != 11
    word = "день" if one else "дні" if number in FEW else "днів"
    assert speak("uk").days(number) == f"{number} {word}"


def test_english_counts_one_and_many() -> None:
    assert [speak("en").pupils(number) for number in (0, 1, 2)] == ["0 pupils", "1 pupil", "2 pupils"]


def test_money_keeps_its_currency_beside_it_by_a_no_break_space() -> None:
    """R122: "44,99 zł"."""
    assert speak("pl").money(4499) == "44,99\u00a0zł"
    assert speak("uk").money(4499) == "44,99\u00a0zł"
    assert speak("en").money(4499) == "PLN\u00a044.99"
    assert speak("pl").money(5) == "0,05\u00a0zł"


@given(st.integers(min_value=-(10**12), max_value=10**12))
def test_money_never_loses_a_grosz(grosz: int) -> None:
    """I16: what is shown is exactly what is owed."""
    digits = "".join(letter for letter in speak("pl").money(grosz) if letter.isdigit())
    assert int(digits) == abs(grosz)


def test_days_are_written_in_words() -> None:
    """R122 and check 42."""
    assert speak("pl").day(date(2027, 6, 30)) == "30 czerwca 2027 r."
    assert speak("pl").weekday(date(2026, 11, 30)) == "poniedziałek, 30 listopada 2026 r."
    assert speak("pl").weekday(date(2026, 12, 1)) == "wtorek, 1 grudnia 2026 r."
    assert speak("uk").weekday(date(2026, 12, 1)) == "вівторок, 1 грудня 2026 р."
    assert speak("en").weekday(date(2026, 12, 1)) == "Tuesday, 1 December 2026"


def test_instants_are_told_by_warsaws_clock_with_the_zone() -> None:
    """R71: an acknowledgement names the time and its zone, in winter and in summer."""
    polish = speak("pl")
    assert polish.instant(datetime(2026, 12, 31, 23, 30, tzinfo=UTC)) == "1 stycznia 2027 r., godz. 0:30 CET"
    assert polish.instant(datetime(2027, 6, 30, 22, 0, tzinfo=UTC)) == "1 lipca 2027 r., godz. 0:00 CEST"


@pytest.mark.parametrize(
    ("field", "language"),
    [
        (None, "pl"),
        ("", "pl"),
        ("uk", "uk"),
        ("uk-UA,uk;q=0.9,en;q=0.8", "uk"),
        ("en-GB;q=0.4, pl-PL;q=0.7", "pl"),
        ("de, en;q=0.2", "en"),
        ("de-DE", "pl"),
        ("*", "pl"),
        ("*;q=0.5, en;q=0.6", "en"),
        ("en;q=0, uk;q=0.1", "uk"),
        ("EN", "en"),
        ("en;q=often, uk;q=0.3", "uk"),
        ("en;q=7, uk;q=0.3", "uk"),
        (";;;,=,q", "pl"),
        ("en;q=0.5, uk;q=0.5", "en"),
    ],
)
def test_the_language_follows_the_wishes_of_the_browser(field: str | None, language: str) -> None:
    """RFC 9110, 12.5.4; Polish where nothing fits (R122, R124)."""
    assert choose(field) == language


def test_the_preferred_language_is_taken_where_the_browser_asks_for_none_of_ours() -> None:
    assert choose("en", "uk") == "en"
    assert choose(None, "uk-UA") == "uk"
    assert choose("de", "uk") == "uk"
    assert choose("de", "fr") == "pl"
    assert choose("", "") == "pl"


@given(st.text(max_size=300))
def test_any_field_a_stranger_sends_gives_a_language_of_ours(field: str) -> None:
    assert choose(field) in LANGUAGES


def test_a_language_we_do_not_speak_is_refused() -> None:
    with pytest.raises(ValueError, match="'de'"):
        speak("de")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_or_letter_tears_a_day_or_an_hour_apart(language: Language) -> None:
    """R119, R122: each stands in an element that does not break, with plain spaces in it; what is typed is let be."""
    speech = speak(language)
    pages = samples.every_page(speech)
    written = {name: write(letter, speech).html for name, letter in samples.every_letter(speech).items()}
    found = 0
    for name, html in (*pages.items(), *written.items()):
        text = re.sub(r"<(title|textarea|option|style)\b.*?</\1>", "", html, flags=re.DOTALL)
        loose = re.sub(r"<[^>]*>", "", re.sub(r"<bdi [^>]*>[^<]*</bdi>", "", text))
        assert speech.days_in.findall(loose) == [], name
        found += text.count("<bdi ")
    assert found > len(pages) + len(written)
    day = speech.day(date(2027, 6, 30))
    typed = f"<textarea>{day}</textarea><title>{day}</title>"
    assert unbroken(typed, speech) == typed
