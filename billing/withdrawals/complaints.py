"""The register of complaints: answered within fourteen days, or accepted by law (R80, art. 7a of the consumer act)."""

from datetime import date, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Date, DateTime, cast, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases import service as cases
from billing.checkout import service as checkout
from billing.kernel import audit, outbox
from billing.kernel.days import day_of, end_of, iso
from billing.kernel.errors import Conflict, Fault, Invalid, NotFound
from billing.kernel.ids import new_id, parse, public
from billing.kernel.sealing import seal, unseal
from billing.withdrawals.tables_complaints import ComplaintRow

PREFIX: Final = "cmp"
DAYS: Final = 14
"""Calendar days to answer in, the day of receipt not counted."""

Outcome = Literal["accepted", "refused"]


def complaint_id(row: ComplaintRow) -> str:
    """The public id, and what its case is about."""
    return public(PREFIX, row.id)


def due_at(received_on: date) -> datetime:
    """The first instant at which an answer comes too late: after the fourteenth Warsaw day."""
    return end_of(received_on + timedelta(days=DAYS))


async def register(
    session: AsyncSession, text: str, received_on: date, by: str, secret: str, at: datetime,
    *, order: str | None = None, account: str | None = None,
) -> ComplaintRow:  # fmt: skip
    """Enter a complaint about an order, or of an account, whenever it came in. What it says can be read here only.
    Raises Invalid for a day to come, or for a complaint that is about nothing."""
    if received_on > day_of(at):
        fault = Fault("/received_on", "not_yet", "It lies in the future")
        raise Invalid("A complaint cannot have come in on a day to come.", faults=(fault,))
    if order is None and account is None:
        fault = Fault("/order", "missing", "Neither an order nor an account is named")
        raise Invalid("A complaint needs an order or an account.", faults=(fault,))
    if order is not None:
        account = (await checkout.read_order(session, order)).account
    key = new_id(at)
    name = public(PREFIX, key)
    row = ComplaintRow(
        id=key, order_id=order, account=account, received_on=received_on,
        text=seal(secret, f"{name}:text", text.encode()), registered_by=by, registered_at=at,
    )  # fmt: skip
    session.add(row)
    audit.record(session, at, "complaint.registered", name, actor=by, account=account, received_on=str(received_on))
    await cases.open_case(
        session, "complaint", name, at, order=order, account=account, due_at=due_at(received_on),
        received_on=str(received_on),
    )  # fmt: skip
    await session.flush()
    return row


async def answer(
    session: AsyncSession, complaint: str, outcome: Outcome, text: str, by: str, secret: str, at: datetime,
    why: str = "answered",
) -> ComplaintRow:  # fmt: skip
    """Answer it in time: the case ends, `why` stays with it, and the answer goes to the buyer on a durable medium.
    Raises NotFound, and Conflict for one that has ended, be it by law."""
    row = await find(session, complaint, lock=True)
    if row.outcome is not None or at >= due_at(row.received_on):
        raise Conflict("This complaint has ended already.", code="conflict", outcome=row.outcome or "accepted_by_law")
    row.answer = seal(secret, f"{complaint}:answer", text.encode())
    await _end(session, row, outcome, by, at, why)
    outbox.put(session, "complaint.answered", at, complaint=complaint, order=row.order_id, account=row.account)
    return row


async def find(session: AsyncSession, complaint: str, *, lock: bool = False) -> ComplaintRow:
    """The complaint of a public id. Raises NotFound."""
    row = await session.get(ComplaintRow, parse(PREFIX, complaint), with_for_update=lock, populate_existing=lock)
    if row is None:
        raise NotFound("There is no such complaint.")
    return row


def text_of(row: ComplaintRow, secret: str) -> str | None:
    """What was complained of; None once it is forgotten."""
    return None if row.text is None else unseal(secret, f"{complaint_id(row)}:text", row.text).decode()


def answer_of(row: ComplaintRow, secret: str) -> str | None:
    """What was answered; None where nothing was, or once it is forgotten."""
    return None if row.answer is None else unseal(secret, f"{complaint_id(row)}:answer", row.answer).decode()


def told(row: ComplaintRow, secret: str | None) -> dict[str, str | None]:
    """A complaint as its person is given it; with the `secret`, what was written is opened (R91)."""
    return {
        "id": complaint_id(row),
        "order": row.order_id,
        "received_on": str(row.received_on),
        "outcome": row.outcome,
        "ended_at": iso(row.ended_at) if row.ended_at else None,
        "text": text_of(row, secret) if secret is not None else None,
        "answer": answer_of(row, secret) if secret is not None else None,
    }


async def accept_by_law(session: AsyncSession, at: datetime, limit: int) -> int:
    """Silence is consent: what nobody answered in its fourteen days is accepted. Answers how many were."""
    query = (
        select(ComplaintRow)
        .where(ComplaintRow.outcome.is_(None), at >= _DUE_AT)
        .order_by(ComplaintRow.received_on, ComplaintRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await session.scalars(query)).all()
    for row in rows:
        await _end(session, row, "accepted_by_law", audit.SYSTEM, at, "nobody answered in time")
    return len(rows)


async def next_lapse(session: AsyncSession) -> datetime | None:
    """When the next complaint is accepted unless somebody answers."""
    return await session.scalar(select(func.min(_DUE_AT)).where(ComplaintRow.outcome.is_(None)))


async def complaints_of(session: AsyncSession, account: str) -> list[ComplaintRow]:
    """Every complaint of an account, oldest first (R91)."""
    query = select(ComplaintRow).where(ComplaintRow.account == account).order_by(ComplaintRow.id)
    return list(await session.scalars(query))


async def forget_account(session: AsyncSession, account: str) -> None:
    """Delete who complained and what was written; that and when there was a complaint stays (R88)."""
    gone = {"account": None, "text": None, "answer": None}
    await session.execute(update(ComplaintRow).where(ComplaintRow.account == account).values(gone))


async def _end(session: AsyncSession, row: ComplaintRow, outcome: str, by: str, at: datetime, why: str) -> None:
    row.outcome, row.answered_by, row.ended_at = outcome, by, at
    audit.record(
        session, at, "complaint.ended", complaint_id(row), actor=by, account=row.account, before="open", after=outcome
    )
    await cases.close_about(session, "complaint", complaint_id(row), outcome, at, why, actor=by)


_DUE_AT = func.timezone(
    "Europe/Warsaw",
    cast(cast(ComplaintRow.received_on, Date), DateTime(timezone=False)) + literal(timedelta(days=DAYS + 1)),
)
"""`due_at`, as the database counts it."""
