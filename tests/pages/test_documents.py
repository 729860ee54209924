"""Terms, privacy, accessibility, help, and the model form."""

import hashlib
import re

import pytest

from billing.checkout.documents import TERMS_VERSION, VERSIONS, Policy, document, pieces, versions
from billing.kernel.speech import LANGUAGES, speak
from tests.pages import samples

LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)
NAMES = ("terms", "withdrawal_form", "privacy", "accessibility", "help")


@LANGUAGE
@pytest.mark.parametrize("name", NAMES)
def test_every_document_is_there_in_every_language(name: str, language: str) -> None:
    """R124: complete, in its own language, with the seller's facts."""
    found = document(name, samples.SELLER, speak(language))  # pyright: ignore[reportArgumentType]
    assert found.language == language
    assert found.version == VERSIONS[name]
    assert samples.SELLER.email in found.text
    assert not re.search(r"{{|{%", found.text)


@pytest.mark.parametrize("name", NAMES)
def test_translations_have_the_same_parts_as_the_polish_text(name: str) -> None:
    """A clause that is missing in one language would be missing from a contract."""
    shapes = {
        language: [
            (piece.kind, len(piece.lines))
            for piece in pieces(document(name, samples.SELLER, speak(language)).text)  # pyright: ignore[reportArgumentType]
        ]
        for language in LANGUAGES
    }
    assert shapes["uk"] == shapes["pl"] == shapes["en"]


@pytest.mark.parametrize("language", ["uk", "en"])
def test_a_translation_says_that_polish_prevails(language: str) -> None:
    """R124."""
    words = {"uk": "вирішальною є польська версія", "en": "Polish version prevails"}
    for name in ("terms", "withdrawal_form", "privacy", "accessibility"):
        assert words[language].lower() in document(name, samples.SELLER, speak(language)).text.lower()  # pyright: ignore[reportArgumentType]


def test_terms_say_what_the_law_and_the_settings_ask_for() -> None:
    """R41, R47, R51, R74, R95: age, no renewal, withdrawal, complaints, disputes, and both policies."""
    polish = speak("pl")
    kind = document("terms", samples.SELLER, polish).text
    strict = document("terms", samples.SELLER, polish, Policy(full_refund=False, overlap="keep")).text
    for words in (
        "ukończyła 18 lat",
        "nie odnawia się automatycznie",
        "14 dni",
        "Inspekcja Handlowa",
        "rzecznik konsumentów",
    ):
        assert words in kind
    assert "proporcjonalnie do całego okresu" in strict
    for words in ("Zwracamy całą opłatę", "niewykorzystany czas"):
        assert (words in kind, words in strict) == (True, False)
    assert not re.search(r"\bODR\b|ec\.europa", kind)


def test_the_hash_is_that_of_the_very_bytes() -> None:
    """R45: what an order freezes can be recomputed from the attachment."""
    found = document("terms", samples.SELLER, speak("pl"))
    assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()
    assert found.sha256 != document("terms", samples.SELLER, speak("uk")).sha256


def test_an_unknown_version_is_refused() -> None:
    assert TERMS_VERSION in versions("terms")
    with pytest.raises(LookupError, match="2019-01"):
        document("terms", samples.SELLER, speak("pl"), version="2019-01")
    with pytest.raises(LookupError):
        document("terms", samples.SELLER, speak("pl"), version="../privacy/2026-11")


def test_the_model_form_has_the_statutory_fields() -> None:
    form = document("withdrawal_form", samples.SELLER, speak("pl")).text
    for words in (
        "tylko w przypadku chęci odstąpienia",
        "Imię i nazwisko",
        "Adres konsumenta",
        "Podpis",
        "Niepotrzebne skreślić",
    ):
        assert words in form
