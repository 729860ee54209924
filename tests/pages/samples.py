"""One sample of every page and letter, with facts that are easy to find again."""

from datetime import UTC, date, datetime
from typing import Any, Final

from msgspec import structs

from billing.accounts import pages as accounts
from billing.checkout import documents, pages, pages_messages
from billing.checkout.pages_messages import GoneReason
from billing.kernel import pages as kernel
from billing.kernel.speech import Speech
from billing.notices import letters
from tests.pages import samples_invoices, samples_leaving, samples_renewing

SELLER: Final = kernel.Seller(
    name="Dzienniczek Sp. z o.o.",
    address="ul. Szkolna 1, 40-001 Katowice",
    nip="6342622989",
    email="pomoc@dzienniczek.example",
    phone="+48 32 000 00 00",
    hours="8:00–16:00",
)
FEATURES: Final = {
    "pl": ("Wiadomości", "Biurko", "Natychmiastowe powiadomienia", "Zadania domowe"),
    "uk": ("Повідомлення", "Робочий стіл", "Миттєві сповіщення", "Домашні завдання"),
    "en": ("Messages", "Desk", "Instant notifications", "Homework"),
}
BASIC: Final = {
    "pl": ("Oceny", "Nieobecności", "Oś czasu", "Plan lekcji", "Terminarz", "Multikonto"),
    "uk": ("Оцінки", "Відсутність", "Стрічка часу", "Розклад", "Календар", "Мультиобліковий запис"),
    "en": ("Grades", "Absences", "Timeline", "Timetable", "Calendar", "Multi-account"),
}
PRODUCT: Final = {"pl": "Mobilne dodatki 2026/27", "uk": "Мобільні додатки 2026/27", "en": "Mobile add-ons 2026/27"}
FIRST: Final = date(2026, 11, 21)
LAST: Final = date(2027, 6, 30)
REVERTS: Final = date(2026, 11, 30)
LINK_UNTIL: Final = date(2026, 12, 14)
WITHDRAWAL_UNTIL: Final = date(2026, 12, 7)
PAID_AT: Final = datetime(2026, 11, 21, 13, 5, tzinfo=UTC)
URL: Final = "https://pay.dzienniczek.example/activate/kP3vYt8QmZ2xWc5RnB7s"
ORDER_URL: Final = "https://pay.dzienniczek.example/orders/Hs8Lq2NvXe6Tz4Jd"
NUMBER: Final = "ord_0T7V4M2K9R"
COVERED: Final = (
    pages.Covered(until=LAST, source="paid"),
    pages.Covered(until=date(2027, 1, 31), source="sponsored"),
)
CHOICES: Final = (
    pages.Choice(
        name="Mobilne dodatki", url="/activate/kP3vYt8QmZ2xWc5RnB7s", unit_price=4499, last_day=LAST, interval=None,
        is_shown=False,
    ),
    pages.Choice(
        name="Mobilne dodatki co rok", url="/activate/kP3vYt8QmZ2xWc5RnB7s?plan=addons-yearly", unit_price=4499,
        last_day=LAST, interval="year", is_shown=True,
    ),
)  # fmt: skip


def offer(speech: Speech, **changes: Any) -> pages.OfferPage:
    """An offer for two pupils."""
    base = pages.OfferPage(
        seller=SELLER,
        action="/activate/kP3vYt8QmZ2xWc5RnB7s/order",
        offer_digest="5d41402abc4b2a76b9719d911017c592",
        product_name=PRODUCT[speech.locale],
        features=FEATURES[speech.locale],
        basic_features=BASIC[speech.locale],
        pupil_count=2,
        unit_price=4499,
        total=8998,
        vat_rate_percent=23,
        vat_amount=1683,
        first_day=FIRST,
        last_day=LAST,
        link_valid_until=LINK_UNTIL,
        terms_version="2026-11",
    )
    return structs.replace(base, **changes)


def full_offer(speech: Speech) -> pages.OfferPage:
    """The offer with everything that may be on it at once."""
    return offer(
        speech,
        covered=COVERED,
        blocked_features=FEATURES[speech.locale][:1],
        lowest_30_days=3999,
        price_changed=True,
        errors=(pages.blank_terms_error(speech),),
        renewal=pages.Renewal(interval="year", next_charge_on=date(2027, 7, 1), amount=8998, notice_days=(30, 7)),
        choices=CHOICES,
        later_first_day=date(2026, 12, 8),
        full_refund=False,
    )


def order(speech: Speech, state: pages.OrderState, **changes: Any) -> pages.OrderPage:
    """An order in the given state."""
    base = pages.OrderPage(
        seller=SELLER,
        order_number=NUMBER,
        state=state,
        product_name=PRODUCT[speech.locale],
        pupil_count=2,
        total=8998,
        first_day=FIRST,
        last_day=LAST,
    )
    return structs.replace(base, **changes)


