"""From rows to what a page shows: why a right holds, and what waits for people as lines of one shape. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import quote

import msgspec

from billing.finance.queries.people import PupilSeen
from billing.finance.queries.work import Tasks
from billing.kernel.ids import public
from entitlements.decision import Decision, decide_all
from entitlements.facts import AccountFacts
from entitlements.features import FeatureList


class Trace(msgspec.Struct, frozen=True):
    """What the engine answers the mobile app for one pupil, add-on by add-on, and from which facts (R118)."""

    pupil: str
    school: str | None
    notice_pending: bool
    blocks: Mapping[str, datetime]
    decisions: tuple[Decision, ...]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that waits for people: since when, what, where to look, and in which codes; money in grosz."""

    since: datetime
    name: str
    href: str | None
    codes: tuple[str, ...]
    amount: int | None = None


def traces(
    facts: AccountFacts | None, pupils: Iterable[PupilSeen], features: FeatureList, at: datetime
) -> tuple[Trace, ...]:
    """The engine's own decisions of this instant; nothing is worked out a second time."""
    schools = {seen.pupil: seen.school for seen in pupils}
    return tuple(
        Trace(
            pupil=of_pupil.pupil,
            school=schools.get(of_pupil.pupil),
            notice_pending=of_pupil.notice_pending,
            blocks=of_pupil.blocks,
            decisions=decide_all(features, of_pupil, "mobile", at, at),
        )
        for of_pupil in (facts.pupils if facts is not None else ())
    )


def groups(tasks: Tasks) -> tuple[tuple[str, str, tuple[Task, ...]], ...]:
    """The lists of the page: name, key of its title, lines."""
    return (
        ("trials", "task_trials", tuple(
            Task(since=row.staff_since or row.starts_at, name=public("trl", row.id),
                 href=f"/finance/?q={public('trl', row.id)}", codes=(row.pupil or "–", row.reverts_on.isoformat()))
            for row in tasks.trials)),
        ("refunds", "task_refunds", tuple(
            Task(since=row.created_at, name=public("ref", row.id), href=f"/finance/orders/{row.order_id}",
                 codes=_codes(row.reason, row.state, row.fault), amount=row.amount)
            for row in tasks.refunds)),
        ("intents", "task_intents", tuple(
            Task(since=row.sent_at or row.created_at, name=row.target, href=f"/finance/?q={quote(row.target)}",
                 codes=_codes(row.kind, row.state, row.fault))
            for row in tasks.intents)),
        ("letters", "task_letters", tuple(
            Task(since=row.created_at, name=public("ntc", row.id), href=f"/finance/letters/{public('ntc', row.id)}",
                 codes=_codes(row.kind, row.state, row.fault))
            for row in tasks.letters)),
        ("messages", "task_messages", tuple(
            Task(since=row.at, name=row.kind, href=None, codes=_codes(row.state, row.fault))
            for row in tasks.messages)),
        ("events", "task_events", tuple(
            Task(since=row.received_at, name=row.id, href=f"/finance/events?q={quote(row.id)}",
                 codes=_codes(row.type, row.state, row.note))
            for row in tasks.events)),
    )  # fmt: skip


def _codes(*codes: str | None) -> tuple[str, ...]:
    return tuple(code for code in codes if code)
