"""The page on which a contract is made."""

import pytest

from billing.checkout.pages import BINDING_LABELS, binding_label, consents, offer_page
from billing.kernel.speech import LANGUAGES, speak
from tests.pages import samples
from tests.pages.reading import Element, Reader, shown

LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)


def submit(page: Reader) -> Element:
    """The binding button."""
    (button,) = [element for element in page.all("button") if element.attributes.get("type") == "submit"]
    return button


@LANGUAGE
def test_five_facts_stand_right_above_the_button_in_one_section(language: str) -> None:
    """R41: product, number of pupils, total, first and last day, no renewal; in reading order, inside the form."""
    speech = speak(language)
    html = offer_page(samples.offer(speech), speech)
    form = html[html.index("<dl", html.index("<form")) : html.index("<button")]
    facts = [
        samples.PRODUCT[speech.locale],
        ">2 ×",
        speech.money(8998),
        speech.day(samples.FIRST),
        speech.day(samples.LAST),
        speech.say("does not renew automatically"),
    ]
    places = [form.index(fact) for fact in facts]
    assert places == sorted(places)
    assert "<input" not in form


def test_the_button_says_that_it_costs_money() -> None:
    """R40 and check 64: the words of the law, from an allow-list."""
    polish = speak("pl")
    assert "Zamawiam i płacę</button>" in offer_page(samples.offer(polish), polish)
    other = samples.offer(polish, button="Zamówienie z obowiązkiem zapłaty")
    assert "Zamówienie z obowiązkiem zapłaty</button>" in offer_page(other, polish)
    assert [binding_label(label, polish) for label in BINDING_LABELS] == list(BINDING_LABELS)


@pytest.mark.parametrize("label", ["Aktywuj", "Zamawiam", "Dalej", "Potwierdzam", ""])
def test_a_button_that_does_not_bind_is_refused(label: str) -> None:
    """R40: "Zamawiam" alone was attacked by the consumer authority."""
    with pytest.raises(ValueError, match="does not bind"):
        binding_label(label, speak("pl"))


@LANGUAGE
def test_no_box_is_ticked_in_advance_and_the_wish_is_optional(language: str) -> None:
    """R42 and R43, on the plain page and on the one with everything."""
    speech = speak(language)
    for facts in (samples.offer(speech), samples.full_offer(speech)):
        page = Reader(offer_page(facts, speech))
        boxes = {
            box.attributes["name"]: box.attributes for box in page.all("input") if box.attributes["type"] == "checkbox"
        }
        assert not any("checked" in box for box in boxes.values())
        assert "required" in boxes["terms"]
        assert "required" not in boxes["start_now"]
        assert set(boxes) == {"terms", "start_now"} | ({"renew"} if facts.renewal else set())


def test_the_wish_to_start_has_the_words_of_the_law() -> None:
    """R43: the text beside the box is the one whose hash the order keeps."""
    polish = speak("pl")
    wish = "Żądam rozpoczęcia świadczenia usługi przed upływem terminu do odstąpienia od umowy."
    assert consents(polish).start_now == wish
    assert wish in shown(offer_page(samples.offer(polish), polish))


@LANGUAGE
def test_saying_no_is_one_step_and_looks_alike(language: str) -> None:
    """R42: "Nie teraz" is a button of the same class beside the binding one."""
    speech = speak(language)
    page = Reader(offer_page(samples.offer(speech), speech))
    (refusal,) = [link for link in page.all("a") if link.attributes.get("href", "").startswith("/nie-teraz")]
    assert "button" in refusal.attributes["class"].split()
    assert "button" in submit(page).attributes["class"].split()


@LANGUAGE
def test_the_form_carries_the_offer_that_was_shown(language: str) -> None:
    """R85: the digest goes back with the click, and so does the language."""
    speech = speak(language)
    page = Reader(offer_page(samples.offer(speech), speech))
    hidden = {
        box.attributes["name"]: box.attributes["value"]
        for box in page.all("input")
        if box.attributes["type"] == "hidden"
    }
    assert hidden == {"offer": "5d41402abc4b2a76b9719d911017c592", "lang": language}
    (form,) = page.all("form")
    assert form.attributes["method"] == "post"
    assert form.attributes["action"] == "/activate/kP3vYt8QmZ2xWc5RnB7s/order"


def test_the_language_can_be_changed_where_the_form_is_answered() -> None:
    """The answer to a POST has no GET of its own."""
    polish = speak("pl")
    assert 'href="/activate/kP3vYt8QmZ2xWc5RnB7s?lang=uk"' in offer_page(samples.full_offer(polish), polish)


@LANGUAGE
def test_an_error_is_tied_to_its_field_and_summed_up_on_top(language: str) -> None:
    """R119 and check 62."""
    speech = speak(language)
    html = offer_page(samples.full_offer(speech), speech)
    page = Reader(html)
    (terms,) = [box for box in page.all("input") if box.attributes.get("id") == "terms"]
    ids = {element.attributes["id"] for element in page.elements if "id" in element.attributes}
    assert terms.attributes["aria-invalid"] == "true"
    assert set(terms.attributes["aria-describedby"].split()) <= ids
    assert 'href="#terms"' in html
    assert html.index('role="alert"') < html.index("<h1")
    (title,) = [html[html.index("<title>") + 7 : html.index("</title>")]]
    assert title.startswith(speech.say("Error"))


@LANGUAGE
def test_the_page_says_what_is_free_and_what_is_taken_out(language: str) -> None:
    """R13, R48, R83 and the complaints of 2019 and 2024: nobody may believe he must pay."""
    speech = speak(language)
    words = shown(offer_page(samples.full_offer(speech), speech))
    for fact in (
        speech.say("Nothing will be charged unless you order."),
        speech.say("In a browser all functions are free."),
        ", ".join(samples.BASIC[speech.locale]),
        speech.day(samples.COVERED[1].until),
        speech.say("Lowest price of the 30 days before the reduction"),
        speech.say("The school has blocked a part"),
        speech.say(
            "The price has changed since you opened this page. Nothing has been ordered. "
            "Please look at the new price below."
        ),
    ):
        assert fact in words


@pytest.mark.parametrize(("language", "told"), [("pl", False), ("uk", True), ("en", True)])
def test_who_does_not_read_polish_is_told_that_the_payment_page_is_polish(language: str, *, told: bool) -> None:
    """Check 65."""
    speech = speak(language)
    assert (speech.say("That page is in Polish.") in shown(offer_page(samples.offer(speech), speech))) is told


def test_a_renewing_product_shows_its_next_charge_and_asks_for_its_own_consent() -> None:
    """R41 and R64."""
    polish = speak("pl")
    html = offer_page(samples.full_offer(polish), polish)
    words = shown(html[html.index("<form") :])
    assert "Zgadzam się na pobieranie 89,98 zł co rok, aż wyłączę odnowienie." in words
    assert "89,98 zł co rok, aż wyłączysz odnowienie" in words
    assert "1 lipca 2027 r." in words
    assert "30 dni i 7 dni przed każdą opłatą" in words
    assert "nie odnawia się automatycznie" not in words
    assert "opłata jednorazowa" not in words
