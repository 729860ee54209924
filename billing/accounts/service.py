"""Registering, changing and confirming accounts; a school's blocks."""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts import rules
from billing.accounts.tables import AccountRow, ConfirmationRow
from billing.kernel import audit, outbox
from billing.kernel.errors import Fault, Gone, Invalid, NotFound
from billing.kernel.tokens import new_token, token_hash
from entitlements import service as desk


class Person(msgspec.Struct, frozen=True):
    """What the app backend knows of an account."""

    email: str
    locale: str
    kind: str
    age_band: str
    guardian_email: str | None
    email_confirmed: bool


class Account(msgspec.Struct, frozen=True):
    """An account as the other rooms see it; `address` is where its mail goes."""

    account: str
    address: str
    locale: str
    age_band: str
    is_active: bool
    confirm_by: datetime | None
    bounced_at: datetime | None


async def put_account(session: AsyncSession, account: str, person: Person, at: datetime) -> tuple[AccountRow, bool]:
    """Register or change an account; answers it and whether it is new.

    An unconfirmed address is written to once, and confirmed within fourteen days or forgotten (R90). Raises Invalid.
    """
    _check(person)
    is_new = await desk.put_account(session, account)
    row = await session.get(AccountRow, account, with_for_update=True)
    if row is None:
        row = AccountRow(
            account=account,
            created_at=at,
            confirmed_at=None,
            confirm_by=rules.confirm_by(at),
            first_confirmed_at=None,
            bounced_at=None,
        )
        session.add(row)
        is_new = True
    had, was_confirmed = (row.address, row.is_active) if not is_new else (None, False)
    row.email, row.guardian_email = person.email, person.guardian_email
    row.locale, row.kind, row.age_band = person.locale, person.kind, person.age_band
    if row.address != had:
        row.bounced_at = None
    if person.email_confirmed:
        _confirm(session, row, at)
    elif row.address != had or not was_confirmed:
        await _ask_to_confirm(session, row, at, again=row.address != had)
    await session.flush()
    return row, is_new


def _check(person: Person) -> None:
    if person.age_band == "under_13" and person.guardian_email is None:
        raise Invalid(
            "An account under 13 needs the guardian's e-mail address.",
            code="guardian_email_required",
            faults=(Fault("/guardian_email", "guardian_email_required", "Required for under_13"),),
        )
    faults = rules.address_faults(person.email, person.guardian_email)
    if faults:
        raise Invalid("An e-mail address is not usable.", faults=faults)


def _confirm(session: AsyncSession, row: AccountRow, at: datetime) -> None:
    if row.confirmed_at is None:
        row.confirmed_at, row.confirm_by = at, None
        row.first_confirmed_at = row.first_confirmed_at or at
        audit.record(
            session, at, "account.confirmed", row.account, account=row.account, before="pending", after="active"
        )


async def _ask_to_confirm(session: AsyncSession, row: AccountRow, at: datetime, *, again: bool) -> None:
    if row.confirmed_at is not None or again:
        row.confirmed_at, row.confirm_by = None, rules.confirm_by(at)
    if again:
        audit.record(session, at, "account.registered", row.account, account=row.account, after="pending")
        outbox.put(session, "account.registered", at, account=row.account)


async def get_account(session: AsyncSession, account: str, *, lock: bool = False) -> AccountRow:
    """The account. Raises NotFound `unknown_account`."""
    row = await session.get(AccountRow, account, with_for_update=lock)
    if row is None:
        raise NotFound("There is no such account.", code="unknown_account")
    return row


async def find_accounts(session: AsyncSession, accounts: Collection[str]) -> dict[str, Account]:
    """Those of the accounts that exist."""
    rows = await session.scalars(select(AccountRow).where(AccountRow.account.in_(accounts)))
    return {row.account: _account(row) for row in rows}


def _account(row: AccountRow) -> Account:
    return Account(
        account=row.account,
        address=row.address,
        locale=row.locale,
        age_band=row.age_band,
        is_active=row.is_active,
        confirm_by=row.confirm_by,
        bounced_at=row.bounced_at,
    )


async def new_confirmation(session: AsyncSession, person: Account) -> str:
    """A token for the confirmation mail; older ones of the same address stay good until the same end."""
    token = new_token()
    if person.confirm_by is None:
        raise Gone("This account is confirmed already.", code="gone")
    session.add(
        ConfirmationRow(
            token_hash=token_hash(token),
            account=person.account,
            address=person.address,
            expires_at=person.confirm_by,
            used_at=None,
        )
    )
    await session.flush()
    return token


async def find_confirmation(session: AsyncSession, token: str, at: datetime) -> tuple[ConfirmationRow, AccountRow]:
    """What a confirmation link is about. Raises NotFound `link_unknown`, Gone `link_expired`. Changes nothing."""
    link = await session.get(ConfirmationRow, token_hash(token))
    if link is None:
        raise NotFound("There is no such link.", code="link_unknown")
    row = await session.get(AccountRow, link.account)
    if row is None or link.address != row.address or (link.used_at is None and at >= link.expires_at):
        raise Gone("This link has expired.", code="link_expired")
    return link, row


async def confirm(session: AsyncSession, token: str, at: datetime) -> AccountRow:
    """Confirm the address the link was sent to; doing it twice changes nothing."""
    link, _ = await find_confirmation(session, token, at)
    row = await get_account(session, link.account, lock=True)
    if link.used_at is None:
        link.used_at = at
        _confirm(session, row, at)
    return row


async def record_bounce(session: AsyncSession, account: str, at: datetime) -> None:
    """The address cannot be reached; nothing more is mailed to it until it changes (R29)."""
    row = await session.get(AccountRow, account, with_for_update=True)
    if row is not None and row.bounced_at is None:
        row.bounced_at = at
        audit.record(session, at, "account.mail_bounced", account, account=account)


async def unconfirmed(session: AsyncSession, at: datetime, limit: int) -> list[str]:
    """Accounts never confirmed whose term is over, oldest first, locked. One that was confirmed before and changed its
    address is not forgotten: it may hold a right that somebody paid for."""
    query = (
        select(AccountRow.account)
        .where(AccountRow.confirm_by <= at, AccountRow.first_confirmed_at.is_(None))
        .order_by(AccountRow.confirm_by)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(await session.scalars(query))


async def next_unconfirmed(session: AsyncSession) -> datetime | None:
    """When the next term to confirm is over."""
    return await session.scalar(select(func.min(AccountRow.confirm_by)).where(AccountRow.first_confirmed_at.is_(None)))


async def forget(session: AsyncSession, account: str) -> None:
    """Delete the person: address, confirmations, links to pupils."""
    row = await session.get(AccountRow, account)
    if row is not None:
        await session.delete(row)
    await session.flush()
    await desk.remove_account(session, account)


async def put_school(session: AsyncSession, school: str, features: Collection[str], at: datetime) -> frozenset[str]:
    """Let exactly `features` be blocked for the school's pupils; answers those newly blocked (R12)."""
    fresh = await desk.put_school_blocks(session, school, features, at)
    audit.record(session, at, "school.blocks_set", f"school:{school}", blocked=sorted(set(features)))
    outbox.put(session, "school.blocks_set", at, school=school, newly_blocked=sorted(fresh))
    return fresh
