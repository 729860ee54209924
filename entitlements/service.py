"""How the other rooms write the facts. Each function works inside the caller's transaction and none of them commits.

Whatever changes an answer leaves a row in the change log, in the same transaction (`changes`).
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import Text, and_, bindparam, case, delete, exists, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from billing.kernel.ids import new_id
from entitlements.changes import Logged, named, written
from entitlements.decision import holding
from entitlements.facts import EndReason, Grant, Source, UnknownAccount
from entitlements.tables import AccountRow, BlockRow, GrantRow, LinkRow, PupilRow


class Link(msgspec.Struct, frozen=True):
    """An account has a pupil."""

    account: str
    pupil: str
    school: str | None
    linked_at: datetime
    notice_pending: bool


_LINK = select(LinkRow.account, LinkRow.pupil, PupilRow.school, LinkRow.linked_at, LinkRow.notice_pending).join(
    PupilRow, PupilRow.pupil == LinkRow.pupil
)


# What never varies is put together once: that costs more than to do it.
_NEW_ACCOUNT = Logged(
    insert(AccountRow).values(account=bindparam("b_account")).on_conflict_do_nothing().returning(AccountRow.account),
    "account_added",
)
_FRESH_PUPIL = insert(PupilRow).values(pupil=bindparam("b_pupil"), school=bindparam("b_school", type_=Text))
_SCHOOL = _FRESH_PUPIL.excluded.school
_PUPIL = Logged(
    _FRESH_PUPIL.on_conflict_do_update(
        index_elements=[PupilRow.pupil],
        set_={"school": _SCHOOL},
        where=and_(_SCHOOL.is_not(None), PupilRow.school.is_distinct_from(_SCHOOL)),
        # A pupil that was not known is no news by itself: nobody has it yet. Its row is locked in any case.
    ).returning(PupilRow.pupil, literal_column("entitlement_pupil.xmax = '0'").label("silent")),
    "school_changed",
)
_LINKED = insert(LinkRow).values(
    account=bindparam("b_account"), pupil=bindparam("b_pupil"), linked_at=bindparam("b_at")
)
_NEW_LINK = Logged(_LINKED.on_conflict_do_nothing().returning(LinkRow.account, LinkRow.pupil), "linked")
_NEW_GRANT = Logged(
    insert(GrantRow)
    .values({column.name: bindparam(f"b_{column.name}") for column in GrantRow.__table__.columns})
    .returning(
        GrantRow.pupil,
        case((GrantRow.since > GrantRow.created_at, "right_planned"), else_=named("started")).label("cause"),
    )
)


async def put_account(session: AsyncSession, account: str) -> bool:
    """Make the account askable. Answers whether it is new."""
    return bool(await written(session, _NEW_ACCOUNT, b_account=account))


async def remove_account(session: AsyncSession, account: str) -> bool:
    """Forget the account and its links; the pupils' rights stay theirs (R3). Answers whether it was known."""
    found = await session.scalar(select(AccountRow.account).where(AccountRow.account == account).with_for_update())
    if found is None:
        return False
    pupils = (await session.scalars(select(LinkRow.pupil).where(LinkRow.account == account))).all()
    await _lock_pupils(session, pupils)
    await session.execute(delete(LinkRow).where(LinkRow.account == account))
    gone = delete(AccountRow).where(AccountRow.account == account).returning(AccountRow.account)
    await written(session, gone, "account_removed")
    await _forget_idle(session, pupils)
    return True


async def put_link(
    session: AsyncSession, account: str, pupil: str, school: str | None, at: datetime
) -> tuple[Link, bool]:
    """Link a pupil to an account; answers the link and whether it is new. The pupil's rights are the account's at once.

    The school given is from now on the pupil's school, for every account; None leaves it as it is.
    Raises UnknownAccount.
    """
    known = select(AccountRow.account).where(AccountRow.account == account).with_for_update(read=True, key_share=True)
    if await session.scalar(known) is None:
        raise UnknownAccount(account)
    await written(session, _PUPIL, changed_at=at, b_pupil=pupil, b_school=school)
    is_linked = bool(await written(session, _NEW_LINK, changed_at=at, b_account=account, b_pupil=pupil, b_at=at))
    row = (await session.execute(_LINK.where(LinkRow.account == account, LinkRow.pupil == pupil))).one()
    return Link(*row), is_linked


async def drop_link(session: AsyncSession, account: str, pupil: str) -> bool:
    """Take a pupil and its rights from an account, at once (R3). Answers whether it was linked."""
    await _lock_pupils(session, (pupil,))
    gone = delete(LinkRow).where(LinkRow.account == account, LinkRow.pupil == pupil)
    was_linked = bool(await written(session, gone.returning(LinkRow.account, LinkRow.pupil), "unlinked"))
    await _forget_idle(session, (pupil,))
    return was_linked


