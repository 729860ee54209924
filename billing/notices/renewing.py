"""Which letters renewing calls for: before each charge, after it, and after every change of mind (R65–R68).

The letters before a charge are planned as soon as the charge is known, and each is judged again right before it goes:
after a cancellation none leaves (I20).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Catalogue
from billing.checkout import showing_renewal
from billing.kernel.days import at_hour, day_of, iso, next_opening
from billing.kernel.outbox import Consumer, Message
from billing.notices import service
from billing.notices.compose_renewals import told_by
from billing.notices.planning import CONSUMERS
from billing.notices.tables import LetterRow

COMING: Final = service.RENEWAL_COMING
RISING: Final = "price_rising"
_LETTERS: Final = {
    "renewal.renewed": "renewal_paid",
    "renewal.payment_failed": "renewal_failed",
    "renewal.turned_off": "renewal_stopped",
    "renewal.turned_on": "renewal_turned_on",
    "renewal.paused": "renewal_paused",
    "renewal.resumed": "renewal_resumed",
    "renewal.agreed": "renewal_price_agreed",
    "renewal.changed": "renewal_changed",
    "renewal.ended": "renewal_ended",
}
"""The letter that answers each message."""

_CHARGES: Final = (
    "renewal.renewed", "renewal.recovered", "renewal.turned_on", "renewal.resumed", "renewal.changed", "renewal.agreed",
)  # fmt: skip
"""Messages after which another charge is to come, or comes at another price."""

_KEPT: Final = frozenset({"renewal", "order", "reason", "amount"})
"""Facts of a message that its letter is made from."""


def consumers(catalogue: Catalogue) -> Mapping[str, tuple[Consumer, ...]]:
    """What each message leads to, with those about renewing."""

    async def plan(session: AsyncSession, message: Message, at: datetime) -> None:
        account = message.facts.get("account")
        if account is not None:
            await plan_before_charge(session, account, message.facts["order"], catalogue, at)

    found: dict[str, tuple[Consumer, ...]] = dict.fromkeys(_LETTERS, (answer,))
    for name in _CHARGES:
        found[name] = (*found.get(name, ()), plan)
    return {**CONSUMERS, **found, "order.paid": (*CONSUMERS["order.paid"], plan)}


async def answer(session: AsyncSession, message: Message, at: datetime) -> None:
    """The letter that tells of what has just happened, once for each time it happened."""
    account = message.facts.get("account")
    if account is not None:
        known = {name: fact for name, fact in message.facts.items() if name in _KEPT}
        await service.plan_letter(session, account, _LETTERS[message.kind], message.id.hex, at, **known)


async def plan_before_charge(
    session: AsyncSession, account: str, order: str, catalogue: Catalogue, at: datetime
) -> None:
    """Plan every letter before the next charge that can still be in time (R65), and the question whether its price is
    agreed to, as soon as there is one (R66)."""
    found = await showing_renewal.standing(session, order, catalogue, at)
    if found is None or found.charge is None:
        return
    view, charge_at = found.view, found.charge.at
    rule, hours = catalogue.renewal, catalogue.trial.send_hours
    known: dict[str, Any] = {"renewal": view.renewal, "order": order, "charge_at": iso(charge_at)}
    the_charge = f"{view.renewal}:{iso(charge_at)}"
    for days in rule.notice_days(view.interval):
        due = at_hour(day_of(charge_at) - timedelta(days=days + rule.lead_days), hours[0])
        if at < told_by(charge_at, days):
            opens = next_opening(max(at, due), *hours)
            await _plan_again(session, account, f"{the_charge}:{days}", at, opens, days, known)
    if view.needs_consent is not None:
        about, opens = f"{the_charge}:{view.needs_consent}", next_opening(at, *hours)
        await service.plan_letter(session, account, RISING, about, at, due_at=opens, unit=view.needs_consent, **known)


async def _plan_again(
    session: AsyncSession, account: str, about: str, at: datetime, due: datetime, days: int, known: dict[str, Any]
) -> None:
    """Plan the letter, or take up one that was dropped because the renewal was off meanwhile."""
    if await service.plan_letter(session, account, COMING, about, at, due_at=due, days=days, **known):
        return
    query = select(LetterRow).where(LetterRow.account == account, LetterRow.kind == COMING, LetterRow.about == about)
    letter = (await session.scalars(query.with_for_update())).one()
    if letter.state == "dropped":
        letter.state, letter.fault, letter.due_at = "planned", None, due
