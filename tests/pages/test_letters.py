"""The letters: both parts, all languages."""

import re

import pytest
from msgspec import structs

from billing.checkout.documents import document
from billing.kernel.speech import LANGUAGES, Speech, speak
from billing.notices.letters import DRAFTERS, WithdrawalReceived, Written, write
from tests.pages import samples
from tests.pages.compile_letters import TEMPLATES, compiled
from tests.pages.reading import Reader, sentences, shown, squeezed

LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)
PRESSING = re.compile(
    r"rabat|promocj|okazj|tylko dziś|ostatnia szansa|pośpiesz|nie przegap|odlicz|знижк|акці[яї]|поспішайте|"
    r"discount|hurry|last chance|only today|special offer|upgrade now|unsubscribe",
    re.IGNORECASE,
)
JARGON = re.compile(r"checkout|webhook|token|\btrial\b|subskrypcj|konto LIBRUS|konto Synergia", re.IGNORECASE)


def written(speech: Speech) -> dict[str, Written]:
    """All letters in one language."""
    return {name: write(letter, speech) for name, letter in samples.every_letter(speech).items()}


def parts(letter: Written) -> tuple[str, str]:
    """The words of the HTML part and of the plain part, gaps evened out."""
    return shown(letter.html), squeezed(letter.text)


@LANGUAGE
@pytest.mark.parametrize("reader", ["parent", "guardian"])
def test_the_notice_of_the_end_holds_its_ten_parts(language: str, reader: str) -> None:
    """R22, in HTML and in plain text."""
    speech = speak(language)
    say = speech.say
    why = {
        "parent": say("You get this e-mail because a pupil's diary is linked to your account in the app."),
        "guardian": say("You get this e-mail because you are the guardian named for a child's account."),
    }
    ten = {
        "the free period ends": [say("The free period of the mobile add-ons is ending")],
        "day": [say("From %(day)s the basic version returns automatically.", day=speech.day(samples.REVERTS))],
        "what returns to basic": list(samples.FEATURES[speech.locale]),
        "what stays free": [", ".join(samples.BASIC[speech.locale])],
        "free in a browser": [say("In a browser all functions are free.")],
        "price and end": [squeezed(speech.money(4499)), speech.day(samples.LAST)],
        "no charge": [say("Nothing will be charged unless you order.")],
        "link": [samples.URL],
        "why": [why[reader]],
        "seller": [samples.SELLER.name, samples.SELLER.address, samples.SELLER.nip],
    }
    letter = write(samples.trial_ending(speech, reader=reader), speech)
    html, plain = parts(letter)
    links = [link.attributes["href"] for link in Reader(letter.html).all("a")]
    for part, facts in ten.items():
        assert all(fact in plain for fact in facts), part
        assert all(fact in html or fact in links for fact in facts), part
    assert speech.weekday(samples.REVERTS) in plain
    assert speech.day(samples.REVERTS) in letter.subject


def test_the_notice_reads_as_the_founding_documents_say() -> None:
    """The words that parents know."""
    letter = write(samples.trial_ending(speak("pl")), speak("pl"))
    for words in (
        "Bezpłatny okres korzystania z Mobilnych dodatków dobiega końca",
        "Od dnia 30 listopada 2026 r. automatycznie powróci wersja podstawowa.",
        "poniedziałek, 30 listopada 2026 r.",
        "W przeglądarce wszystkie funkcje są bezpłatne.",
        "Nic nie zostanie pobrane, jeśli nie złożysz zamówienia.",
        "44,99\u00a0zł",
    ):
        assert words in letter.text


@LANGUAGE
def test_a_pupil_gets_no_link_but_is_sent_to_a_parent(language: str) -> None:
    """R47."""
    speech = speak(language)
    letter = write(samples.trial_ending(speech, reader="pupil", url=None, link_valid_until=None), speech)
    assert "https://" not in letter.text
    assert not Reader(letter.html).all("a")
    assert speech.say("Only an adult may order. Show this e-mail to a parent or guardian.") in letter.text


def test_three_pupils_are_three_entries_of_one_letter() -> None:
    """R24."""
    letter = write(samples.trial_ending(speak("pl"), labels=("1A", "2B", "3C")), speak("pl"))
    assert [line for line in letter.text.splitlines() if line in {"- 1A", "- 2B", "- 3C"}] == ["- 1A", "- 2B", "- 3C"]


@LANGUAGE
def test_both_parts_say_the_same(language: str) -> None:
    """Check 45: every line of the plain part is in the HTML part, as words or as the address of a link."""
    for name, letter in written(speak(language)).items():
        html, _ = parts(letter)
        links = {link.attributes["href"] for link in Reader(letter.html).all("a")}
        for line in letter.text.splitlines():
            words = squeezed(line.removeprefix("- ").removesuffix(":") if not line.startswith("--") else "")
            assert words in html or words in links, f"{name}: {line}"
        for address in links:
            assert address in letter.text, name


