"""A sample of every page and letter about withdrawing."""

from datetime import UTC, date, datetime
from typing import Final

from msgspec import structs

from billing.checkout import pages, pages_withdrawal
from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.notices import letters

UNTIL: Final = date(2026, 12, 7)
RECEIVED: Final = datetime(2026, 11, 21, 13, 5, tzinfo=UTC)


def pages_of(seller: Seller, number: str, product: str, speech: Speech) -> dict[str, str]:
    """Both steps, what comes after them, and the order's page then."""
    w = pages_withdrawal
    form = w.WithdrawalPage(
        seller=seller, action="/w", back_url="/orders/x", order_number=number, last_day=UNTIL, total=8998
    )
    wrong = structs.replace(
        form, errors=(w.blank_field_error("name", speech), w.blank_field_error("contact", speech)), full_refund=False
    )
    filled = structs.replace(form, name="Anna Nowak-Żółć", contact="anna@example.pl", reason="Bo tak")
    done = w.WithdrawnPage(seller=seller, order_number=number, received_at=RECEIVED, refund=8998, order_url="/o")
    order = pages.OrderPage(
        seller=seller, order_number=number, state="refunded", product_name=product, pupil_count=2, total=8998,
        refunded=8998, refund_reason="withdrawal", withdrawn_at=RECEIVED,
    )  # fmt: skip
    return {
        "withdrawal": w.withdrawal_page(wrong, speech),
        "withdrawal-blank": w.withdrawal_page(form, speech),
        "withdrawal-confirm": w.confirm_withdrawal_page(filled, speech),
        "withdrawn": w.withdrawn_page(done, speech),
        "withdrawn-in-part": w.withdrawn_page(structs.replace(done, refund=8432, kept=566), speech),
        "withdrawn-unpaid": w.withdrawn_page(structs.replace(done, refund=0), speech),
        "withdrawal-closed": w.withdrawal_closed_page(
            w.WithdrawalClosedPage(seller=seller, last_day=UNTIL, order_url="/o"), speech
        ),
        "order-withdrawn": pages.order_page(order, speech),
        "order-withdrawn-waiting": pages.order_page(
            structs.replace(order, state="waiting", refunded=None, refund_reason=None), speech
        ),
    }


def letters_of(url: str, number: str, seller: Seller) -> dict[str, letters.Letter]:
    """The acknowledgement in all its kinds, and the refusal."""
    received = letters.WithdrawalReceived(
        seller=seller,
        order_number=number,
        received_at=RECEIVED,
        name="Anna Nowak-Żółć",
        contact="anna@example.pl",
        reason="",
        refund=8998,
        refund_due_on=date(2026, 12, 5),
        order_url=url,
    )
    return {
        "withdrawal-received": received,
        "withdrawal-received-in-part": structs.replace(received, refund=8432, kept=566, reason="Bo tak"),
        "withdrawal-received-unpaid": structs.replace(received, refund=0, sent_on=date(2026, 11, 20)),
        "withdrawal-received-used-up": structs.replace(received, refund=0, kept=8998),
        "withdrawal-too-late": letters.WithdrawalTooLate(seller=seller, order_number=number, last_day=UNTIL),
    }
