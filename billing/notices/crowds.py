"""Telling a crowd: the plain cases of `service.tell_of_trial`, ten thousand trials at once.

Plain is a trial whose pupil has no other right, and of whose day none of the pupil's accounts has a letter yet or mail
that came back. Nothing can be decided about it but to write one letter to each account, naming all its pupils that end
on that day (R24, R30). Every other trial is told of one by one, by the rules of `service`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import ARRAY, Date, DateTime, Text, Uuid, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.reaching import reachable
from billing.catalog.values import TrialPolicy
from billing.kernel.among import among
from billing.kernel.days import next_opening
from billing.kernel.db import wake
from billing.kernel.ids import new_id
from billing.notices.service import SEND, TRIAL_ENDING
from billing.notices.tables import LetterRow
from billing.trials import service as trials
from billing.trials.service import Waiting
from entitlements import crowds as desk

_WRITE: Final = text(
    """
    insert into letter (id, account, kind, about, day, pupils, facts, state, due_at, is_paced, tries, doubts,
        created_at, attachments)
    select id, account, :kind, cast(day as text), day, string_to_array(pupils, ','), '{}', 'planned', due_at, false, 0,
        0, :at, '{}'
    from unnest(:id, :account, :day, :pupils, :due_at) as given (id, account, day, pupils, due_at)
    on conflict on constraint uq_letter_account_kind_about do nothing
    returning account, day
    """
).bindparams(
    bindparam("at", type_=DateTime(timezone=True)),
    bindparam("id", type_=ARRAY(Uuid())),
    bindparam("account", type_=ARRAY(Text())),
    bindparam("day", type_=ARRAY(Date())),
    bindparam("pupils", type_=ARRAY(Text())),
    bindparam("due_at", type_=ARRAY(DateTime(timezone=True))),
)


class To(NamedTuple):
    """To whom a letter goes, and of which day it tells."""

    account: str
    day: date


class Known(msgspec.Struct, frozen=True):
    """What is known of the trials' pupils and their accounts."""

    accounts: dict[str, list[str]]
    has_bounced: dict[str, bool]
    has_more: frozenset[str]
    written: frozenset[To]


class Plan(msgspec.Struct):
    """Letters to write: whose pupils they name, and when they may go. What is left is told of one by one."""

    letters: dict[To, tuple[datetime, list[str]]]
    plain: list[tuple[Waiting, tuple[To, ...]]]
    others: list[Waiting]


def planned(due: Sequence[Waiting], known: Known) -> Plan:
    """Which of the trials are plain, and the letters that tell of them."""
    plan = Plan({}, [], [])
    for trial in due:
        reached = [name for name in known.accounts.get(trial.pupil, ()) if name in known.has_bounced]
        to = tuple(To(account, trial.reverts_on) for account in reached)
        is_odd = trial.pupil in known.has_more or any(known.has_bounced[account] for account in reached)
        if is_odd or not known.written.isdisjoint(to):
            plan.others.append(trial)
            continue
        plan.plain.append((trial, to))
        for one in to:
            plan.letters.setdefault(one, (trial.tell_from, []))[1].append(trial.pupil)
    return plan


async def tell_of_plain(
    session: AsyncSession, due: Sequence[Waiting], policy: TrialPolicy, at: datetime
) -> tuple[int, list[Waiting]]:
    """Plan the letters of all plain trials among those due; answers how many were planned, and the rest. A trial of
    which somebody else has begun a letter meanwhile stays due."""
    plan = planned(due, await _known(session, due, at))
    new = await _write(session, plan, policy, at)
    done = [trial.id for trial, to in plan.plain if new.issuperset(to)]
    await trials.planned_all(session, done)
    return len(done), plan.others


async def _known(session: AsyncSession, due: Collection[Waiting], at: datetime) -> Known:
    pupils = {trial.pupil for trial in due}
    accounts = await desk.accounts_of_pupils(session, pupils)
    has_bounced = await reachable(session, {name for names in accounts.values() for name in names})
    query = select(LetterRow.account, LetterRow.day).where(
        among(LetterRow.account, has_bounced),
        LetterRow.kind == TRIAL_ENDING,
        among(LetterRow.about, {str(trial.reverts_on) for trial in due}),
    )
    written = frozenset(To(account, day) for account, day in await session.execute(query) if day is not None)
    return Known(accounts, has_bounced, await desk.with_more_than_a_trial(session, pupils, at), written)


async def _write(session: AsyncSession, plan: Plan, policy: TrialPolicy, at: datetime) -> frozenset[To]:
    """The letters of trials, those that somebody else has written meanwhile left out; answers which are new."""
    openings = {start: next_opening(max(at, start), *policy.send_hours) for start, _ in plan.letters.values()}
    due = {to: (openings[start], pupils) for to, (start, pupils) in plan.letters.items()}
    return await write_letters(session, TRIAL_ENDING, due, at)


async def write_letters(
    session: AsyncSession, kind: str, letters: Mapping[To, tuple[datetime, Collection[str]]], at: datetime
) -> frozenset[To]:
    """Plan letters of one kind: when each may go, and which pupils it names. Answers those that were not there yet."""
    if not letters:
        return frozenset()
    given = sorted(letters.items())
    written = await session.execute(
        _WRITE,
        {
            "kind": kind,
            "at": at,
            "id": [new_id(at) for _ in given],
            "account": [to.account for to, _ in given],
            "day": [to.day for to, _ in given],
            "pupils": [",".join(sorted(set(pupils))) for _, (_, pupils) in given],
            "due_at": [due for _, (due, _) in given],
        },
    )
    if any(due <= at for due, _ in letters.values()):
        wake(session, (SEND,))
    return frozenset(To(*row) for row in written)