@LANGUAGE
def test_letters_are_small_and_watch_nobody(language: str) -> None:
    """Checks 46 and 47, R120: no image, no tracking, role-marked tables, the language named, under 100 kB."""
    for name, letter in written(speak(language)).items():
        page = Reader(letter.html)
        assert len(letter.html.encode()) < 100_000, name
        assert page.all("html")[0].attributes["lang"] == language, name
        assert not [element for element in page.elements if element.tag in {"img", "script", "link"}], name
        assert not re.search(r"url\(|@import|http-equiv=.refresh", letter.html), name
        assert all(table.attributes.get("role") == "presentation" for table in page.all("table")), name
        sizes = {int(size) for size in re.findall(r"font-size:(\d+)px", letter.html)} - {0, 1}
        assert min(sizes) >= 14, name
        assert letter.text.strip(), name
        assert re.fullmatch(r"[^\n]{10,90}", letter.subject), name


@LANGUAGE
def test_service_letters_press_nobody(language: str) -> None:
    """R23: no advert, no other product, no countdown; R123: no jargon."""
    for name, letter in written(speak(language)).items():
        assert letter.category == "service", name
        words = f"{letter.subject}\n{letter.text}"
        assert not PRESSING.search(words), name
        assert not JARGON.search(words), name
        assert not re.search(r"\bODR\b|ec\.europa", words), name
        assert not re.search(r"\w[.]{2}(?![.])", words), name


def test_polish_sentences_in_letters_are_short() -> None:
    """R123: at most twenty words on average."""
    for name, letter in written(speak("pl")).items():
        lengths = [len(sentence.split()) for sentence in sentences(letter.html)]
        assert sum(lengths) / len(lengths) <= 20, name


@LANGUAGE
def test_the_confirmation_carries_the_contract(language: str) -> None:
    """R46, R69, check 70: terms and model form as files with the frozen hash, the last day, the way out, the number."""
    speech = speak(language)
    letter = write(samples.confirmation(speech), speech)
    terms, form = letter.attachments
    assert terms.sha256 == document("terms", samples.SELLER, speech).sha256
    assert form.sha256 == document("withdrawal_form", samples.SELLER, speech).sha256
    assert {terms.media_type, form.media_type} == {"text/plain; charset=utf-8"}
    assert re.fullmatch(r"regulamin-2026-11-(pl|uk|en)\.txt", terms.name)
    for fact in (
        samples.NUMBER,
        samples.ORDER_URL,
        speech.money(8998),
        speech.day(samples.FIRST),
        speech.day(samples.LAST),
        speech.weekday(samples.WITHDRAWAL_UNTIL),
        speech.say("Withdraw from the contract here"),
        speech.say("does not renew automatically"),
        speech.instant(samples.PAID_AT),
    ):
        assert fact in letter.text


def test_the_confirmation_says_what_was_wished_and_what_that_costs() -> None:
    """R43, R44, R74: without the wish nothing is kept, whatever the policy."""
    polish = speak("pl")
    kept = "zatrzymamy część opłaty"
    prorata = write(samples.confirmation(polish, full_refund=False), polish).text
    unwished = write(samples.confirmation(polish, full_refund=False, start_now=False), polish).text
    kind = write(samples.confirmation(polish), polish).text
    assert (kept in prorata, kept in unwished, kept in kind) == (True, False, False)
    assert "Nie zażądano rozpoczęcia" in unwished
    assert "faktury VAT" in kind


def test_a_withdrawal_is_acknowledged_with_its_time_and_zone() -> None:
    """R71."""
    letter = written(speak("pl"))["withdrawal-received"]
    for fact in ("21 listopada 2026 r., godz. 14:05 CET", samples.NUMBER, "Anna Nowak-Żółć", "anna@example.pl"):
        assert fact in letter.text


def test_every_letter_has_a_sample_and_a_writer() -> None:
    assert {type(letter) for letter in samples.every_letter(speak("pl")).values()} == set(DRAFTERS)


def test_what_a_stranger_typed_is_shown_and_not_run() -> None:
    letter = samples.every_letter(speak("pl"))["withdrawal-received"]
    assert isinstance(letter, WithdrawalReceived)
    found = write(structs.replace(letter, name="<b>x</b> %s {{ 7*7 }}"), speak("pl"))
    assert "&lt;b&gt;x&lt;/b&gt; %s {{ 7*7 }}" in found.html
    assert "<b>x</b> %s {{ 7*7 }}" in found.text


def test_compiled_letters_follow_their_sources() -> None:
    """``python -m tests.pages.compile_letters`` brings them in step."""
    sources = sorted(TEMPLATES.glob("*.mjml"))
    assert sources
    for source in sources:
        assert source.with_suffix(".html").read_text(encoding="utf-8") == compiled(source), source.name


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ("#1b2a30", "#ffffff"),
        ("#4b5a61", "#f4f3ee"),
        ("#4b5a61", "#ffffff"),
        ("#ffffff", "#0b5563"),
        ("#eef2f1", "#1a2529"),
        ("#b6c2c5", "#11191c"),
        ("#0c2126", "#8fd6dd"),
        ("#8fd6dd", "#1a2529"),
    ],
)
def test_colours_of_letters_can_be_read_in_light_and_dark(ink: str, paper: str) -> None:
    """Check 46: at least 4.5 to 1; the colours are those of the source."""
    source = (TEMPLATES / "letter.mjml").read_text(encoding="utf-8")
    assert {ink, paper} <= set(re.findall(r"#[0-9a-f]{6}", source))
    lighter, darker = sorted((luminance(ink), luminance(paper)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
