"""Letters about renewing, as they are true at the moment they go: what no longer holds is not sent (I20)."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import Account
from billing.catalog.values import Catalogue
from billing.checkout import service as checkout
from billing.checkout import showing_renewal
from billing.checkout.pages import Interval
from billing.checkout.showing_renewal import Standing
from billing.kernel.days import at_hour, day_of, iso
from billing.notices.compose_desk import Desk, Told
from billing.notices.letters import Letter
from billing.notices.letters_change import RenewalChanged
from billing.notices.letters_renewals import (
    OffReason,
    PriceRising,
    RenewalComing,
    RenewalEnded,
    RenewalFailed,
    RenewalGoesOn,
    RenewalPaid,
    RenewalPaused,
    RenewalStopped,
)
from billing.notices.tables import LetterRow

QUIET_ENDS: Final = frozenset({"asked", "at_provider", "erased", "covered"})
"""Reasons for which an end needs no letter of its own: the day was told when it was turned off, or nobody is there."""

_TOLD_ELSEWHERE: Final = frozenset({"erased", "over"})


class Case(msgspec.Struct, frozen=True):
    """What a letter about renewing is made from. `order` are the words that every one of them has."""

    row: LetterRow
    found: Standing
    order: dict[str, Any]
    at: datetime


def told_by(charge_at: datetime, days: int) -> datetime:
    """Before which instant the letter of so many days must be handed over: by the end of that Warsaw day (R65)."""
    return at_hour(day_of(charge_at) - timedelta(days=days - 1), 0)


async def renewal_letter(session: AsyncSession, desk: Desk, row: LetterRow, _: Account, at: datetime) -> Told | str:
    """The letter; or the reason why there is nothing to say any more."""
    order = await checkout.read_order(session, row.facts["order"])
    found = await showing_renewal.standing(session, row.facts["order"], desk.catalogue, at)
    if found is None:
        return "not_begun"
    token = checkout.order_token(desk.secret, order)
    words = {
        "seller": desk.seller,
        "order_number": str(order.number),
        "url": f"{desk.public_url}/orders/{token}/renewal",
    }
    letter = _MAKERS[row.kind](Case(row, found, words, at))
    return letter if isinstance(letter, str) else Told(letter, (token,))


async def renews_on(session: AsyncSession, order: str, catalogue: Catalogue, at: datetime) -> date | None:
    """The day of the next charge of an order, if it renews."""
    found = await showing_renewal.standing(session, order, catalogue, at)
    return None if found is None else found.next_charge_on


def _coming(case: Case) -> Letter | str:
    """Of a charge that will be; where its price waits for a yes, the question (R65, R66)."""
    charge, facts = case.found.charge, case.row.facts
    if charge is None:
        return "renewal_off"
    if iso(charge.at) != facts["charge_at"]:
        return "charge_moved"
    if case.at >= told_by(charge.at, facts["days"]):
        return "too_late"
    case.row.facts = {**facts, "unit": charge.unit_due}
    if case.found.rise is not None:
        return _question(case)
    return RenewalComing(**case.order, charge_on=day_of(charge.at), amount=case.found.next_amount)


def _rising(case: Case) -> Letter | str:
    if case.found.rise is None or case.found.view.needs_consent != case.row.facts["unit"]:
        return "agreed_or_moved"
    return _question(case)


def _question(case: Case) -> Letter | str:
    rise = case.found.rise
    if rise is None or case.found.state == "ended":
        return "agreed_or_moved"
    return PriceRising(
        **case.order, old_amount=rise.old_amount, new_amount=rise.new_amount, charge_on=rise.charge_on
    )  # fmt: skip


def _paid(case: Case) -> Letter | str:
    until = case.found.active_until
    if until is None or case.found.state == "ended":
        return "ended_since"
    amount = int(case.row.facts["amount"])
    return RenewalPaid(
        **case.order, amount=amount, active_until=until, next_charge_on=case.found.next_charge_on
    )  # fmt: skip


def _changed(case: Case) -> Letter | str:
    """What was ordered has been made: no later change of mind takes that back."""
    until, view = case.found.active_until, case.found.view
    if until is None or case.found.state == "ended":
        return "ended_since"
    return RenewalChanged(
        **case.order, product_name=view.product_name, pupil_count=view.pupils, interval=cast("Interval", view.interval),
        amount=int(case.row.facts["amount"]), active_until=until, next_charge_on=case.found.next_charge_on,
        next_amount=case.found.next_amount,
    )  # fmt: skip


def _failed(case: Case) -> Letter | str:
    until = case.found.active_until
    if until is None or case.found.state != "past_due":
        return "paid_or_off_since"
    amount = case.found.unit_gross * case.found.view.pupils
    return RenewalFailed(**case.order, amount=amount, active_until=until)


def _stopped(case: Case) -> Letter | str:
    until, reason = case.found.active_until, case.found.view.reason
    if case.found.state != "off" or until is None:
        return "not_off_any_more"
    if reason is None or reason in _TOLD_ELSEWHERE:
        return "told_elsewhere"
    return RenewalStopped(**case.order, reason=cast("OffReason", reason), active_until=until)


def _goes_on(case: Case) -> Letter | str:
    day = case.found.next_charge_on
    if day is None:
        return "not_on_any_more"
    causes: dict[str, Any] = {
        "renewal_turned_on": "turned_on",
        "renewal_resumed": "resumed",
        "renewal_price_agreed": "price_agreed",
    }
    return RenewalGoesOn(**case.order, cause=causes[case.row.kind], charge_on=day, amount=case.found.next_amount)


def _paused(case: Case) -> Letter | str:
    until = case.found.active_until
    if case.found.state != "paused" or until is None:
        return "not_paused_any_more"
    return RenewalPaused(**case.order, active_until=until)


def _ended(case: Case) -> Letter | str:
    reason = case.found.view.reason
    if case.found.state != "ended" or reason in QUIET_ENDS or case.found.view.state != "ended":
        return "told_elsewhere"
    known = {name: word for name, word in case.order.items() if name != "url"}
    return RenewalEnded(**known, reason=None if reason in _TOLD_ELSEWHERE else cast("OffReason | None", reason))


_MAKERS: Final[dict[str, Callable[[Case], Letter | str]]] = {
    "renewal_coming": _coming,
    "price_rising": _rising,
    "renewal_paid": _paid,
    "renewal_changed": _changed,
    "renewal_failed": _failed,
    "renewal_stopped": _stopped,
    "renewal_turned_on": _goes_on,
    "renewal_resumed": _goes_on,
    "renewal_price_agreed": _goes_on,
    "renewal_paused": _paused,
    "renewal_ended": _ended,
}

KINDS: Final = frozenset(_MAKERS)
"""The letters that are written here."""
