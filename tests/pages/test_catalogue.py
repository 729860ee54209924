"""Every text exists in every language, and nothing waits in the catalogues that nobody says."""

import re

import pytest

from billing.kernel.speech import LANGUAGES, speak
from tests.pages import samples
from tests.pages.catalogue import catalogue, spoken, written
from tests.pages.reading import shown

FACTS = re.compile(r"%\(\w+\)[sd]")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_said_and_what_is_written_are_the_same(language: str) -> None:
    """R124 and check 44; ``python -m tests.pages.catalogue`` shows what is missing."""
    assert set(written(language)) == set(spoken())


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_uncertain(language: str) -> None:
    for text, forms in written(language).items():
        assert all(forms), f"{language}: {text} is not translated"
    assert [message.id for message in catalogue(language) if message.id and message.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_all_facts_of_its_text(language: str) -> None:
    """A dropped %(day)s would drop the day from a letter."""
    for text, forms in written(language).items():
        one = text if isinstance(text, str) else text[0]
        for form in forms:
            assert sorted(FACTS.findall(form)) == sorted(FACTS.findall(one)), f"{language}: {form}"


@pytest.mark.parametrize("language", ["pl", "uk"])
def test_no_english_leaks_into_a_page(language: str) -> None:
    """Check 44, on every page there is, the error pages among them."""
    speech = speak(language)
    english = [text for text in spoken() if isinstance(text, str) and len(text) > 9 and "%" not in text]
    for name, html in samples.every_page(speech).items():
        words = shown(html)
        assert [text for text in english if text in words] == [], f"{language} {name}"
