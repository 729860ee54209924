"""Ending a case: the case's room says what its outcome does, in the transaction that ends it."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.cases.rules import Kind
from billing.cases.service import Case
from billing.invoices import service as invoices
from billing.invoices.rules import NotIssued, Path
from billing.kernel.days import day_of
from billing.kernel.db import Database
from billing.kernel.errors import Conflict
from billing.payments.gateway import Gateway
from billing.reconciliation.comparing import apply_finding
from billing.withdrawals import by_bank, complaints, goodwill
from billing.withdrawals.complaints import Outcome as Answered

BY_OTHERS: Final[frozenset[str]] = frozenset({"accepted_by_law", "won", "lost"})
"""Outcomes that nobody here chooses: the law does, or the bank."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What ending a case may need."""

    database: Database
    gateway: Gateway
    secret: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody wants a case to end. `answer` goes to the person who complained; `agreed_on` is the day on which a
    buyer agreed to a bank transfer; an invoice was issued on a `path`, with a number (R109)."""

    outcome: str
    reason: str
    actor: str
    answer: str = ""
    agreed_on: date | None = None
    path: Path | None = None
    number: str = ""
    ksef_number: str = ""


Effect = Callable[[AsyncSession, Case, Decision, Room, datetime], Awaitable[None]]


async def decide(room: Room, case: str, wanted: Decision, at: datetime) -> str:
    """End a case, or propose how; answers the state it has then. Raises UnknownCase, NotAnOutcome,
    SecondPersonNeeded, Conflict."""
    if wanted.outcome in BY_OTHERS:
        raise Conflict("Nobody here decides that.", code="not_an_outcome")
    async with room.database.begin() as session:
        row = await cases.find_case(session, case, lock=True)
        asks_the_provider = row.kind == "finding" and wanted.outcome == "applied"
        if not asks_the_provider:
            await _EFFECTS.get(cast("Kind", row.kind), _nothing_else)(session, row, wanted, room, at)
    if asks_the_provider:
        await apply_finding(room.database, room.gateway, case, wanted.actor, wanted.reason, at)
    async with room.database.begin() as session:
        return (await cases.find_case(session, case)).state


async def _nothing_else(session: AsyncSession, row: Case, wanted: Decision, _: Room, at: datetime) -> None:
    await cases.decide(session, row, wanted.outcome, wanted.actor, wanted.reason, at)


async def _bank_transfer(session: AsyncSession, row: Case, wanted: Decision, _: Room, at: datetime) -> None:
    if wanted.agreed_on is not None:
        await by_bank.agree(session, row, wanted.agreed_on, wanted.actor, at)
    await by_bank.decide(session, row, wanted.outcome, wanted.actor, wanted.reason, at)


async def _staff_refund(session: AsyncSession, row: Case, wanted: Decision, room: Room, at: datetime) -> None:
    if wanted.outcome == "refunded":
        await goodwill.approve(session, row, wanted.actor, wanted.reason, at)
    else:
        await _nothing_else(session, row, wanted, room, at)


async def _complaint(session: AsyncSession, row: Case, wanted: Decision, room: Room, at: datetime) -> None:
    outcome = cast("Answered", wanted.outcome)
    said = (wanted.answer, wanted.actor, room.secret, at, wanted.reason)
    await complaints.answer(session, row.about, outcome, *said)


async def _invoice(session: AsyncSession, row: Case, wanted: Decision, _: Room, at: datetime) -> None:
    if wanted.outcome == "refused":
        await invoices.refuse(session, row.about, wanted.reason, wanted.actor, at)
        return
    if wanted.path is None:
        raise NotIssued("An invoice is issued on one of the documented ways.")
    ksef = wanted.ksef_number or None
    await invoices.issued(session, row.about, wanted.path, wanted.number, ksef, day_of(at), wanted.actor, at)


_EFFECTS: Final[Mapping[Kind, Effect]] = {
    "bank_transfer": _bank_transfer,
    "staff_refund": _staff_refund,
    "complaint": _complaint,
    "invoice_request": _invoice,
}


async def facts_of(session: AsyncSession, row: Case, secret: str) -> list[tuple[str, Any]]:
    """What is known of a case, for the person who decides; a complaint is opened to be read."""
    facts = list(row.facts.items())
    if row.kind == "complaint":
        complaint = await complaints.find(session, row.about)
        texts = (("complaint_text", complaints.text_of(complaint, secret)),
                 ("answer_text", complaints.answer_of(complaint, secret)))  # fmt: skip
        facts += [(name, text) for name, text in texts if text]
    if row.kind == "invoice_request":
        facts += await _buyer_of(session, row, secret)
    return facts


async def _buyer_of(session: AsyncSession, row: Case, secret: str) -> list[tuple[str, Any]]:
    """Whom the invoice names, opened to be read; nothing once it was refused, and so forgotten."""
    request = await invoices.find(session, row.about)
    if request.buyer is None:
        return []
    buyer = invoices.buyer_in(request, secret)
    told = (("buyer_name", buyer.name), ("buyer_address", f"{buyer.street}, {buyer.town}"),
            ("buyer_email", buyer.email), ("buyer_nip", buyer.nip))  # fmt: skip
    return [(name, text) for name, text in told if text]
