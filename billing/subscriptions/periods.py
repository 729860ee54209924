"""The rights of a renewal and their grants: begun, led along with what is paid, and ended, in one transaction."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.subscriptions import charges, rows, service, wishes
from billing.subscriptions import renewing_rules as rules
from billing.subscriptions.renewing_rules import Invoice, OffReason, RenewalState, Standing, Terms
from billing.subscriptions.rules import ENTITLING, OVER, State
from billing.subscriptions.service import Pass, subscription_id
from billing.subscriptions.tables import RenewalInvoiceRow, RenewalRow, SubscriptionRow
from billing.subscriptions.wishes import say
from entitlements import service as desk


def terms_of(row: RenewalRow) -> Terms:
    """The row as the rules know it."""
    return Terms(
        state=cast("RenewalState", row.state),
        unit_gross=row.unit_gross,
        quantity=len(row.pupils),
        grace_days=row.grace_days,
        period_end=row.period_end,
        has_buyer=row.account is not None,
        is_renewal_on=row.is_renewal_on,
        off_reason=cast("OffReason | None", row.off_reason),
        off_at=row.off_at,
        is_paused=row.is_paused,
        paused_at=row.paused_at,
    )


async def invoices_of(session: AsyncSession, row: RenewalRow) -> list[Invoice]:
    """What is known of its invoices, oldest first."""
    query = select(RenewalInvoiceRow).where(RenewalInvoiceRow.renewal_id == row.id)
    found = await session.scalars(query.order_by(RenewalInvoiceRow.made_at, RenewalInvoiceRow.provider_id))
    return [invoice_of(known) for known in found]


def invoice_of(row: RenewalInvoiceRow) -> Invoice:
    """The row as the rules know it."""
    return Invoice(
        invoice_id=row.provider_id, state=cast("Any", row.state), reason=row.reason, amount=row.amount,
        quantity=row.quantity, covers_from=row.covers_from, covers_until=row.covers_until, attempts=row.attempts,
        next_attempt_at=row.next_attempt_at, made_at=row.made_at, fate=cast("Any", row.fate),
    )  # fmt: skip


async def paid_beyond(session: AsyncSession, order: str, at: datetime) -> frozenset[str]:
    """The provider's ids of the payments that bought an order time after an instant."""
    query = (
        select(RenewalInvoiceRow.payment_id)
        .join(RenewalRow, RenewalRow.id == RenewalInvoiceRow.renewal_id)
        .where(RenewalRow.order_id == order, RenewalInvoiceRow.covers_until > at)
    )
    return frozenset(name for name in await session.scalars(query) if name is not None)


async def standing_of(session: AsyncSession, row: RenewalRow, at: datetime) -> Standing:
    """How it stands at an instant, written down or not."""
    return rules.stand(terms_of(row), await invoices_of(session, row), at)


async def begin(
    session: AsyncSession, row: RenewalRow, pupils: Collection[str], since: datetime, until: datetime, at: datetime
) -> list[str]:
    """Begin the right of each of the pupils who is not covered; answers for whom (I11, R49)."""
    grace = rules.grace_of(until, terms_of(row))
    begun: list[str] = []
    for pupil in sorted(pupils):
        wanted = Pass(
            pupil=pupil,
            account=row.account or "",
            product=row.product,
            features=tuple(row.features),
            since=since,
            until=until,
            order=row.order_id,
            renewal=row.id,
            grace_until=grace[1] if grace else None,
        )
        if await service.begin_pass(session, wanted, at) is not None:
            begun.append(pupil)
    return begun


async def covered_elsewhere(session: AsyncSession, row: RenewalRow, invoice: Invoice) -> int:
    """For how many of its pupils the period of an invoice is paid for by other rights too."""
    others = await service.covering(
        session, row.pupils, row.features, invoice.covers_from, invoice.covers_until, besides=row.id
    )
    return len({other.pupil for other in others})


async def settle(session: AsyncSession, row: RenewalRow, at: datetime) -> None:
    """Bring row, rights and grants to how it stands at `at`, and plan the next look. `row` is locked."""
    before = row.state
    stands = await standing_of(session, row, at)
    await follow(session, row, stands, at)
    if row.state != before:
        _tell(session, row, before, at)
    charges.plan_guard(row)
    awaited = row.period_end if stands.state in ENTITLING else None
    unfinished = at if await rows.unfinished_change(session, row.id) is not None else None
    instants = (row.charge_at, awaited, stands.lapses_at, unfinished)
    row.check_at = rules.next_look(stands.state, instants, row.checks, at)


def _tell(session: AsyncSession, row: RenewalRow, before: str, at: datetime) -> None:
    if row.state == "past_due":
        say(session, row, "renewal.payment_failed", at, grace_on=str(row.grace_on), charge_at=str(row.period_end))
    elif row.state == "active" and before == "past_due":
        say(session, row, "renewal.recovered", at)
    elif row.state == "ended":
        say(session, row, "renewal.ended", at, reason="payment_failed" if row.off_reason == "over" else row.off_reason)


async def follow(session: AsyncSession, row: RenewalRow, stands: Standing, at: datetime) -> None:
    """Let the row and its pupils' rights stand so; the last right that ends ends the row."""
    if stands.period_end is None or row.state in OVER:
        return
    row.period_start, row.period_end = stands.period_start, stands.period_end
    row.past_due_since, row.grace_on, row.grace_until = stands.past_due_since, stands.grace_on, stands.grace_until
    rights = await wishes.rights_of(session, row)
    for right in rights:
        await _lead(session, right, stands, at)
        right.is_renewal_on, right.is_paused = row.is_renewal_on, row.is_paused
    if stands.state in OVER:
        for right in rights:
            ended = min(at, stands.lapses_at or at)
            reason = "payment_failed" if row.off_reason in {None, "payment_failed"} else None
            await service.end(session, right, ended, stands.state, reason)
        return
    for right in rights:
        if right.state != stands.state:
            service.change_state(session, right, cast("State", stands.state), at)
    if row.state != stands.state:
        wishes.move(session, row, stands.state, at)


async def _lead(session: AsyncSession, right: SubscriptionRow, stands: Standing, at: datetime) -> None:
    """Move what is paid, and the grace behind it, to where the renewal stands."""
    start, end = cast("datetime", stands.period_start), cast("datetime", stands.period_end)
    origin, was_until, had = subscription_id(right), right.until, right.grace_until
    if end > was_until:
        if start > was_until:
            await desk.add_grant(
                session, pupil=right.pupil, source="paid", origin=origin, features=right.features,
                since=start, until=end, at=at,
            )  # fmt: skip
        else:
            await desk.set_span(session, origin, "paid", was_until, right.since, end)
    right.until, right.grace_until = end, stands.grace_until
    if had is not None:
        await desk.set_span(session, origin, "grace", had, end, stands.grace_until or end)
    elif stands.grace_until is not None and not await desk.set_span(
        session, origin, "grace", was_until, end, stands.grace_until
    ):
        await desk.add_grant(
            session, pupil=right.pupil, source="grace", origin=origin, features=right.features,
            since=end, until=stands.grace_until, at=at,
        )  # fmt: skip
