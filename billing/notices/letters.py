"""The letters we send: frozen facts in, a subject and two equal parts out. Nothing here sends anything."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from billing.kernel.speech import Speech
from billing.notices import letters_accounts as accounts
from billing.notices import letters_money as money
from billing.notices import letters_orders as orders
from billing.notices import letters_renewals as renewals
from billing.notices import letters_rights as rights
from billing.notices.letters_accounts import AccessEnding, ConfirmEmail, ConfirmGuardian
from billing.notices.letters_change import RenewalChanged, draft_renewal_changed
from billing.notices.letters_draft import Attachment, Draft, Written, set_letter
from billing.notices.letters_money import ComplaintAnswer, DisputeLost, RefundByBank
from billing.notices.letters_orders import MoneyReturned, OrderConfirmation, PaymentFailed
from billing.notices.letters_renewals import (
    PriceRising,
    RenewalComing,
    RenewalEnded,
    RenewalFailed,
    RenewalGoesOn,
    RenewalPaid,
    RenewalPaused,
    RenewalStopped,
)
from billing.notices.letters_rights import WithdrawalReceived, WithdrawalTooLate

Letter = (
    ConfirmEmail
    | ConfirmGuardian
    | AccessEnding
    | OrderConfirmation
    | PaymentFailed
    | MoneyReturned
    | WithdrawalReceived
    | WithdrawalTooLate
    | DisputeLost
    | RefundByBank
    | ComplaintAnswer
    | RenewalComing
    | RenewalPaid
    | RenewalChanged
    | RenewalFailed
    | RenewalStopped
    | RenewalGoesOn
    | RenewalPaused
    | PriceRising
    | RenewalEnded
)

DRAFTERS: Final[Mapping[type[Letter], Callable[[Any, Speech], Draft]]] = MappingProxyType(
    {
        ConfirmEmail: accounts.draft_confirm_email,
        ConfirmGuardian: accounts.draft_confirm_guardian,
        AccessEnding: accounts.draft_access_ending,
        OrderConfirmation: orders.draft_order_confirmation,
        PaymentFailed: orders.draft_payment_failed,
        MoneyReturned: orders.draft_money_returned,
        WithdrawalReceived: rights.draft_withdrawal_received,
        WithdrawalTooLate: rights.draft_withdrawal_too_late,
        DisputeLost: money.draft_dispute_lost,
        RefundByBank: money.draft_refund_by_bank,
        ComplaintAnswer: money.draft_complaint_answer,
        RenewalComing: renewals.draft_renewal_coming,
        RenewalPaid: renewals.draft_renewal_paid,
        RenewalChanged: draft_renewal_changed,
        RenewalFailed: renewals.draft_renewal_failed,
        RenewalStopped: renewals.draft_renewal_stopped,
        RenewalGoesOn: renewals.draft_renewal_goes_on,
        RenewalPaused: renewals.draft_renewal_paused,
        PriceRising: renewals.draft_price_rising,
        RenewalEnded: renewals.draft_renewal_ended,
    }
)


def write(letter: Letter, speech: Speech) -> Written:
    """The letter in one language, with an HTML and a plain part that say the same (R22, R120)."""
    return set_letter(DRAFTERS[type(letter)](letter, speech), letter.seller, speech)


__all__ = (
    "DRAFTERS",
    "AccessEnding",
    "Attachment",
    "ComplaintAnswer",
    "ConfirmEmail",
    "ConfirmGuardian",
    "DisputeLost",
    "Letter",
    "MoneyReturned",
    "OrderConfirmation",
    "PaymentFailed",
    "PriceRising",
    "RefundByBank",
    "RenewalChanged",
    "RenewalComing",
    "RenewalEnded",
    "RenewalFailed",
    "RenewalGoesOn",
    "RenewalPaid",
    "RenewalPaused",
    "RenewalStopped",
    "WithdrawalReceived",
    "WithdrawalTooLate",
    "Written",
    "write",
)
