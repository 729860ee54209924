"""Sending what is due: check and write (a transaction), hand over (none open), record (a transaction); once (I18)."""

import base64
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import find_accounts
from billing.kernel.clock import ticks
from billing.kernel.days import next_opening, within_hours
from billing.kernel.db import Database
from billing.kernel.outbox import MOST_TRIES, backoff
from billing.kernel.work import one_by_one
from billing.notices import service
from billing.notices.compose import Dropped, Sealed, compose
from billing.notices.compose_desk import Desk
from billing.notices.kinds import CROWDED
from billing.notices.letters import Written
from billing.notices.mailer import DeliveryUnknown, Envelope, Mailer, Undelivered
from billing.notices.pacing import due_letters, hold_crowd, take_slots
from billing.notices.tables import LetterRow

BATCH = 20
MOST_HELD = 10_000
LEASE = timedelta(minutes=5)
"""How long a letter that was claimed may wait for its turn; from its turn on, how long the mail server may take."""
MOST_DOUBTS = 1
HIDDEN = "…"
TRIED_TOO_OFTEN = "too_many_tries"

log = structlog.get_logger(__name__)


class PostOffice:
    """Sends letters; one per worker process. `sender` is the From of service mail, apart from any other (R28);
    `per_minute` the most letters a minute to one receiving domain (R27)."""

    def __init__(self, database: Database, mailer: Mailer, desk: Desk, sender: str, *, per_minute: int = 600) -> None:
        self._database = database
        self._mailer = mailer
        self._desk = desk
        self._sender = sender
        self._per_minute = per_minute
        self._host = sender.rpartition("@")[2].rstrip("> ")

    async def send_due(self, at: datetime) -> int:
        """Send one batch of what is due; answers how many letters were looked at."""
        begun = ticks()
        async with self._database.begin() as session:
            looked_at, claimed = await self._claim(session, at)
        await one_by_one(
            service.SEND,
            claimed,
            lambda key: self._send(key, at, timedelta(seconds=(ticks() - begun) // 10**9)),
            lambda key: self._put_off(key, at, "fault_of_ours"),
        )
        return looked_at

    async def _claim(self, session: AsyncSession, at: datetime) -> tuple[int, list[UUID]]:
        """How many letters that are due were looked at, and those to send now: whatever somebody waits for first, then
        of a crowd those whose slot has come. Each is due again after the lease, should this process die (F03)."""
        hours = self._desk.catalogue.trial.send_hours
        held, rows = 0, await due_letters(session, at, BATCH)
        if within_hours(at, *hours):
            crowd = await due_letters(session, at, BATCH - len(rows), of_crowd=True)
            await self._pace(session, [row for row in crowd if not row.is_paced], at)
            rows += crowd
        else:
            held = await hold_crowd(session, at, next_opening(at, *hours), MOST_HELD)
        taken = [row for row in rows if row.due_at <= at]
        for row in taken:
            row.due_at, row.tries = at + LEASE, row.tries + 1
        return held + len(rows), [row.id for row in taken]

    async def _pace(self, session: AsyncSession, rows: list[LetterRow], at: datetime) -> None:
        """Give each letter its slot in the pace of the domain it goes to; it is due then (R27). Letters that somebody
        waits for, such as a confirmation, never stand behind a crowd."""
        people = await find_accounts(session, {row.account for row in rows})
        domains = [people[row.account].address.rpartition("@")[2] if row.account in people else "" for row in rows]
        for row, slot in zip(rows, await take_slots(session, domains, self._per_minute, at), strict=True):
            row.due_at, row.is_paced = max(row.due_at, slot), True

    async def _send(self, key: UUID, at: datetime, waited: timedelta) -> None:
        prepared = await self._prepare(key, at, waited)
        if prepared is None:
            return
        envelope, sealed = prepared
        try:
            answer = await self._mailer.send(envelope, sealed.written)
        except DeliveryUnknown:
            log.warning("letter_in_doubt", letter=str(key))
        except Undelivered as fault:
            await self._undelivered(key, fault, at)
        else:
            await self._taken(key, sealed, answer, at)

    async def _taken(self, key: UUID, sealed: Sealed, answer: str, at: datetime) -> None:
        """Write down that the server took it. That is known: where the writing is broken off, by a lost connection or
        two who wait for each other (F15, F17), it is written again, and the letter does not go again."""
        for is_last in (False, False, True):
            try:
                async with self._database.begin() as session:
                    row = await service.lock_letter(session, key)
                    if row.fault != service.ERASED:
                        _keep(row, sealed)
                    await service.handed_over(session, row, self._desk.catalogue.trial, at, answer)
            except DBAPIError:
                if is_last:
                    raise
            else:
                return

    async def _prepare(self, key: UUID, at: datetime, waited: timedelta) -> tuple[Envelope, Sealed] | None:
        """The letter as it is true now, marked as being with the mail server, with a lease that begins now; None when
        it is not to be sent, or when its lease ran out in the time that it has `waited` for those before it, and
        somebody else has claimed it, or may (F47)."""
        async with self._database.begin() as session:
            row = await service.lock_letter(session, key)
            if row.state != "planned" or row.due_at != at + LEASE or waited >= LEASE:
                return None
            if row.sending_since is not None:
                row.doubts += 1
                if row.doubts > MOST_DOUBTS:
                    row.state, row.fault = "parked", "delivery_unknown_twice"
                    return None
            try:
                async with session.begin_nested():
                    sealed = await compose(session, self._desk, row, at)
            except Dropped as fault:
                service.drop(session, row, at, fault.reason)
                return None
            row.sending_since, row.due_at = at, at + waited + LEASE
            message_id = f"{service.letter_id(row)}@{self._host}"
            row.message_id = message_id
            return Envelope(sender=self._sender, to=sealed.to, message_id=message_id), sealed

    async def _undelivered(self, key: UUID, fault: Undelivered, at: datetime) -> None:
        async with self._database.begin() as session:
            row = await service.lock_letter(session, key)
            row.sending_since = None
            if fault.is_permanent:
                await service.bounce(session, row, at, fault.answer)
                return
        await self._put_off(key, at, fault.answer)

    async def _put_off(self, key: UUID, at: datetime, answer: str) -> None:
        """Later again, and in the end a task for people. Those of a crowd wait on: a trial's day moves meanwhile (I19),
        and a season's end is not told of after it. A letter that the mail server may have taken before the fault stays
        in doubt (I18)."""
        async with self._database.begin() as session:
            row = await service.lock_letter(session, key)
            if row.state != "planned":  # the app has shown it meanwhile, or its premise is gone
                return
            service.note_answer(row, answer)
            row.due_at = at + backoff(row.tries)
            if row.kind not in CROWDED and row.tries >= MOST_TRIES:
                row.state, row.fault = "parked", TRIED_TOO_OFTEN


def _keep(row: LetterRow, sealed: Sealed) -> None:
    """What was sent, as it was sent, without the secrets of its links (I28, R31)."""
    written: Written = sealed.written
    text, html = written.text, written.html
    for secret in sealed.secrets:
        text, html = text.replace(secret, HIDDEN), html.replace(secret, HIDDEN)
    row.subject, row.text, row.html = written.subject, text, html
    row.attachments = {
        attachment.name: {
            "type": attachment.media_type,
            "sha256": attachment.sha256,
            "content": base64.b64encode(attachment.content).decode(),
        }
        for attachment in written.attachments
    }