def order_pages(speech: Speech) -> dict[str, str]:
    """The order page in all its states."""
    paid: dict[str, Any] = {
        "withdrawal_url": "/orders/Hs8Lq2NvXe6Tz4Jd/withdrawal",
        "withdrawal_last_day": WITHDRAWAL_UNTIL,
    }
    back: dict[str, Any] = {"refunded": 8998, "refund_reason": "duplicate"}
    facts = {
        "order-waiting": order(speech, "waiting"),
        "order-open": order(speech, "open", pay_again_url="https://checkout.stripe.com/c/pay/cs_1"),
        "order-paid": order(speech, "paid", **paid),
        "order-over": order(speech, "paid", first_day=None, last_day=None),
        "order-failed": order(speech, "failed", pay_again_url="/activate/kP3vYt8QmZ2xWc5RnB7s"),
        "order-expired": order(speech, "expired"),
        "order-refunded": order(speech, "refunded", refund_done=True, **back),
        "order-part-refunded": order(speech, "part_refunded", refunded=1000, refund_reason="goodwill"),
    }
    return {name: pages.order_page(fact, speech) for name, fact in facts.items()}


def message_pages(speech: Speech) -> dict[str, str]:
    """The pages that say one thing."""
    blocked = FEATURES[speech.locale]
    m = pages_messages
    reasons: tuple[GoneReason, ...] = ("expired", "used", "unknown", "revoked")
    gone = [m.GonePage(seller=SELLER, reason=reason, login_url="/log-in") for reason in reasons]
    found = {f"gone-{page.reason}": m.gone_page(page, speech) for page in gone}
    return found | {
        "gone-bought": m.gone_page(m.GonePage(seller=SELLER, reason="used", active_until=LAST), speech),
        "ask-parent": m.ask_parent_page(m.AskParentPage(seller=SELLER), speech),
        "nothing-to-pay": m.nothing_to_pay_page(m.NothingToPayPage(seller=SELLER, covered=COVERED), speech),
        "blocked": m.blocked_page(m.BlockedPage(seller=SELLER, blocked_features=blocked), speech),
        "sales-closed": m.sales_closed_page(
            m.SalesClosedPage(
                seller=SELLER,
                next_first_day=date(2027, 7, 1),
                next_last_day=date(2028, 6, 30),
                on_sale_from=date(2027, 7, 1),
            ),
            speech,
        ),
        "provider": m.provider_unavailable_page(
            m.ProviderUnavailablePage(seller=SELLER, back_url="/activate/x", link_valid_until=LINK_UNTIL), speech
        ),
        "not-now": m.not_now_page(m.NotNowPage(seller=SELLER, link_valid_until=LINK_UNTIL, back_url="/a"), speech),
    }


def common_pages(speech: Speech) -> dict[str, str]:
    """Errors and confirmations."""
    a, k = accounts, kernel
    problem = k.ProblemPage(seller=SELLER, code="pupil_required", title="A pupil must be named", advice="Add ?pupil=…")
    return {
        "error-404": k.error_page(k.ErrorPage(seller=SELLER, status=404, request_id="req_1"), speech),
        "error-400": k.error_page(k.ErrorPage(seller=SELLER, status=400, request_id="req_1"), speech),
        "error-500": k.error_page(k.ErrorPage(seller=SELLER, status=500, request_id="req_1"), speech),
        "too-many": k.too_many_page(k.TooManyPage(seller=SELLER, retry_after_seconds=90), speech),
        "problem": k.problem_page(problem, speech),
        "confirm": a.confirm_page(a.ConfirmPage(seller=SELLER, action="/confirm/x", valid_until=LINK_UNTIL), speech),
        "confirm-guardian": a.confirm_page(
            a.ConfirmPage(seller=SELLER, action="/confirm/x", confirming="guardian", valid_until=LINK_UNTIL), speech
        ),
        "confirmed": a.confirmed_page(a.ConfirmedPage(seller=SELLER), speech),
        "confirmed-guardian": a.confirmed_page(a.ConfirmedPage(seller=SELLER, confirming="guardian"), speech),
        "confirm-expired": a.confirm_gone_page(a.ConfirmGonePage(seller=SELLER, reason="expired"), speech),
        "confirm-unknown": a.confirm_gone_page(a.ConfirmGonePage(seller=SELLER, reason="unknown"), speech),
    }


def document_pages(speech: Speech) -> dict[str, str]:
    """Terms, privacy, accessibility, help, and the model form."""
    return {
        name: documents.document_page(documents.DocumentPage(seller=SELLER, name=name), speech)
        for name in ("terms", "privacy", "accessibility", "help", "withdrawal_form")
    }


