"""Telling a crowd: the plain cases of `service.tell_of_trial`, ten thousand trials in one statement.

Plain is a trial whose pupil has no other right, and of whose day none of the pupil's accounts has a letter yet or mail
that came back. Nothing can be decided about it but to write one letter to each account, naming all its pupils that end
on that day (R24, R30). Every other trial is told of one by one, by the rules of `service`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import CTE, Select, Text, Uuid, cast, func, literal, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from billing.accounts.reaching import reachable
from billing.catalog.values import TrialPolicy
from billing.kernel.days import next_opening
from billing.kernel.db import wake
from billing.kernel.ids import new_id
from billing.notices.kinds import TRIAL_ENDING
from billing.notices.service import SEND
from billing.notices.tables import LetterRow
from billing.trials import untold
from billing.trials.untold import Waiting
from entitlements import crowds as desk

_TIMED: Final = len("01977420-0000-7")
"""As much of an id as its time and version take; the rest is by chance."""


async def tell_of_plain(
    session: AsyncSession, limit: int, policy: TrialPolicy, at: datetime
) -> tuple[int, list[Waiting]]:
    """Plan the letters of all plain trials among so many that are due; answers how many were planned, and the rest. A
    trial of which somebody else has begun a letter meanwhile stays due."""
    opening = next_opening(at, *policy.send_hours)
    rows: Sequence[Sequence[Any]] = (await session.execute(_told(limit, at, opening))).all()
    planned, written, *_ = rows[0]
    if written and opening <= at:
        wake(session, (SEND,))
    return planned, [Waiting(*other) for _, _, *other in rows if other[0] is not None]


def _told(limit: int, at: datetime, opening: datetime) -> Select[*tuple[Any, ...]]:
    """How many trials were planned, how many letters were written, and a row for each trial that is not plain."""
    due = untold.due(at, limit).cte("due")
    reached = _reached(due)
    besides = desk.right_besides_trials(due.c.pupil, at).limit(1).scalar_subquery()
    odd = select(reached.c.id).where(reached.c.is_odd).union(select(due.c.id).where(besides.is_not(None))).cte("odd")
    is_odd = select(odd.c.id)
    plain = select(reached).where(reached.c.id.not_in(is_odd)).cte("plain")
    new = letters(plain, TRIAL_ENDING, at, opening).cte("new")
    is_new = select(new.c.account).where(new.c.account == plain.c.account, new.c.day == plain.c.reverts_on).exists()
    missed = select(plain.c.id).where(~is_new).cte("missed")
    done = untold.drop_all(select(due.c.id).where(due.c.id.not_in(is_odd), due.c.id.not_in(select(missed.c.id))))
    made = done.cte("done")
    others = select(due).where(due.c.id.in_(is_odd)).subquery("others")
    counts = select(
        select(func.count()).select_from(made).scalar_subquery().label("planned"),
        select(func.count()).select_from(new).scalar_subquery().label("written"),
    ).subquery("counts")
    return (
        select(counts, others).select_from(counts.outerjoin(others, true())).order_by(others.c.tell_from, others.c.id)
    )


def _reached(due: CTE) -> CTE:
    """Each trial with each account that mail may reach; `is_odd`: mail came back, or a letter of that day is there. The
    offsets keep the statement from being planned over whole tables: each row is looked up."""
    linked = desk.accounts_of(due.c.pupil).offset(0).lateral("linked")
    person = reachable(linked.c.account).offset(0).lateral("person")
    written = select(LetterRow.id).where(
        LetterRow.account == linked.c.account,
        LetterRow.kind == TRIAL_ENDING,
        LetterRow.about == cast(due.c.reverts_on, Text),
    )
    is_odd = person.c.has_bounced | written.limit(1).scalar_subquery().is_not(None)
    return (
        select(due.c.id, due.c.pupil, due.c.reverts_on, linked.c.account, is_odd.label("is_odd"))
        .select_from(due.join(linked, true()).join(person, true()))
        .cte("reached")
    )


def letters(reached: CTE, kind: str, at: datetime, opening: datetime) -> ReturningInsert[str, date | None]:
    """The write of one letter to each `account` about each day `reverts_on`, naming each `pupil`; in their order, so
    that crowds wait for each other and never in a circle. Those that somebody else has written are left out."""
    name = reached.c.pupil.collate("C")
    by_chance = func.substr(cast(func.gen_random_uuid(), Text), _TIMED + 1)
    given = {
        "id": cast(literal(str(new_id(at))[:_TIMED]) + by_chance, Uuid),
        "account": reached.c.account,
        "kind": literal(kind),
        "about": cast(reached.c.reverts_on, Text),
        "day": reached.c.reverts_on,
        "pupils": func.array_agg(aggregate_order_by(name.distinct(), name)),
        "facts": literal({}, LetterRow.facts.type),
        "state": literal("planned"),
        "due_at": literal(opening),
        "is_paced": literal(False),
        "tries": literal(0),
        "doubts": literal(0),
        "created_at": literal(at),
        "attachments": literal({}, LetterRow.attachments.type),
    }
    each = reached.c.account, reached.c.reverts_on
    return (
        insert(LetterRow)
        .from_select([*given], select(*given.values()).group_by(*each).order_by(*each))
        .on_conflict_do_nothing(constraint="uq_letter_account_kind_about")
        .returning(LetterRow.account, LetterRow.day)
    )
