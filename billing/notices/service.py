"""Planning letters, and writing down what became of them."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import Account, find_accounts, record_bounce
from billing.catalog.values import TrialPolicy
from billing.checkout import service as checkout
from billing.kernel import audit, metrics
from billing.kernel.days import next_opening
from billing.kernel.db import wake
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id, parse, public
from billing.notices.kinds import TRIAL_ENDING
from billing.notices.tables import LetterRow
from billing.subscriptions import charges
from billing.trials import rules as trial_rules
from billing.trials import service as trials
from billing.trials import untold
from billing.trials.rules import Telling
from billing.trials.untold import Waiting
from entitlements import service as desk

RENEWAL_COMING = "renewal_coming"
SEND = "letters.send"
ERASED = "erased"
NOBODY = "paid_or_unlinked"
CONFIRMATION = "order_confirmation"
ANSWERS = frozenset({"withdrawal_received", "withdrawal_too_late"})
"""Letters that go to the address a declaration gave, which need not be the account's."""


def letter_id(row: LetterRow) -> str:
    """The public id."""
    return public("ntc", row.id)


async def plan_letter(
    session: AsyncSession,
    account: str,
    kind: str,
    about: str,
    at: datetime,
    *,
    due_at: datetime | None = None,
    day: date | None = None,
    pupils: Collection[str] = (),
    **facts: Any,
) -> bool:
    """Plan a letter unless this account has one of this kind about the same thing (I18). Answers whether it is new."""
    statement = (
        insert(LetterRow)
        .values(
            id=new_id(at),
            account=account,
            kind=kind,
            about=about,
            day=day,
            pupils=sorted(set(pupils)),
            facts=facts,
            state="planned",
            due_at=due_at or at,
            tries=0,
            doubts=0,
            created_at=at,
            attachments={},
        )
        .on_conflict_do_nothing(constraint="uq_letter_account_kind_about")
        .returning(LetterRow.id)
    )
    is_new = await session.scalar(statement) is not None
    if is_new and (due_at or at) <= at:
        wake(session, (SEND,))
    return is_new


async def tell_of_trial(session: AsyncSession, row: Waiting, policy: TrialPolicy, at: datetime) -> None:
    """Plan to tell every account of the pupil of day D; add the pupil to a letter that is not sent yet (R24, R30).
    Where a right outlasts the trial there is nothing to tell (R25)."""
    if not await trials.convert(session, (row.pupil,), at):
        await _tell_all(session, row, policy, at)


async def _tell_all(session: AsyncSession, row: Waiting, policy: TrialPolicy, at: datetime) -> tuple[Telling, ...]:
    """See to it that every account of the pupil is told of D; answers how far each is. Nobody, when one of them was
    told of D without this pupil: a day is told once (I18), so another day is planned."""
    people = await _reachable(session, row.pupil)
    letters = {letter.account: letter for letter in await _letters(session, list(people), row.reverts_on)}
    if any(_is_told_without(letter, row.pupil) for letter in letters.values()):
        await trials.postpone(session, row, policy, at)
        return ()
    for account, person in people.items():
        letter = letters.get(account)
        if letter is None:
            await _plan_ending(session, person, row, policy, at)
        elif row.pupil not in letter.pupils or letter.state in {"dropped", "bounced"}:
            await _add(session, letter, row, policy, at)
    await untold.drop(session, row.id)
    return tuple(_telling(letters.get(account)) for account in people)


async def _add(session: AsyncSession, letter: LetterRow, row: Waiting, policy: TrialPolicy, at: datetime) -> None:
    """One more pupil in a letter that is not sent. A dropped one has something to say again; a bounced one the app
    must show for this pupil too (R29)."""
    if letter.state == "dropped":
        letter.state, letter.fault, letter.pupils = "planned", None, []
        letter.due_at = next_opening(max(at, row.tell_from), *policy.send_hours)
    elif letter.state == "bounced":
        await desk.set_notice_pending(session, letter.account, (row.pupil,), pending=True)
    letter.pupils = sorted({*letter.pupils, row.pupil})


