"""Erasing a person across all rooms, and collecting what we hold of one (R88, R90, R91)."""

from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts import service as accounts
from billing.activation import service as activation
from billing.checkout import service as checkout
from billing.checkout.service import Order
from billing.invoices import service as invoices
from billing.kernel import audit, outbox
from billing.kernel.days import iso
from billing.notices import service as notices
from billing.payments.service import payments_of
from billing.privacy import rules
from billing.subscriptions import service as subscriptions
from billing.trials import service as trials
from billing.withdrawals import complaints, withdrawing
from entitlements import service as desk


class Kept(msgspec.Struct, frozen=True):
    """Something the law makes us keep: what, how many rows, until which day."""

    what: str
    rows: int
    until: date


async def erase(session: AsyncSession, account: str, at: datetime, *, reason: str) -> tuple[Kept, ...]:
    """Delete a person: address, links, letters, mail links. Paid orders stay without the account until their term ends;
    the pupil's rights stay the pupil's. Answers what is kept by law. Raises NotFound `unknown_account`.
    """
    await checkout.orders_of(session, account, lock=True)  # whoever writes about an order now has done so, or waits
    await accounts.get_account(session, account, lock=True)  # after the orders, as whoever opens a case about one does
    for link in await desk.links_of(session, account):
        await desk.drop_link(session, account, link.pupil)
        await trials.unlinked(session, link.pupil)
    await activation.forget(session, account)
    await notices.forget(session, account)
    await withdrawing.forget_buyer(session, account)
    await complaints.forget_account(session, account)
    sold = await checkout.forget_buyer(session, account, at)
    await subscriptions.forget_buyer(session, account, at)
    await accounts.forget(session, account)
    audit.record(session, at, "account.erased", account, account=account, reason=reason)
    outbox.put(session, "account.erased", at, account=account)
    if not sold:
        return ()
    return (Kept("paid_orders", len(sold), max(rules.kept_until(paid_at) for paid_at in sold)),)


async def erase_unconfirmed(session: AsyncSession, at: datetime, limit: int) -> int:
    """Delete accounts that were never confirmed within their term (R90)."""
    due = await accounts.unconfirmed(session, at, limit)
    for account in due:
        await erase(session, account, at, reason="never_confirmed")
    return len(due)


async def collect(session: AsyncSession, account: str, secret: str | None = None) -> dict[str, Any]:
    """All we hold of one person, and nothing of any other (R91). The `secret` opens what the person declared."""
    person = await accounts.get_account(session, account)
    links = await desk.links_of(session, account)
    orders = await checkout.orders_of(session, account)
    letters = await notices.letters_of(session, account)
    return {
        "account": {
            "account": account,
            "email": person.email,
            "guardian_email": person.guardian_email,
            "locale": person.locale,
            "kind": person.kind,
            "age_band": person.age_band,
            "created_at": iso(person.created_at),
            "confirmed_at": iso(person.confirmed_at) if person.confirmed_at else None,
        },
        "pupils": [{"pupil": link.pupil, "school": link.school, "linked_at": iso(link.linked_at)} for link in links],
        "orders": [await _order(session, order, person.email, secret) for order in orders],
        "complaints": [complaints.told(row, secret) for row in await complaints.complaints_of(session, account)],
        "letters": [
            {
                "id": notices.letter_id(letter),
                "kind": letter.kind,
                "state": letter.state,
                "handed_over_at": iso(letter.handed_over_at) if letter.handed_over_at else None,
                "subject": letter.subject,
                "text": letter.text,
            }
            for letter in letters
        ],
    }


async def _order(session: AsyncSession, order: Order, email: str, secret: str | None) -> dict[str, Any]:
    consents = await checkout.consents_of(session, order)
    payments = await payments_of(session, checkout.order_id(order))
    return {
        "id": checkout.order_id(order),
        "number": order.number,
        "state": order.state,
        "pupils": list(order.pupils),
        "total": {"amount": order.total, "currency": order.currency},
        "created_at": iso(order.created_at),
        "paid_at": iso(order.paid_at) if order.paid_at else None,
        "consents": [
            {
                "kind": row.kind,
                "version": row.version,
                "text_sha256": row.text_hash,
                "given": row.given,
                "at": iso(row.at),
            }
            for row in consents
        ],
        "payments": [
            {
                "amount": {"amount": paid.amount, "currency": paid.currency},
                "method": paid.method,
                "captured_at": iso(paid.captured_at),
            }
            for paid in payments
        ],
        "withdrawal": await _withdrawal(session, order, email, secret),
        "invoices": await _invoices(session, order, email, secret),
    }


async def _invoices(session: AsyncSession, order: Order, email: str, secret: str | None) -> list[dict[str, Any]]:
    """What was asked for of an order's money; whom it names only where it gave this person's own address."""
    found: list[dict[str, Any]] = []
    for row in await invoices.of_order(session, checkout.order_id(order)):
        buyer = invoices.buyer_in(row, secret) if secret is not None and row.buyer is not None else None
        is_own = buyer is not None and buyer.email.casefold() == email.casefold()
        found.append(
            {
                "kind": row.kind,
                "state": row.state,
                "asked_at": iso(row.asked_at),
                "number": row.number,
                "buyer": msgspec.to_builtins(buyer) if is_own else None,
            }
        )
    return found


async def _withdrawal(session: AsyncSession, order: Order, email: str, secret: str | None) -> dict[str, Any] | None:
    """The declaration about an order. Whoever held the link may have made it: what was written stands here only where
    it gave this person's own address."""
    row = await withdrawing.find(session, order.id)
    if row is None:
        return None
    told = withdrawing.declared(row, secret) if secret is not None else None
    is_own = told is not None and told.contact.casefold() == email.casefold()
    return {
        "state": row.state,
        "channel": row.channel,
        "received_at": iso(row.received_at),
        "sent_on": row.sent_on.isoformat(),
        "declared": msgspec.structs.asdict(told) if told is not None and is_own else None,
    }
