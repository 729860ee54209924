"""What holds for every page."""

import re

import pytest

from billing.checkout.pages import OfferPage, OrderPage
from billing.checkout.pages_messages import GonePage, NothingToPayPage, NotNowPage, SalesClosedPage
from billing.kernel.pages import STATIC, TOKEN_HEADERS, ErrorPage, error_page, static_url, token_headers
from billing.kernel.speech import LANGUAGES, speak
from tests.pages import samples
from tests.pages.reading import Reader, sentences, shown

LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)
FORBIDDEN = {
    "pl": (
        "checkout",
        "token",
        "webhook",
        "trial",
        "sesja",
        "subskrypcj",
        "licencj",
        "aktywuj",
        "rabat",
        "tylko dziś",
        "ostatnia szansa",
        "nie trać",
        "faktura",
    ),
    "uk": ("checkout", "token", "webhook", "trial", "останній шанс", "тільки сьогодні"),
    "en": ("checkout", "token", "webhook", "last chance", "only today", "hurry"),
}


@LANGUAGE
def test_pages_need_no_script_no_cookie_and_no_foreign_host(language: str) -> None:
    """R38, checks 57 and 77: all that a page loads is ours; the payment page is only a place to go to."""
    for name, html in samples.every_page(speak(language)).items():
        page = Reader(html)
        assert not page.all("script") + page.all("iframe"), name
        assert not [element for element in page.elements if "style" in element.attributes], name
        assert not [
            attribute for element in page.elements for attribute in element.attributes if attribute.startswith("on")
        ]
        loaded = [e.attributes.get("src") or e.attributes["href"] for e in page.elements if e.tag in {"img", "link"}]
        assert [address for address in loaded if not address.startswith("/static/")] == [], name
        assert "http-equiv" not in html, name


@LANGUAGE
def test_every_page_has_its_language_title_heading_and_landmarks(language: str) -> None:
    """R119 and check 76."""
    titles: set[str] = set()
    for name, html in samples.every_page(speak(language)).items():
        page = Reader(html)
        assert page.all("html")[0].attributes["lang"] == language, name
        assert len(page.all("h1")) == 1, name
        assert [len(page.all(tag)) for tag in ("header", "main", "footer")] == [1, 1, 1], name
        titles.add(html[html.index("<title>") : html.index("</title>")])
    assert len(titles) > 25


@LANGUAGE
def test_help_and_languages_stand_at_the_same_place(language: str) -> None:
    """Check 75 and WCAG 3.2.6: mail, telephone, hours, between content and imprint; R121 in the imprint."""
    for name, html in samples.every_page(speak(language)).items():
        words = shown(html[html.index('<aside class="help"') : html.index("<footer")])
        for fact in (samples.SELLER.email, samples.SELLER.phone, samples.SELLER.hours):
            assert fact in words, name
        for path in ("/pomoc", "/regulamin", "/prywatnosc", "/dostepnosc"):
            assert f'href="{path}?lang={language}"' in html[html.index("<footer") :], name
        for other in LANGUAGES:
            assert f'?lang={other}" hreflang="{other}" lang="{other}"' in html, name


@LANGUAGE
def test_no_page_names_the_closed_platform(language: str) -> None:
    """R51: the EU platform closed in 2025."""
    for name, html in samples.every_page(speak(language)).items():
        assert not re.search(r"ec\.europa|\bODR\b|webgate", html), name


def test_a_page_that_may_be_forwarded_has_no_place_for_a_person() -> None:
    """R36: whatever the caller knows, it cannot be put on the page; what is named is the product and the seller."""
    for page in (OfferPage, OrderPage, GonePage, NothingToPayPage, NotNowPage, SalesClosedPage):
        fields = " ".join(page.__struct_fields__).replace("product_name", "")
        assert not re.search(r"name|email|school|account|payer|login\b", fields), page


@LANGUAGE
def test_order_page_and_terms_name_who_helps_in_disputes(language: str) -> None:
    """R51: the Trade Inspection and the consumer ombudsman."""
    speech = speak(language)
    pages = samples.every_page(speech)
    for name in ("offer", "terms", "help"):
        words = shown(pages[name])
        assert re.search(r"Inspekcja Handlow|Trade Inspection|Торгова інспекція", words), name
        assert re.search(r"rzecznik konsumentów|consumer ombudsman", words), name


