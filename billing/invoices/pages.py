"""What the holder of an order's link sees of its invoice: a short form, what becomes of it, or why it is too late."""

from datetime import date

from billing.checkout.pages import FieldError
from billing.invoices.rules import Field, State
from billing.kernel.pages import Message, Page, show, tell
from billing.kernel.speech import Speech


class InvoicePage(Page, frozen=True, kw_only=True):
    """The form: who the invoice is for. A NIP makes it an invoice for a company; `last_day` is the last to ask."""

    action: str
    back_url: str
    order_number: str
    paid_on: date
    gross: int
    last_day: date
    name: str = ""
    street: str = ""
    town: str = ""
    email: str = ""
    nip: str = ""
    errors: tuple[FieldError, ...] = ()


class AskedPage(Page, frozen=True, kw_only=True):
    """What became of a request."""

    order_number: str
    order_url: str
    state: State
    due_on: date
    number: str | None = None


class NoInvoicePage(Page, frozen=True, kw_only=True):
    """Nothing can be asked for: `last_day` has passed, or no money is kept."""

    order_url: str
    last_day: date | None = None


def invoice_page(page: InvoicePage, speech: Speech) -> str:
    """The form, with faults beside their fields."""
    errors = {error.field: error.text for error in page.errors}
    return show("invoices/request.html", page, speech, errors=errors)


def asked_page(page: AskedPage, speech: Speech) -> str:
    """The request is known; until when the invoice comes, or its number."""
    say = speech.say
    if page.state == "issued":
        title = say("The invoice has been issued")
        told = (say("Invoice number: %(number)s.", number=page.number or ""),)
    else:
        title = say("We have your request for an invoice")
        told = (
            say("You will get the invoice by e-mail, on %(day)s at the latest.", day=speech.day(page.due_on)),
            say("If anything in it should be different, write to %(email)s.", email=page.seller.email),
        )
    sentences = (say("Order number: %(number)s.", number=page.order_number), *told)
    way_on = (page.order_url, say("Back to the order"))
    return tell(page, speech, Message(title=title, sentences=sentences, way_on=way_on))


def no_invoice_page(page: NoInvoicePage, speech: Speech) -> str:
    """Says which day was the last one, or that there is nothing to invoice."""
    say = speech.say
    if page.last_day is None:
        title = say("There is nothing to invoice")
        told = (say("We keep no money for this order, so there is no invoice."),)
    else:
        title = say("The time to ask for an invoice is over")
        told = (
            say("An invoice can be asked for until the end of the third month after the month of payment."),
            say("The last day was %(day)s.", day=speech.day(page.last_day)),
            say("If you have a question about it, write to %(email)s.", email=page.seller.email),
        )
    way_on = (page.order_url, say("Back to the order"))
    return tell(page, speech, Message(title=title, sentences=told, way_on=way_on))


def field_error(field: Field, speech: Speech) -> FieldError:
    """What is wrong with a field of the form."""
    say = speech.say
    texts: dict[Field, str] = {
        "name": say("Enter the first name and surname, or the name of the company."),
        "street": say("Enter the street and number."),
        "town": say("Enter the postcode and town, like 00-001 Warszawa."),
        "email": say("Enter your e-mail address."),
        "nip": say("This is not a valid NIP. Leave it empty if the invoice is for a private person."),
    }
    return FieldError(field=field, text=texts[field])
