"""Making, finding and revoking links."""

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.activation import rules
from billing.activation.tables import ActivationLinkRow
from billing.kernel import audit
from billing.kernel.errors import Gone, NotFound
from billing.kernel.ids import new_id, public
from billing.kernel.tokens import new_token, token_hash


class Issued(msgspec.Struct, frozen=True):
    """A link just made; `token` is told this once."""

    id: str
    token: str
    expires_at: datetime
    pupils: tuple[str, ...]


class Link(msgspec.Struct, frozen=True):
    """A link that works: for which pupils of which account, until when."""

    id: UUID
    account: str
    pupils: tuple[str, ...]
    expires_at: datetime


async def issue(
    session: AsyncSession,
    account: str,
    pupils: Collection[str],
    at: datetime,
    *,
    days: int,
    reverts_on: date | None = None,
) -> Issued:
    """A link for these pupils of this account. Links made before stay good until their own end."""
    token = new_token()
    row = ActivationLinkRow(
        id=new_id(at),
        token_hash=token_hash(token),
        account=account,
        pupils=sorted(set(pupils)),
        issued_at=at,
        expires_at=rules.expires_at(at, days, reverts_on),
        revoked_at=None,
    )
    session.add(row)
    link = public("lnk", row.id)
    audit.record(session, at, "activation_link.issued", link, account=account, pupils=len(row.pupils))
    return Issued(link, token, row.expires_at, tuple(row.pupils))


async def find(session: AsyncSession, token: str, at: datetime, *, lock: bool = False) -> Link:
    """The link behind a token. Changes nothing. Raises NotFound `link_unknown`, Gone `link_expired`."""
    query = select(ActivationLinkRow).where(ActivationLinkRow.token_hash == token_hash(token))
    row = (await session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("There is no such link.", code="link_unknown")
    if row.revoked_at is not None or at >= row.expires_at:
        raise Gone("This link has expired.", code="link_expired")
    return Link(row.id, row.account, tuple(row.pupils), row.expires_at)


async def revoke(session: AsyncSession, account: str, at: datetime) -> None:
    """All links of an account are over."""
    await session.execute(
        update(ActivationLinkRow)
        .where(ActivationLinkRow.account == account, ActivationLinkRow.revoked_at.is_(None))
        .values(revoked_at=at)
    )


async def forget(session: AsyncSession, account: str) -> None:
    """Delete the links of an account that is erased; their bearers see an unknown link."""
    await session.execute(delete(ActivationLinkRow).where(ActivationLinkRow.account == account))
