"""What staff may look at. Every look at personal data is written down in the request that shows it (R117)."""

import re
from datetime import datetime
from typing import Any

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Catalogue
from billing.finance import csv_text, filters, pages, rules, showing
from billing.finance.acts import ACTS
from billing.finance.export import csv_of, name_of
from billing.finance.filters import Filters
from billing.finance.queries import cases, people, rows, search, work
from billing.finance.queries.rows import Question
from billing.finance.routes_door import EXCEPTION_HANDLERS, answer, frame_of, requires_role, staff_of, tongue_of
from billing.finance.service import note_view
from billing.finance.words import Words
from billing.kernel.days import day_of
from billing.kernel.db import Database
from billing.kernel.errors import NotFound
from billing.kernel.ids import REF_PATTERN, parse
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import go
from billing.withdrawals import disputed_money
from entitlements.facts import Facts
from entitlements.features import FeatureList

_LETTER_STATES = ("planned", "handed_over", "bounced", "dropped", "parked")
_EVENT_STATES = ("new", "done", "ignored", "parked")


@get("/", operation_id="staffList", include_in_schema=False)
async def show_list(
    request: AnyRequest,
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    catalogue: NamedDependency[Catalogue],
) -> Response[Any]:
    """ONE list of trials, passes and orders, searched and filtered; an id of one thing leads straight to it."""
    asked = await _question(request, session, catalogue, at)
    wanted, found = asked.filters, asked.search
    only_text = wanted == Filters(q=wanted.q, size=wanted.size)
    if found is not None and found.jump is not None and only_text:
        return go(found.jump)
    page = await rows.page_of(session, asked, wanted.after, wanted.size + 1)
    shown, staff = page[: wanted.size], staff_of(request)
    linked = await rows.accounts_of(session, [pupil for row in shown if row.account is None for pupil in row.pupils])
    facts = _noted(wanted)
    note_view(session, staff, "finance:list", at, rows=len(shown), **facts)
    html = pages.show(
        "list.html",
        frame_of(request),
        filters=wanted,
        kinds=filters.KINDS,
        states=filters.STATES,
        needs=filters.NEEDS,
        sizes=filters.SIZES,
        accounts=found.words.shown if found is not None and found.words is not None else (),
        totals=await rows.totals_of(session, asked),
        rows=shown,
        names={row.id: name_of(row) for row in shown},
        linked=linked,
        first_query=wanted.query(),
        next_query=wanted.query(after=shown[-1].id) if len(page) > wanted.size else None,
        may_export=rules.may(staff.role, "GET", "/finance/export.csv"),
    )
    return answer(request, html)


@get("/export.csv", operation_id="staffExport", include_in_schema=False)
async def export(
    request: AnyRequest,
    session: NamedDependency[AsyncSession],
    database: NamedDependency[Database],
    at: NamedDependency[datetime],
    catalogue: NamedDependency[Catalogue],
) -> Stream:
    """The filtered rows as CSV, all of them, streamed (R116)."""
    asked = await _question(request, session, catalogue, at)
    note_view(session, staff_of(request), "finance:export", at, **_noted(asked.filters))
    name = csv_text.file_name("dodatki-mobilne", day_of(at))
    headers = {**pages.HEADERS, "Content-Disposition": name}
    content = csv_of(database, asked, Words(tongue_of(request)))
    return Stream(content, media_type=csv_text.MEDIA_TYPE, headers=headers)


async def _question(request: AnyRequest, session: AsyncSession, catalogue: Catalogue, at: datetime) -> Question:
    wanted = filters.read(request.query_params.multi_items())
    found = await search.understand(session, wanted.q) if wanted.q else None
    return Question(filters=wanted, search=found, season=catalogue.season, at=at)


def _noted(wanted: Filters) -> dict[str, Any]:
    """What was asked for, without the text in the box: it may be an address, and the audit log is never changed."""
    facts = {"kind": wanted.kind, "state": wanted.state, "season": wanted.season, "need": wanted.need,
             "from": wanted.first and str(wanted.first), "to": wanted.last and str(wanted.last)}  # fmt: skip
    return {name: value for name, value in facts.items() if value} | ({"searched": True} if wanted.q else {})


@get("/accounts/{account:str}", operation_id="staffAccount", include_in_schema=False)
async def show_account(
    request: AnyRequest,
    account: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    catalogue: NamedDependency[Catalogue],
    facts: NamedDependency[Facts],
    features: NamedDependency[FeatureList],
) -> Response[Any]:
    """Who it is, why each right holds or not, and everything that happened (R118)."""
    seen = await people.account_seen(session, account) if re.fullmatch(REF_PATTERN, account) else None
    if seen is None:
        raise NotFound("There is no such account.")
    note_view(session, staff_of(request), account, at, account=account)
    traces = showing.traces(await facts.account(account), seen.pupils, features, at)
    frame = frame_of(request)
    names = {feature.key: feature.names.in_(frame.tongue) for feature in catalogue.features}
    return answer(request, pages.show("account.html", frame, seen=seen, traces=traces, names=names))