def _is_told_without(letter: LetterRow, pupil: str) -> bool:
    """Whether the account was told of D, or may be hearing of it right now, without this pupil."""
    is_out = letter.state == "handed_over" or letter.sending_since is not None
    return is_out and pupil not in letter.pupils


async def _plan_ending(session: AsyncSession, person: Account, row: Waiting, policy: TrialPolicy, at: datetime) -> None:
    due = next_opening(max(at, row.tell_from), *policy.send_hours)
    pupils = (row.pupil,)
    await plan_letter(
        session, person.account, TRIAL_ENDING, str(row.reverts_on), at, due_at=due, day=row.reverts_on, pupils=pupils
    )
    if person.bounced_at is not None:
        letter = (await _letters(session, [person.account], row.reverts_on))[0]
        await bounce(session, letter, at, "address_bounced_before")


async def _reachable(session: AsyncSession, pupil: str) -> dict[str, Account]:
    """The accounts that must be told of this pupil: linked and confirmed (R26)."""
    found = await find_accounts(session, await desk.accounts_of(session, pupil))
    return {account: person for account, person in sorted(found.items()) if person.is_active}


async def _letters(session: AsyncSession, accounts: Collection[str], day: date) -> list[LetterRow]:
    query = (
        select(LetterRow)
        .where(LetterRow.account.in_(accounts), LetterRow.kind == TRIAL_ENDING, LetterRow.day == day)
        .order_by(LetterRow.account)
        .with_for_update()
    )
    return list(await session.scalars(query))


async def bind_told(
    session: AsyncSession, pupils: Collection[str], day: date, policy: TrialPolicy, at: datetime
) -> None:
    """Bind D for those pupils whose accounts were all told in time; who was linked meanwhile is told too (R21)."""
    for row in await untold.of(session, pupils, day):
        if at < row.told_by and trial_rules.is_bound(await _tell_all(session, row, policy, at)):
            await trials.bind(session, row, at)


def _telling(letter: LetterRow | None) -> Telling:
    known: dict[str, Telling] = {"handed_over": "handed_over", "bounced": "bounced"}
    return "planned" if letter is None else known.get(letter.state, "planned")


async def handed_over(session: AsyncSession, row: LetterRow, policy: TrialPolicy, at: datetime, answer: str) -> None:
    """The mail server, or the app, took it; from now on its day counts as told."""
    row.state, row.handed_over_at, row.sending_since = "handed_over", at, None
    note_answer(row, answer)
    metrics.LETTERS.labels(row.kind, "handed_over").inc()
    audit.record(session, at, "letter.handed_over", letter_id(row), account=row.account, kind=row.kind)
    if row.kind == RENEWAL_COMING and row.fault != ERASED:
        await _told_of_charge(session, row, at)
    if row.kind == CONFIRMATION and "order" in row.facts:
        await checkout.record_informed(session, row.facts["order"], at)
    if row.kind == TRIAL_ENDING and row.day is not None:
        await desk.set_notice_pending(session, row.account, row.pupils, pending=False)
        await bind_told(session, row.pupils, row.day, policy, at)


async def _told_of_charge(session: AsyncSession, row: LetterRow, at: datetime) -> None:
    """The charge of this letter may be: its buyer was told of its day and price (R65)."""
    known = row.facts
    key, charge_at = parse("rnw", known["renewal"]), datetime.fromisoformat(known["charge_at"])
    await charges.told(session, key, charge_at, known["days"], known["unit"], at)


def note_answer(row: LetterRow, answer: str) -> None:
    """What the mail server said, which may name the address: not of somebody who was erased meanwhile (R88)."""
    if row.fault != ERASED:
        row.server_answer = answer


def drop(session: AsyncSession, row: LetterRow, at: datetime, reason: str) -> None:
    """Nothing to say any more, for a reason that is kept (I19, I20)."""
    row.state, row.fault, row.sending_since = "dropped", reason, None
    metrics.LETTERS.labels(row.kind, "dropped").inc()
    audit.record(session, at, "letter.dropped", letter_id(row), account=row.account, kind=row.kind, reason=reason)


