"""One sample of every page and letter about what renews."""

from datetime import date
from typing import Any, Final

from msgspec import structs

from billing.checkout import pages_change as change_pages
from billing.checkout import pages_renewal as pages
from billing.kernel.pages import Page, Seller
from billing.kernel.speech import Speech
from billing.notices import letters

CHARGE: Final = date(2027, 7, 1)
UNTIL: Final = date(2027, 6, 30)


def letters_of(url: str, number: str, seller: Seller) -> dict[str, letters.Letter]:
    """All letters about renewing, by name."""
    order: dict[str, Any] = {"seller": seller, "order_number": number, "url": url}
    return {
        "renewal-coming": letters.RenewalComing(**order, charge_on=CHARGE, amount=8998),
        "renewal-paid": letters.RenewalPaid(**order, amount=8998, active_until=UNTIL, next_charge_on=CHARGE),
        "renewal-paid-last": letters.RenewalPaid(**order, amount=8998, active_until=UNTIL, next_charge_on=None),
        "renewal-changed": letters.RenewalChanged(
            **order,
            product_name="Mobilne dodatki co rok",
            pupil_count=2,
            interval="year",
            amount=8400,
            active_until=UNTIL,
            next_charge_on=CHARGE,
            next_amount=9998,
        ),
        "renewal-changed-off": letters.RenewalChanged(
            **order,
            product_name="Mobilne dodatki co miesiąc",
            pupil_count=1,
            interval="month",
            amount=410,
            active_until=UNTIL,
            next_charge_on=None,
            next_amount=0,
        ),
        "renewal-failed": letters.RenewalFailed(**order, amount=8998, active_until=UNTIL),
        "renewal-stopped": letters.RenewalStopped(**order, reason="asked", active_until=UNTIL),
        "renewal-stopped-price": letters.RenewalStopped(**order, reason="no_consent", active_until=UNTIL),
        "renewal-stopped-mandate": letters.RenewalStopped(**order, reason="mandate_revoked", active_until=UNTIL),
        "renewal-stopped-not-told": letters.RenewalStopped(**order, reason="no_notice", active_until=UNTIL),
        "renewal-on": letters.RenewalGoesOn(**order, cause="turned_on", charge_on=CHARGE, amount=8998),
        "renewal-resumed": letters.RenewalGoesOn(**order, cause="resumed", charge_on=CHARGE, amount=8998),
        "renewal-agreed": letters.RenewalGoesOn(**order, cause="price_agreed", charge_on=CHARGE, amount=9998),
        "renewal-paused": letters.RenewalPaused(**order, active_until=UNTIL),
        "price-rising": letters.PriceRising(**order, old_amount=8998, new_amount=9998, charge_on=CHARGE),
        "renewal-ended": letters.RenewalEnded(seller=seller, order_number=number, reason=None),
        "renewal-ended-unpaid": letters.RenewalEnded(seller=seller, order_number=number, reason="payment_failed"),
        "renewal-ended-price": letters.RenewalEnded(seller=seller, order_number=number, reason="no_consent"),
    }


RISE: Final = pages.Rise(old_amount=8998, new_amount=9998, charge_on=CHARGE)
ADDRESS: Final = "/orders/Hs8Lq2NvXe6Tz4Jd/renewal"


def renewal(seller: Seller, name: str, **changes: Any) -> pages.RenewalPage:
    """A renewal that is on, with every control it then has."""
    base = pages.RenewalPage(
        seller=seller,
        address=ADDRESS,
        order_url="/orders/Hs8Lq2NvXe6Tz4Jd",
        order_number="100001",
        product_name=name,
        pupil_count=2,
        interval="month",
        state="on",
        active_until=UNTIL,
        next_charge_on=CHARGE,
        next_amount=8998,
        may_turn_off=True,
        may_pause=True,
        may_change_card=True,
    )
    return structs.replace(base, **changes)


