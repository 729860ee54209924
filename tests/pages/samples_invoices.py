"""A sample of every page about an invoice."""

from datetime import date
from typing import Final

from msgspec import structs

from billing.invoices import pages
from billing.invoices.rules import Field
from billing.kernel.pages import Seller
from billing.kernel.speech import Speech

PAID: Final = date(2026, 11, 21)
LAST: Final = date(2027, 2, 28)
_FIELDS: Final[tuple[Field, ...]] = ("name", "street", "town", "email", "nip")


def pages_of(seller: Seller, number: str, speech: Speech) -> dict[str, str]:
    """The form, blank and with every fault; what became of it; why there is none."""
    form = pages.InvoicePage(
        seller=seller, action="/i", back_url="/orders/x", order_number=number, paid_on=PAID, gross=8998, last_day=LAST
    )
    wrong = structs.replace(form, name="Anna", errors=tuple(pages.field_error(field, speech) for field in _FIELDS))
    asked = pages.AskedPage(
        seller=seller, order_number=number, order_url="/o", state="requested", due_on=date(2026, 12, 15)
    )
    none = pages.NoInvoicePage(seller=seller, order_url="/o")
    return {
        "invoice": pages.invoice_page(form, speech),
        "invoice-wrong": pages.invoice_page(wrong, speech),
        "invoice-asked": pages.asked_page(asked, speech),
        "invoice-issued": pages.asked_page(structs.replace(asked, state="issued", number="FV/1/2026"), speech),
        "invoice-too-late": pages.no_invoice_page(structs.replace(none, last_day=LAST), speech),
        "invoice-nothing": pages.no_invoice_page(none, speech),
    }