async def links_of(session: AsyncSession, account: str) -> list[Link]:
    """The account's pupils in the order in which they were linked."""
    rows = await session.execute(_LINK.where(LinkRow.account == account).order_by(LinkRow.linked_at, LinkRow.pupil))
    return [Link(*row) for row in rows]


async def accounts_of(session: AsyncSession, pupil: str) -> list[str]:
    """All accounts that share the pupil's rights (R1)."""
    query = select(LinkRow.account).where(LinkRow.pupil == pupil).order_by(LinkRow.linked_at, LinkRow.account)
    return list(await session.scalars(query))


async def set_notice_pending(session: AsyncSession, account: str, pupils: Collection[str], *, pending: bool) -> int:
    """Raise or lower the flag by which the app is asked to show a notice that mail cannot bring (R29). Answers for how
    many pupils it was the other way."""
    others = LinkRow.notice_pending.is_(not pending)
    statement = update(LinkRow).where(LinkRow.account == account, LinkRow.pupil.in_(pupils), others)
    moved = statement.values(notice_pending=pending).returning(LinkRow.account, LinkRow.pupil)
    return len(await written(session, moved, "notice_changed"))


async def cancel_notices(session: AsyncSession, pupil: str) -> None:
    """Lower the flag at every account of a pupil whom the notice does not concern any more (R25)."""
    pending = update(LinkRow).where(LinkRow.pupil == pupil, LinkRow.notice_pending)
    lowered = pending.values(notice_pending=False).returning(LinkRow.account, LinkRow.pupil)
    await written(session, lowered, "notice_changed")


async def put_school_blocks(
    session: AsyncSession, school: str, features: Collection[str], at: datetime
) -> frozenset[str]:
    """Let exactly `features` be blocked for the school's pupils. Answers those not blocked before (R12, R14)."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("entitlement_block:" + school, 0))))
    gone = delete(BlockRow).where(BlockRow.school == school, BlockRow.feature.not_in(features))
    await written(session, gone.returning(BlockRow.school), "unblocked", changed_at=at)
    if not features:
        return frozenset()
    rows = [{"school": school, "feature": feature, "since": at} for feature in sorted(set(features))]
    fresh = insert(BlockRow).values(rows).on_conflict_do_nothing().returning(BlockRow.school, BlockRow.feature)
    return frozenset(row["feature"] for row in await written(session, fresh, "blocked", changed_at=at, effective_at=at))


async def blocks_of_pupils(session: AsyncSession, pupils: Collection[str]) -> dict[str, frozenset[str]]:
    """What each pupil's school blocks now; a pupil without a block has an empty set (R13)."""
    query = select(PupilRow.pupil, BlockRow.feature).join(BlockRow, BlockRow.school == PupilRow.school)
    blocked: dict[str, set[str]] = {pupil: set() for pupil in pupils}
    for pupil, feature in await session.execute(query.where(PupilRow.pupil.in_(pupils))):
        blocked[pupil].add(feature)
    return {pupil: frozenset(found) for pupil, found in blocked.items()}


async def pupils_of_school(session: AsyncSession, school: str) -> list[str]:
    """The pupils to whom the school's blocks apply (R14)."""
    return list(await session.scalars(select(PupilRow.pupil).where(PupilRow.school == school).order_by(PupilRow.pupil)))


async def add_grant(
    session: AsyncSession,
    *,
    pupil: str,
    source: Source,
    origin: str,
    features: Iterable[str],
    since: datetime,
    until: datetime | None,
    at: datetime,
    bound: bool = True,
) -> UUID:
    """Give a pupil a right over [since, until). Only a trial may be unbound: its end was told to nobody yet (R21)."""
    grant = new_id(at)
    await written(
        session,
        _NEW_GRANT,
        changed_at=at,
        effective_at=since,
        b_id=grant,
        b_pupil=pupil,
        b_source=source,
        b_origin=origin,
        b_features=sorted(set(features)),
        b_since=since,
        b_until=until,
        b_bound=bound,
        b_end_reason=None,
        b_created_at=at,
    )
    return grant


async def move_end(session: AsyncSession, origin: str, until: datetime | None, *, bound: bool) -> int:
    """Plan another end for what `origin` gave; what was ended for a reason stays ended. Answers how many moved."""
    others = or_(GrantRow.until.is_distinct_from(until), GrantRow.bound.is_(not bound))
    statement = update(GrantRow).where(GrantRow.origin == origin, GrantRow.end_reason.is_(None), others)
    moved = statement.values(until=until, bound=bound).returning(GrantRow.pupil, named("moved").label("cause"))
    return len(await written(session, moved))


