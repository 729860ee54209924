"""How the house speaks: Polish first, Ukrainian and English beside it (R122, R124).

Pure: the catalogues in ``billing/locales`` are read once for each language and never written. Message ids are the
English texts; a text without a translation would come out in English, which a test forbids.
"""

import gettext
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from billing.kernel.days import WARSAW

Language = Literal["pl", "uk", "en"]

LANGUAGES: Final[tuple[Language, ...]] = ("pl", "uk", "en")
NATIVE: Final[dict[str, str]] = {"pl": "Polski", "uk": "Українська", "en": "English"}
CATALOGUES: Final = Path(__file__).parent.parent / "locales"

_NO_BREAK: Final = "\u00a0"
_MONEY: Final = {"pl": "{amount}{gap}zł", "uk": "{amount}{gap}zł", "en": "PLN{gap}{amount}"}
_HOUR: Final = {"pl": "godz. ", "uk": "", "en": ""}
_DAY: Final = {"pl": "d MMMM y 'r.'", "uk": "d MMMM y 'р.'", "en": "d MMMM y"}


class Speech:
    """One language: its texts, plurals, money and days. Immutable; get it from `speak`."""

    __slots__ = ("_catalogue", "days_in", "locale")

    def __init__(self, locale: Language) -> None:
        self.locale: Final[Language] = locale
        self.days_in: Final = _days_in(locale)
        """Finds days and hours as they are said here, to keep each on one line."""
        self._catalogue = _catalogue(locale)

    def say(self, text: str, /, **facts: object) -> str:
        """The text in this language with its ``%(name)s`` facts filled in; a missing fact is a KeyError."""
        return self._catalogue.gettext(text) % facts

    def say_many(self, one: str, many: str, number: int, /, **facts: object) -> str:
        """The text in the plural form that `number` asks for; ``%(number)d`` is the number itself."""
        return self._catalogue.ngettext(one, many, number) % {"number": number, **facts}

    def money(self, grosz: int) -> str:
        """An amount of grosz as people write it: 4499 is "44,99 zł" with a no-break space (R122)."""
        amount = format_decimal(Decimal(grosz) / 100, format="#,##0.00", locale=self.locale)
        return _MONEY[self.locale].format(amount=amount, gap=_NO_BREAK)

    def day(self, on: date) -> str:
        """A day in words: "30 czerwca 2027 r."."""
        return format_date(on, _DAY[self.locale], locale=self.locale)

    def weekday(self, on: date) -> str:
        """A day with its weekday: "poniedziałek, 30 listopada 2026 r."."""
        return format_date(on, f"EEEE, {_DAY[self.locale]}", locale=self.locale)

    def instant(self, at: datetime) -> str:
        """An aware instant as Warsaw's clock shows it, with its offset: "1 grudnia 2026 r., godz. 8:05 CET"."""
        local = at.astimezone(WARSAW)
        return f"{self.day(local.date())}, {_HOUR[self.locale]}{local.hour}:{local:%M %Z}"

    def days(self, number: int) -> str:
        """1 dzień, 2 dni, 5 dni."""
        return self.say_many("%(number)d day", "%(number)d days", number)

    def pupils(self, number: int) -> str:
        """1 uczeń, 2 uczniów, 5 uczniów."""
        return self.say_many("%(number)d pupil", "%(number)d pupils", number)

    def accounts(self, number: int) -> str:
        """1 konto, 2 konta, 5 kont."""
        return self.say_many("%(number)d account", "%(number)d accounts", number)


@lru_cache(maxsize=len(LANGUAGES))
def speak(locale: str) -> Speech:
    """The speech of one of `LANGUAGES`; any other name is a ValueError."""
    for known in LANGUAGES:
        if locale == known:
            return Speech(known)
    raise ValueError(f"no catalogue for the language {locale!r}")


def choose(accept_language: str | None, preferred: str | None = None) -> Language:
    """The language to answer in: the best of an Accept-Language field, else a known `preferred` one, else Polish.

    What the reader's own browser asks for comes first: a link may be forwarded to somebody else than its owner.

    Follows RFC 9110, 12.5.4: q-values order the wishes, q=0 forbids, ``*`` stands for Polish. Damaged wishes
    are passed over.
    """
    best: Language = _known(preferred or "") or "pl"
    best_weight = 0.0
    for language, weight in _wishes((accept_language or "")[:1000]):
        if weight > best_weight:
            best, best_weight = language, weight
    return best


def _wishes(field: str) -> Iterator[tuple[Language, float]]:
    for wish in field.split(","):
        tag, _, parameter = wish.partition(";")
        language = "pl" if tag.strip() == "*" else _known(tag)
        weight = _weight(parameter.strip())
        if language and weight is not None:
            yield language, weight


def _weight(parameter: str) -> float | None:
    if not parameter:
        return 1.0
    name, _, value = parameter.partition("=")
    try:
        weight = float(value)
    except ValueError:
        return None
    return weight if name.strip().lower() == "q" and 0 <= weight <= 1 else None


def _known(tag: str) -> Language | None:
    primary = tag.strip().lower().replace("_", "-").partition("-")[0]
    return next((language for language in LANGUAGES if language == primary), None)


def _days_in(locale: Language) -> re.Pattern[str]:
    months = "|".join(format_date(date(2026, month, 1), "MMMM", locale=locale) for month in range(1, 13))
    year = _DAY[locale].partition("y")[2].replace("'", "")
    day = rf"\d{{1,2}} (?:{months}) \d{{4}}(?:{re.escape(year)})?"
    hour = rf"(?:{re.escape(_HOUR[locale])})?\d{{1,2}}:\d\d(?:–\d{{1,2}}:\d\d)?(?: CES?T)?"
    return re.compile(rf"\b(?:{day}|{hour})")


def _catalogue(locale: str) -> gettext.GNUTranslations:
    with (CATALOGUES / locale / "LC_MESSAGES" / "billing.po").open("rb") as source:
        catalogue = read_po(source, locale=locale)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