def every_page(speech: Speech) -> dict[str, str]:
    """All pages by name."""
    return {
        "offer": pages.offer_page(offer(speech), speech),
        "offer-full": pages.offer_page(full_offer(speech), speech),
        **order_pages(speech),
        **message_pages(speech),
        **common_pages(speech),
        **samples_leaving.pages_of(SELLER, NUMBER, PRODUCT[speech.locale], speech),
        **samples_invoices.pages_of(SELLER, NUMBER, speech),
        **document_pages(speech),
        **samples_renewing.pages_of(SELLER, PRODUCT[speech.locale], speech),
    }


def trial_ending(speech: Speech, **changes: Any) -> letters.AccessEnding:
    """The letter that R22 is about."""
    base = letters.AccessEnding(
        seller=SELLER,
        day=REVERTS,
        pupil_count=3,
        features=FEATURES[speech.locale],
        basic_features=BASIC[speech.locale],
        price=4499,
        season_end=LAST,
        url=URL,
        link_valid_until=LINK_UNTIL,
    )
    return structs.replace(base, **changes)


def confirmation(speech: Speech, **changes: Any) -> letters.OrderConfirmation:
    """The letter that R46 is about."""
    base = letters.OrderConfirmation(
        seller=SELLER,
        order_number=NUMBER,
        product_name=PRODUCT[speech.locale],
        pupil_count=2,
        first_day=FIRST,
        last_day=LAST,
        total=8998,
        vat_rate_percent=23,
        vat_amount=1683,
        paid_at=PAID_AT,
        start_now=True,
        withdrawal_last_day=WITHDRAWAL_UNTIL,
        order_url=ORDER_URL,
        terms_version=documents.TERMS_VERSION,
        terms_text=documents.document("terms", SELLER, speech).text,
        form_text=documents.document("withdrawal_form", SELLER, speech).text,
    )
    return structs.replace(base, **changes)


def ending_letters(speech: Speech) -> dict[str, letters.Letter]:
    """The letters about an end of the full version, by name."""
    return {
        "trial-ending": trial_ending(speech),
        "trial-ending-labels": trial_ending(speech, labels=("1A", "2B", "3C"), cause="sponsorship"),
        "season-ending": trial_ending(
            speech,
            cause="season",
            day=date(2027, 7, 1),
            season_start=date(2027, 7, 1),
            season_end=date(2028, 6, 30),
            link_valid_until=date(2027, 7, 15),
        ),
        "trial-ending-guardian": trial_ending(speech, reader="guardian", pupil_count=1),
        "trial-ending-pupil": trial_ending(speech, reader="pupil", url=None, link_valid_until=None, pupil_count=1),
    }


def every_letter(speech: Speech) -> dict[str, letters.Letter]:
    """All letters by name."""
    return {
        "confirm-email": letters.ConfirmEmail(seller=SELLER, url=URL, valid_until=LINK_UNTIL),
        "confirm-guardian": letters.ConfirmGuardian(seller=SELLER, url=URL, valid_until=LINK_UNTIL),
        **ending_letters(speech),
        "confirmation": confirmation(speech),
        "confirmation-prorata": confirmation(
            speech, full_refund=False, start_now=True, renews_on=date(2027, 7, 1), pupil_count=1
        ),
        "payment-failed": letters.PaymentFailed(seller=SELLER, order_number=NUMBER, url=URL),
        "payment-failed-for-good": letters.PaymentFailed(seller=SELLER, order_number=NUMBER),
        "money-returned": letters.MoneyReturned(
            seller=SELLER, reason="duplicate", amount=8998, order_number=NUMBER, active_until=LAST
        ),
        "money-returned-ended": letters.MoneyReturned(
            seller=SELLER, reason="goodwill", amount=8998, order_number=NUMBER, ended_at=PAID_AT
        ),
        **samples_leaving.letters_of(ORDER_URL, NUMBER, SELLER),
        "dispute-lost": letters.DisputeLost(seller=SELLER, order_number=NUMBER),
        "refund-by-bank": letters.RefundByBank(
            seller=SELLER, order_number=NUMBER, amount=4499, due_on=date(2026, 12, 5)
        ),
        "complaint-accepted": letters.ComplaintAnswer(
            seller=SELLER,
            received_on=FIRST,
            outcome="accepted",
            answer="Zwrócimy 10 zł.\nPrzepraszamy.",
        ),
        "complaint-refused": letters.ComplaintAnswer(
            seller=SELLER,
            received_on=FIRST,
            outcome="refused",
            answer="Tę funkcję wyłączyła szkoła.",
            order_number=NUMBER,
        ),
        **samples_renewing.letters_of(ORDER_URL, NUMBER, SELLER),
    }