@get("/orders/{order:str}", operation_id="staffOrder", include_in_schema=False)
async def show_order(
    request: AnyRequest,
    order: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    catalogue: NamedDependency[Catalogue],
) -> Response[Any]:
    """One order: what was agreed, paid, given back, booked, and everything that happened."""
    seen = await people.order_seen(session, parse("ord", order))
    if seen is None:
        raise NotFound("There is no such order.")
    note_view(session, staff_of(request), seen.name, at, account=seen.order.account)
    vat = seen.order.vat_in(seen.order.total)
    may_act = rules.may(staff_of(request).role, "POST", "/finance/orders/{order}/{act}")
    kept = await disputed_money.kept(session, seen.name)
    acts = [(name, act.title) for name, act in ACTS.items() if may_act and (kept > 0 or not act.takes_money)]
    matters = await cases.cases_about(session, seen.name, at)
    frame = frame_of(request)
    names = {feature.key: feature.names.in_(frame.tongue) for feature in catalogue.features}
    facts = {"cases": matters, "acts": acts, "seen": seen, "order": seen.order, "vat": vat, "names": names}
    return answer(request, pages.show("order.html", frame, **facts))


@get("/tasks", operation_id="staffTasks", include_in_schema=False)
async def show_tasks(
    request: AnyRequest, session: NamedDependency[AsyncSession], at: NamedDependency[datetime]
) -> Response[Any]:
    """What waits for people."""
    tasks = await work.tasks(session)
    note_view(session, staff_of(request), "finance:tasks", at)
    return answer(request, pages.show("tasks.html", frame_of(request), tasks=tasks, groups=showing.groups(tasks)))


@get("/letters", operation_id="staffLetters", include_in_schema=False)
async def show_letters(
    request: AnyRequest, session: NamedDependency[AsyncSession], at: NamedDependency[datetime]
) -> Response[Any]:
    """Letters that could not be brought, or those of one state."""
    state = request.query_params.get("state", "")
    chosen = state if state in _LETTER_STATES else None
    letters = await work.letters(session, chosen)
    note_view(session, staff_of(request), "finance:letters", at, **({"state": chosen} if chosen else {}))
    frame = frame_of(request)
    return answer(request, pages.show("letters.html", frame, letters=letters, states=_LETTER_STATES, chosen=chosen))


@get("/letters/{letter:str}", operation_id="staffLetter", include_in_schema=False)
async def show_letter(
    request: AnyRequest,
    letter: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """One letter, exactly as it was sent."""
    row = await work.letter(session, parse("ntc", letter))
    if row is None:
        raise NotFound("There is no such letter.")
    note_view(session, staff_of(request), letter, at, account=row.account)
    return answer(request, pages.show("letter.html", frame_of(request), letter=row, name=letter))


@get("/letters/{letter:str}/html", operation_id="staffLetterHtml", include_in_schema=False)
async def show_letter_html(
    request: AnyRequest,
    letter: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[str]:
    """The letter's own HTML, locked in: no script, no form, nothing from elsewhere."""
    row = await work.letter(session, parse("ntc", letter))
    if row is None or row.html is None:
        raise NotFound("There is no such letter.")
    note_view(session, staff_of(request), letter, at, account=row.account, part="html")
    return Response(row.html, media_type=MediaType.HTML, headers=dict(pages.LETTER_HEADERS))


@get("/events", operation_id="staffEvents", include_in_schema=False)
async def show_events(request: AnyRequest, session: NamedDependency[AsyncSession]) -> Response[Any]:
    """The provider's events, those that wait for people first. They name nobody."""
    text, state = (request.query_params.get(name, "").strip()[:200] for name in ("q", "state"))
    chosen = state if state in _EVENT_STATES else None
    found = await work.events(session, text.replace("\0", "") or None, chosen)
    frame = frame_of(request)
    html = pages.show("events.html", frame, events=found, states=_EVENT_STATES, chosen=chosen, text=text)
    return answer(request, html)


@get("/audit", operation_id="staffAudit", include_in_schema=False)
async def show_audit(
    request: AnyRequest, session: NamedDependency[AsyncSession], at: NamedDependency[datetime]
) -> Response[Any]:
    """Who did what, when, to what; who looked at whom."""
    asked = filters.read_audit(request.query_params.multi_items())
    found = await work.audit_log(session, asked)
    note_view(session, staff_of(request), "finance:audit", at)
    html = pages.show(
        "audit.html",
        frame_of(request),
        asked=asked,
        rows=found[: asked.size],
        first_query=asked.query(),
        next_query=asked.query(after=found[asked.size - 1].id) if len(found) > asked.size else None,
    )
    return answer(request, html)


reading_router = Router(
    "/finance",
    route_handlers=[show_list, export, show_account, show_order, show_tasks, show_letters, show_letter,
                    show_letter_html, show_events, show_audit],
    guards=[requires_role],
    exception_handlers=EXCEPTION_HANDLERS,
)  # fmt: skip
