"""What staff may do: end cases, and enter what reached us outside these pages. Each act has a name and a reason."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from billing.cases.rules import KINDS
from billing.cases.service import find_case
from billing.catalog.values import Catalogue
from billing.finance import deciding, pages, rules
from billing.finance.acts import ACTS, Act, Desk
from billing.finance.deciding import Decision, Room
from billing.finance.forms import Form
from billing.finance.queries import cases
from billing.finance.queries.cases import OrderHead
from billing.finance.routes_door import (
    EXCEPTION_HANDLERS,
    answer,
    check_form,
    frame_of,
    go_done,
    requires_role,
    staff_of,
)
from billing.finance.service import note_view
from billing.finance.words import Words
from billing.invoices.rules import PATHS, Path
from billing.kernel.days import day_of
from billing.kernel.db import Database
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import parse
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Site
from billing.payments.gateway import Gateway

MOST = 200


class Sent(NamedTuple):
    """A form as it came back: what was typed, what is wrong with it, or why the act was refused (an error's code).
    Nothing that was typed is lost."""

    given: Mapping[str, str] = MappingProxyType({})
    faults: Mapping[str, str] = MappingProxyType({})
    refusal: str | None = None

    @property
    def status(self) -> int:
        """What the page says of it in HTTP."""
        return 409 if self.refusal else 422 if self.faults else 200


_LABELS = {
    "outcome": "outcome", "reason": "reason_why", "answer": "answer_text", "agreed_on": "agreed_on",
    "path": "invoice_path", "number": "invoice_number", "ksef_number": "ksef_number",
}  # fmt: skip


@get("/cases", operation_id="staffCases", include_in_schema=False)
async def show_cases(
    request: AnyRequest, session: NamedDependency[AsyncSession], at: NamedDependency[datetime]
) -> Response[Any]:
    """What waits for a decision, the nearest due first; or what was decided."""
    kind, state = (request.query_params.get(name) for name in ("kind", "state"))
    kind = kind if kind in KINDS else None
    found = await cases.cases(session, kind, state, at, MOST)
    note_view(session, staff_of(request), "finance:cases", at, **({"kind": kind} if kind else {}))
    facts = {"cases": found, "counts": await cases.counts(session), "kind": kind, "closed": state == "closed"}
    return answer(request, pages.show("cases.html", frame_of(request), **facts))


@get("/cases/{case:str}", operation_id="staffCase", include_in_schema=False)
async def show_case(
    request: AnyRequest,
    case: FromPath[str],
    session: NamedDependency[AsyncSession],
    site: NamedDependency[Site],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """One case, with what is known of it and how it may end."""
    return await _case_page(request, session, site, case, at, Sent())


@post("/cases/{case:str}", operation_id="staffDecide", include_in_schema=False, status_code=303)
async def decide_case(
    request: AnyRequest,
    case: FromPath[str],
    database: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    site: NamedDependency[Site],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """Ends a case, or proposes how; what the outcome does elsewhere is done in the same transaction."""
    fields = await check_form(request)
    form = Form(fields)
    wanted = Decision(
        outcome=form.text("outcome"),
        reason=form.text("reason", longest=300),
        actor=staff_of(request).actor,
        answer=form.text("answer", required="answer" in fields),
        agreed_on=form.day("agreed_on", latest=day_of(at)) if fields.get("agreed_on") else None,
        path=cast("Path", form.choice("path", PATHS)) if fields.get("path") else None,
        number=form.text("number", required=False, longest=100),
        ksef_number=form.text("ksef_number", required=False, longest=60),
    )
    refusal = None
    if not form.faults:
        room = Room(database=database, gateway=gateway, secret=site.secret)
        try:
            state = await deciding.decide(room, case, wanted, at)
        except Conflict as fault:
            refusal = fault.code
        else:
            return go_done(request, f"/finance/cases/{case}", f"done_{state}")
    async with database.begin() as session:
        return await _case_page(request, session, site, case, at, Sent(fields, form.faults, refusal))


async def _case_page(
    request: AnyRequest, session: AsyncSession, site: Site, case: str, at: datetime, sent: Sent
) -> Response[Any]:
    row = await find_case(session, case)
    staff, frame = staff_of(request), frame_of(request)
    note_view(session, staff, case, at, **({"account": row.account} if row.account else {}))
    seen = cases.seen(row, at)
    w = Words(frame.tongue)
    html = pages.show(
        "case.html",
        frame,
        case=seen,
        facts=await deciding.facts_of(session, row, site.secret),
        outcomes=[(outcome, w.code(outcome)) for outcome in seen.outcomes if outcome not in deciding.BY_OTHERS],
        paths=[(path, w.code(f"{path}_path")) for path in PATHS],
        history=await cases.history(session, case),
        may_decide=rules.may(staff.role, "POST", "/finance/cases/{case}"),
        given=sent.given,
        faults=sent.faults,
        refusal=sent.refusal,
        labels={name: w(word) for name, word in _LABELS.items()},
    )
    return answer(request, html, sent.status)


@get("/orders/{order:str}/{act:str}", operation_id="staffAct", include_in_schema=False)
async def show_act(
    request: AnyRequest,
    order: FromPath[str],
    act: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """The form of an act about an order."""
    wanted = _act(act)
    note_view(session, staff_of(request), order, at)
    return await _act_page(request, session, order, wanted, Sent())


@post("/orders/{order:str}/{act:str}", operation_id="staffDoAct", include_in_schema=False, status_code=303)
async def do_act(
    request: AnyRequest,
    order: FromPath[str],
    act: FromPath[str],
    session: NamedDependency[AsyncSession],
    catalogue: NamedDependency[Catalogue],
    site: NamedDependency[Site],
    at: NamedDependency[datetime],
) -> Response[Any]:
    """Does it, or shows the form again with every fault named."""
    wanted = _act(act)
    fields = await check_form(request)
    form = Form(fields)
    head = await _head(session, order)
    given, refusal = wanted.read(form, at), None
    if not form.faults:
        desk = Desk(catalogue, site.secret, staff_of(request).actor)
        try:
            async with session.begin_nested():
                done = await wanted.do(session, head.name, given, desk, at)
        except Invalid as fault:
            form.faults.update({found.pointer.lstrip("/"): "field_in_future" for found in fault.faults})
        except Conflict as fault:
            refusal = fault.code
        else:
            return go_done(request, f"/finance/orders/{order}", done)
    return await _act_page(request, session, order, wanted, Sent(fields, form.faults, refusal))


async def _act_page(request: AnyRequest, session: AsyncSession, order: str, act: Act, sent: Sent) -> Response[Any]:
    frame = frame_of(request)
    w = Words(frame.tongue)
    fields = [field.shown(w) for field in act.fields]
    html = pages.show(
        "act.html", frame, title=act.title, order=await _head(session, order), fields=fields, given=sent.given,
        faults=sent.faults, refusal=sent.refusal, labels={field.name: w(field.label) for field in act.fields},
    )  # fmt: skip
    return answer(request, html, sent.status)


def _act(name: str) -> Act:
    if name not in ACTS:
        raise NotFound("There is no such act.")
    return ACTS[name]


async def _head(session: AsyncSession, order: str) -> OrderHead:
    head = await cases.order_head(session, parse("ord", order))
    if head is None:
        raise NotFound("There is no such order.")
    return head


acting_router = Router(
    "/finance",
    route_handlers=[show_cases, show_case, decide_case, show_act, do_act],
    guards=[requires_role],
    exception_handlers=EXCEPTION_HANDLERS,
)