async def bounce(session: AsyncSession, row: LetterRow, at: datetime, answer: str) -> None:
    """Mail cannot reach this parent: the app is asked to show the notice instead, unless it did so meanwhile (R29)."""
    if row.kind not in ANSWERS:
        await record_bounce(session, row.account, at)
    if row.state != "planned":
        return
    row.state, row.sending_since = "bounced", None
    note_answer(row, answer)
    metrics.LETTERS.labels(row.kind, "bounced").inc()
    audit.record(session, at, "letter.bounced", letter_id(row), account=row.account, kind=row.kind)
    if row.kind == TRIAL_ENDING:
        await desk.set_notice_pending(session, row.account, row.pupils, pending=True)


async def day_moved(session: AsyncSession, row: Waiting, day: date, at: datetime) -> None:
    """Letters of a day that holds no more, for pupils it no longer concerns, are neither sent nor shown (I20)."""
    await desk.cancel_notices(session, row.pupil)
    accounts = await desk.accounts_of(session, row.pupil)
    for letter in await _letters(session, accounts, day):
        if letter.state in {"planned", "bounced"} and letter.pupils == [row.pupil]:
            drop(session, letter, at, "day_moved")


async def shown(session: AsyncSession, notice: str, policy: TrialPolicy, at: datetime) -> LetterRow:
    """The app has shown the notice: it counts as handed over from now (R29), to those whom it still concerned (R25).
    Raises NotFound."""
    row = await session.get(LetterRow, parse("ntc", notice), with_for_update=True)
    if row is None or row.kind != TRIAL_ENDING:
        raise NotFound("There is no such notice.")
    if row.state not in {"planned", "bounced", "parked"}:
        return row
    still = await concerned(session, row, at)
    await desk.set_notice_pending(session, row.account, set(row.pupils) - still, pending=False)
    if still:
        row.pupils = sorted(still)
        await handed_over(session, row, policy, at, "shown in the app")
    else:
        drop(session, row, at, NOBODY)
    return row


async def concerned(session: AsyncSession, row: LetterRow, at: datetime) -> frozenset[str]:
    """Those of the letter's pupils of whom it is still true: linked, and falling back on its day (I20, R25)."""
    if row.day is None:
        return frozenset()
    linked = {link.pupil for link in await desk.links_of(session, row.account)}
    return await trials.ending_on(session, row.pupils, row.day, at) & linked


async def notices_of(session: AsyncSession, account: str) -> list[LetterRow]:
    """What this account must be told, oldest first."""
    query = select(LetterRow).where(LetterRow.account == account, LetterRow.kind == TRIAL_ENDING)
    return list(await session.scalars(query.order_by(LetterRow.id)))


async def next_letter(session: AsyncSession) -> datetime | None:
    """When the next letter is due."""
    return await session.scalar(select(func.min(LetterRow.due_at)).where(LetterRow.state == "planned"))


async def forget(session: AsyncSession, account: str) -> None:
    """Delete what was written to a person who is erased; that something was written stays, without saying to whom."""
    theirs = LetterRow.account == account
    planned = theirs & (LetterRow.state == "planned")
    await session.execute(update(LetterRow).where(planned).values(state="dropped", fault=ERASED))
    nobody = func.concat("erased:", LetterRow.id)
    gone = {"subject": None, "text": None, "html": None, "server_answer": None}
    await session.execute(
        update(LetterRow).where(theirs).values(account=nobody, attachments={}, facts={}, pupils=[], **gone)
    )


async def lock_letter(session: AsyncSession, key: UUID) -> LetterRow:
    """The letter, locked until the transaction ends."""
    return await session.get_one(LetterRow, key, with_for_update=True, populate_existing=True)


async def letters_of(session: AsyncSession, account: str) -> list[LetterRow]:
    """Every letter to an account, oldest first."""
    return list(await session.scalars(select(LetterRow).where(LetterRow.account == account).order_by(LetterRow.id)))