async def set_span(
    session: AsyncSession, origin: str, source: Source, was_until: datetime, since: datetime, until: datetime
) -> int:
    """Let the right that `origin` gave from this source until `was_until` hold over [since, until) instead; what was
    ended for a reason stays ended. Answers how many hold so now."""
    statement = update(GrantRow).where(
        GrantRow.origin == origin,
        GrantRow.source == source,
        GrantRow.until == was_until,
        GrantRow.end_reason.is_(None),
    )
    before = aliased(GrantRow)  # a statement reads rows as they were before it
    same = exists().where(before.id == GrantRow.id, before.since == since, before.until == until)
    moved = statement.values(since=since, until=until)
    silent = same.correlate(GrantRow).label("silent")
    return len(await written(session, moved.returning(GrantRow.pupil, named("moved").label("cause"), silent)))


async def bind(session: AsyncSession, origin: str) -> int:
    """The planned end was told: from now on it holds (R21). Answers how many grants became bound."""
    statement = update(GrantRow).where(GrantRow.origin == origin, GrantRow.bound.is_(False))
    return len(await written(session, statement.values(bound=True).returning(GrantRow.pupil), "trial_bound"))


async def end_grants(
    session: AsyncSession, origin: str, at: datetime, reason: EndReason | None, *, pupil: str | None = None
) -> int:
    """End at `at` what `origin` gave (to one pupil, if named). Answers how many grants ended.

    A grant that has not begun never holds: it becomes the empty interval [at, at). One that is over keeps its end.
    """
    still_on = or_(GrantRow.until.is_(None), GrantRow.until > at, GrantRow.bound.is_(False))
    statement = update(GrantRow).where(GrantRow.origin == origin, still_on)
    if pupil is not None:
        statement = statement.where(GrantRow.pupil == pupil)
    ended = statement.values(since=func.least(GrantRow.since, at), until=at, bound=True, end_reason=reason)
    cause = func.coalesce(GrantRow.end_reason, named("ended")).label("cause")
    rows = await written(session, ended.returning(GrantRow.id, GrantRow.pupil, cause), changed_at=at, effective_at=at)
    return len(rows)


async def remove_grants(session: AsyncSession, origin: str) -> int:
    """Forget what `origin` gave, as if it had never been. Answers how many grants there were."""
    gone = delete(GrantRow).where(GrantRow.origin == origin).returning(GrantRow.id, GrantRow.pupil)
    pupils = [row["pupil"] for row in await written(session, gone, "right_removed")]
    await _lock_pupils(session, pupils)
    await _forget_idle(session, pupils)
    return len(pupils)


async def holding_sources(session: AsyncSession, pupils: Collection[str], at: datetime) -> dict[str, tuple[Grant, ...]]:
    """What holds for each pupil at `at`, the longest-lasting first: who is covered, and until when (R25)."""
    grants: dict[str, list[Grant]] = {pupil: [] for pupil in pupils}
    query = select(
        GrantRow.pupil,
        GrantRow.source,
        GrantRow.origin,
        GrantRow.features,
        GrantRow.since,
        GrantRow.until,
        GrantRow.bound,
        GrantRow.end_reason,
    ).where(GrantRow.pupil.in_(pupils))
    for pupil, source, origin, features, since, until, bound, end_reason in await session.execute(query):
        grants[pupil].append(
            Grant(
                cast(Source, source),
                origin,
                frozenset(features),
                since,
                until,
                bound,
                cast(EndReason | None, end_reason),
            )
        )
    return {pupil: holding(found, at, at) for pupil, found in grants.items()}


async def _lock_pupils(session: AsyncSession, pupils: Sequence[str]) -> None:
    """Make a link being put for these pupils wait, or wait for it; always in the order of their names."""
    query = select(PupilRow.pupil).where(PupilRow.pupil.in_(pupils)).order_by(PupilRow.pupil).with_for_update()
    await session.execute(query)


async def _forget_idle(session: AsyncSession, pupils: Sequence[str]) -> None:
    """Keep no pupil's reference that nothing needs any more (R19, R88). The rows must be locked."""
    linked = exists().where(LinkRow.pupil == PupilRow.pupil)
    granted = exists().where(GrantRow.pupil == PupilRow.pupil)
    gone = delete(PupilRow).where(PupilRow.pupil.in_(pupils), ~linked, ~granted).returning(PupilRow.pupil)
    await written(session, gone, "pupil_forgotten")
