"""Sessions of staff, and the note that somebody looked (S45, S46, S56)."""

import hmac
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from sqlalchemy import delete, or_
from sqlalchemy.ext.asyncio import AsyncSession

from billing.finance.openid import Person
from billing.finance.rules import IDLE, LONGEST, Role
from billing.finance.tables import StaffSessionRow
from billing.kernel import audit
from billing.kernel.tokens import new_token, pseudonym, token_hash

_NOTICED = timedelta(minutes=1)


class Staff(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged in. `csrf` is what every form of this session carries; of no other."""

    subject: str
    name: str
    email: str
    role: Role
    csrf: str

    @property
    def actor(self) -> str:
        """How the audit log calls this person."""
        return f"staff:{self.subject}"


async def log_in(session: AsyncSession, person: Person, role: Role, former: str | None, at: datetime) -> str:
    """A new session with a new token, told this once; the one the browser had is over, and so are all old ones."""
    over = or_(StaffSessionRow.ends_at <= at, StaffSessionRow.seen_at <= at - IDLE)
    await session.execute(delete(StaffSessionRow).where(over))
    if former is not None:
        await session.execute(delete(StaffSessionRow).where(StaffSessionRow.token_hash == token_hash(former)))
    token = new_token()
    session.add(
        StaffSessionRow(
            token_hash=token_hash(token),
            subject=person.subject,
            name=person.name,
            email=person.email,
            role=role,
            created_at=at,
            seen_at=at,
            ends_at=at + LONGEST,
        )
    )
    actor = f"staff:{person.subject}"
    audit.record(session, at, "finance.logged_in", actor, actor=actor, role=role, name=person.name)
    return token


async def find(session: AsyncSession, token: str, secret: str, at: datetime) -> Staff | None:
    """Who a token stands for now; None when it is unknown, was idle too long, or is too old."""
    row = await session.get(StaffSessionRow, token_hash(token))
    if row is None or at >= row.ends_at or at >= row.seen_at + IDLE:
        return None
    if at >= row.seen_at + _NOTICED:
        row.seen_at = at
    return Staff(
        subject=row.subject, name=row.name, email=row.email, role=cast("Role", row.role), csrf=csrf_of(token, secret)
    )


async def log_out(session: AsyncSession, token: str, staff: Staff, at: datetime) -> None:
    """The session is over on our side, whatever the browser keeps."""
    await session.execute(delete(StaffSessionRow).where(StaffSessionRow.token_hash == token_hash(token)))
    audit.record(session, at, "finance.logged_out", staff.actor, actor=staff.actor)


def refuse(session: AsyncSession, person: Person, at: datetime) -> None:
    """Somebody proved who they are, but holds none of our roles."""
    actor = f"staff:{person.subject}"
    audit.record(session, at, "finance.login_refused", actor, actor=actor, reason="no_role")


def csrf_of(token: str, secret: str) -> str:
    """What the forms of a session carry (S42)."""
    return pseudonym(secret, "finance.csrf", token).hex()


def is_csrf(staff: Staff, given: str) -> bool:
    """Whether a form came from this very session."""
    return hmac.compare_digest(staff.csrf.encode(), given.encode("utf-8", "surrogatepass"))


def note_view(
    session: AsyncSession, staff: Staff, subject: str, at: datetime, *, account: str | None = None, **facts: Any
) -> None:
    """Write down that this person looked at personal data, in the request that shows it (R117, S56)."""
    audit.record(session, at, "finance.viewed", subject, actor=staff.actor, account=account, **facts)