def price(seller: Seller, name: str, **changes: Any) -> pages.PricePage:
    """The question whether a higher price is agreed to."""
    base = pages.PricePage(
        seller=seller,
        address=f"{ADDRESS}/price",
        back_url=ADDRESS,
        product_name=name,
        pupil_count=2,
        interval="year",
        rise=RISE,
        shown="9998",
    )
    return structs.replace(base, **changes)


def change(seller: Seller, name: str, **changes: Any) -> change_pages.ChangePage:
    """A month that may become a year, with a pupil who may be added."""
    choices = (
        change_pages.ChangeChoice(
            field="product", value="yearly", name=name, interval="year", pupil_count=2, amount=9998
        ),
        change_pages.ChangeChoice(
            field="add", value=change_pages.PUPIL, name=name, interval="month", pupil_count=3, amount=1797
        ),
    )
    base = change_pages.ChangePage(
        seller=seller, address=f"{ADDRESS}/change", back_url=ADDRESS, product_name=name, interval="month",
        pupil_count=2, amount=1198, choices=choices,
    )  # fmt: skip
    return structs.replace(base, **changes)


def confirmation(seller: Seller, name: str, **changes: Any) -> change_pages.ConfirmChangePage:
    """A year instead of months, counted."""
    base = change_pages.ConfirmChangePage(
        seller=seller, address=f"{ADDRESS}/change", back_url=ADDRESS, key="0" * 32, product_name=name, interval="year",
        pupil_count=2, unit_price=4999, amount=8400, vat_rate_percent=23, vat_amount=1571, next_charge_on=CHARGE,
        next_amount=9998, is_pupil=False, button="Zamawiam i płacę",
    )  # fmt: skip
    return structs.replace(base, **changes)


def pages_of_change(seller: Seller, name: str, speech: Speech) -> dict[str, str]:
    """All pages that change what renews, by name."""
    page = Page(seller=seller, here=ADDRESS)
    blank = (change_pages.blank_change_error(speech),)
    show = change_pages.confirm_change_page
    return {
        "change": change_pages.change_page(change(seller, name), speech),
        "change-from-year": change_pages.change_page(
            change(seller, name, interval="year", is_many_pupils=True, choices=change(seller, name).choices[:1]), speech
        ),
        "change-confirm": show(confirmation(seller, name), speech),
        "change-blank": show(confirmation(seller, name, errors=blank), speech),
        "change-again": show(confirmation(seller, name, was_counted_again=True, interval="month"), speech),
        "change-pupil": show(confirmation(seller, name, is_pupil=True, interval="month"), speech),
        "change-too-early": change_pages.change_too_early_page(page, speech),
        "change-refused": change_pages.change_refused_page(page, speech),
        "change-waiting": change_pages.change_waiting_page(page, speech),
        "change-unavailable": change_pages.change_unavailable_page(page, speech),
    }


def pages_of(seller: Seller, name: str, speech: Speech) -> dict[str, str]:
    """All pages about renewing, by name."""
    off: dict[str, Any] = {"next_charge_on": None, "may_turn_off": False, "may_pause": False}
    facts = {
        "renewal-on": renewal(seller, name, done="on"),
        "renewal-changed": renewal(seller, name, done="change", change_url=f"{ADDRESS}/change"),
        "renewal-rise": renewal(seller, name, rise=RISE),
        "renewal-off": renewal(seller, name, state="off", done="off", may_turn_on=True, **off),
        "renewal-off-price": renewal(seller, name, state="off", off_reason="no_consent", may_turn_on=True, **off),
        "renewal-past-due": renewal(seller, name, state="past_due"),
        "renewal-paused": renewal(seller, name, state="paused", done="pause", may_resume=True, **off),
        "renewal-ended": renewal(seller, name, state="ended", may_change_card=False, **off),
    }
    return {
        **pages_of_change(seller, name, speech),
        **{key: pages.renewal_page(fact, speech) for key, fact in facts.items()},
        "price": pages.price_page(price(seller, name), speech),
        "price-blank": pages.price_page(price(seller, name, errors=(pages.blank_consent_error(speech),)), speech),
        "card-unavailable": pages.card_unavailable_page(Page(seller=seller), ADDRESS, speech),
    }
