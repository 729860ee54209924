"""What acts of staff do: the fields of each form, and the room that does the work. Nothing is decided here."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Catalogue
from billing.finance.forms import Form
from billing.finance.words import Words
from billing.kernel.days import day_of
from billing.withdrawals import complaints, goodwill, withdrawing
from billing.withdrawals.goodwill import STAFF_REASONS, StaffReason

CHANNELS: Final = ("letter", "email", "phone")


class Desk(NamedTuple):
    """Whoever acts, and by which rules."""

    catalogue: Catalogue
    secret: str
    actor: str


class Shown(NamedTuple):
    """A field as the page shows it; `options` are (value, word)."""

    name: str
    label: str
    kind: str
    hint: str | None
    required: bool
    options: list[tuple[str, str]]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a form: text, area, day, or a choice among codes."""

    name: str
    label: str
    kind: str = "text"
    hint: str | None = None
    required: bool = True
    codes: tuple[str, ...] = ()
    suffix: str = ""

    def shown(self, w: Words) -> Shown:
        """The field in a language."""
        options = [(code, w.code(f"{code}{self.suffix}")) for code in self.codes]
        return Shown(self.name, self.label, self.kind, self.hint, self.required, options)


Given = Mapping[str, Any]


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """An act about an order: its fields, how they are read, and what is done with them."""

    title: str
    takes_money: bool = False
    """Whether it is offered only where something of the order may still go back."""
    fields: tuple[Field, ...]
    read: Callable[[Form, datetime], Given]
    do: Callable[[AsyncSession, str, Given, Desk, datetime], Awaitable[str]]
    """Answers what the page that follows says: a key of `DONE`."""


def _read_withdrawal(form: Form, at: datetime) -> Given:
    return {
        "channel": form.choice("channel", CHANNELS),
        "sent_on": form.day("sent_on", latest=day_of(at)),
        "name": form.text("name", longest=200),
        "contact": form.text("contact", longest=200),
    }


async def _withdraw(session: AsyncSession, order: str, given: Given, desk: Desk, at: datetime) -> str:
    terms = withdrawing.terms_of(desk.catalogue, desk.secret)
    told = await withdrawing.enter_withdrawal(session, order, terms, by=desk.actor, at=at, **given)
    return "done_withdrawal_late" if told.state == "late" else "done_withdrawal"


def _read_refund(form: Form, _: datetime) -> Given:
    return {
        "amount": form.grosz("amount"),
        "reason": form.choice("reason", STAFF_REASONS),
        "why": form.text("why", longest=300),
    }


async def _refund(session: AsyncSession, order: str, given: Given, desk: Desk, at: datetime) -> str:
    reason = cast("StaffReason", given["reason"])
    limit = desk.catalogue.order.refund_limit
    asked = (given["amount"], reason, desk.actor, given["why"], at)
    proposal = await goodwill.propose(session, order, *asked, limit=limit)
    return "done_refund" if proposal.refund is not None else "done_refund_proposed"


def _read_complaint(form: Form, at: datetime) -> Given:
    return {"received_on": form.day("received_on", latest=day_of(at)), "text": form.text("text")}


async def _complain(session: AsyncSession, order: str, given: Given, desk: Desk, at: datetime) -> str:
    await complaints.register(session, given["text"], given["received_on"], desk.actor, desk.secret, at, order=order)
    return "done_complaint"


ACTS: Final[Mapping[str, Act]] = {
    "withdrawal": Act(
        title="enter_withdrawal",
        fields=(
            Field(name="channel", label="channel", kind="choice", codes=CHANNELS, suffix="_channel"),
            Field(name="sent_on", label="sent_on", kind="day"),
            Field(name="name", label="person_name"),
            Field(name="contact", label="person_contact"),
        ),
        read=_read_withdrawal,
        do=_withdraw,
    ),
    "refund": Act(
        title="give_money_back",
        takes_money=True,
        fields=(
            Field(name="amount", label="amount_zl", hint="amount_hint"),
            Field(name="reason", label="reason", kind="choice", codes=STAFF_REASONS),
            Field(name="why", label="reason_why", hint="reason_hint"),
        ),
        read=_read_refund,
        do=_refund,
    ),
    "complaint": Act(
        title="register_complaint",
        fields=(
            Field(name="received_on", label="received_on", kind="day"),
            Field(name="text", label="complaint_text", kind="area"),
        ),
        read=_read_complaint,
        do=_complain,
    ),
}
"""The acts about an order, by the last part of their address."""