@LANGUAGE
def test_first_page_is_small(language: str) -> None:
    """Check 58: under 30 kB with its style sheet; the style sheet under 20 kB."""
    css, mark = (STATIC / "style.css").stat().st_size, (STATIC / "mark.svg").stat().st_size
    assert css < 20_000
    for name, html in samples.every_page(speak(language)).items():
        if name not in {"terms", "privacy", "help", "accessibility"}:
            assert len(html.encode()) + css + mark < 30_000, name


@LANGUAGE
def test_words_are_plain_and_do_not_press(language: str) -> None:
    """R23, R42, R61, R123: no jargon, no countdown, and no paper of ours is called an invoice."""
    for name, html in samples.every_page(speak(language)).items():
        if name in {"terms", "help", "privacy", "withdrawal_form", "problem", "accessibility"}:
            continue
        words = shown(html).lower()
        about_invoices = name.startswith("invoice")  # the one place where a paper that is an invoice is spoken of
        forbidden = [word for word in FORBIDDEN[language] if not (about_invoices and word == "faktura")]
        assert [word for word in forbidden if word in words] == [], name


def test_polish_sentences_are_short() -> None:
    """R123: at most twenty words on average, page by page."""
    for name, html in samples.every_page(speak("pl")).items():
        lengths = [len(sentence.split()) for sentence in sentences(html)]
        if lengths:
            assert sum(lengths) / len(lengths) <= 20, name
            assert max(lengths) <= 45, name


@LANGUAGE
def test_no_sentence_ends_twice(language: str) -> None:
    """A Polish or Ukrainian day ends with a full stop of its own."""
    for name, html in samples.every_page(speak(language)).items():
        assert not re.search(r"\w[.]{2}(?![.])", shown(html)), name


def test_the_return_page_promises_nothing_that_is_not_so() -> None:
    """R55: waiting says so, links fit the state, and only a paid order says until when."""
    pages = {name: shown(html) for name, html in samples.order_pages(speak("pl")).items()}
    assert "Oczekujemy na potwierdzenie płatności" in pages["order-waiting"]
    assert "Sprawdź ponownie" in pages["order-waiting"]
    assert [name for name, words in pages.items() if "Pełna wersja jest aktywna" in words] == [
        "order-paid",
        "order-part-refunded",
    ]
    assert [name for name, words in pages.items() if "Odstąp od umowy tutaj" in words] == ["order-paid"]
    assert "poniedziałek, 7 grudnia 2026 r." in pages["order-paid"]
    assert "Nic nie zostało pobrane" in pages["order-failed"]
    assert "płatność podwójna" in pages["order-refunded"]
    assert "Zwracamy część pieniędzy" in pages["order-part-refunded"]


def test_withdrawal_asks_only_for_what_the_law_allows() -> None:
    """R69 and R70: name and contact are required, the reason is not; the second button has the law's words."""
    pages = samples.every_page(speak("pl"))
    page = Reader(pages["withdrawal"])
    asked = {
        field.attributes["name"]: "required" in field.attributes for field in page.all("input") + page.all("textarea")
    }
    assert asked == {"lang": False, "name": True, "contact": True, "reason": False}
    second = Reader(pages["withdrawal-confirm"])
    hidden = {field.attributes["name"] for field in second.all("input") if field.attributes.get("type") == "hidden"}
    assert hidden == {"lang", "step", "name", "contact", "reason"}
    assert len(second.all("button")) == 1
    assert "Potwierdź odstąpienie od umowy" in second.text


def test_headers_of_pages_with_a_token_keep_it_to_themselves() -> None:
    """R38: no referrer, no store, nothing from elsewhere; the form may end at the payment page and nowhere else."""
    assert TOKEN_HEADERS["Referrer-Policy"] == "no-referrer"
    assert TOKEN_HEADERS["Cache-Control"] == "no-store"
    policy = TOKEN_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'; ")
    assert "form-action 'self' https://checkout.stripe.com;" in policy
    assert policy.endswith("; frame-ancestors 'none'; base-uri 'none'")
    assert "form-action 'self' https://pay.example;" in token_headers("https://pay.example")["Content-Security-Policy"]


def test_the_address_of_the_style_sheet_follows_its_content() -> None:
    assert re.fullmatch(r"/static/style\.css\?v=[0-9a-f]{12}", static_url("style.css"))


@LANGUAGE
def test_what_a_stranger_typed_is_shown_and_not_run(language: str) -> None:
    """The request id of a bad request and the name in a form come from outside."""
    html = error_page(
        ErrorPage(seller=samples.SELLER, status=404, request_id="<script>x</script>%(x)s"), speak(language)
    )
    assert "&lt;script&gt;x&lt;/script&gt;%(x)s" in html
