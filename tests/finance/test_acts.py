"""What staff do: cases ended, letters of withdrawal entered, money given back, complaints registered; each by name."""

import re
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
from sqlalchemy import text

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from tests.finance.conftest import HOME, browser, let_in, rooms, settings
from tests.finance.world import CATALOGUE, World

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
FRESH = "select amount, reason, approved_by from refund where reason <> 'goodwill' order by id"
_ORIGIN = {"origin": HOME, "sec-fetch-site": "same-origin"}


async def send(who: httpx2.AsyncClient, path: str, /, **fields: str) -> httpx2.Response:
    """Fill in the form of a page and send it."""
    found = _CSRF.findall((await who.get(path)).text)
    return await who.post(path, data={"csrf": found[-1], **fields}, headers=_ORIGIN)


async def table(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.begin() as session:
        return [tuple(row) for row in await session.execute(text(query))]


async def test_a_case_is_seen_in_the_queue_and_ended_with_a_name_and_a_reason(
    clerk: httpx2.AsyncClient, world: World, database: Database
) -> None:
    queue = (await clerk.get("/finance/cases?lang=en")).text
    assert world.case in queue
    answer = await send(clerk, f"/finance/cases/{world.case}", outcome="kept", reason="uzgodniono z rodzicem")
    assert answer.status_code == 303
    ended = await table(database, "select state, outcome, closed_by, reason from finance_case")
    assert ended == [("closed", "kept", "staff:s-finance", "uzgodniono z rodzicem")]
    trail = await table(
        database, "select before, after, actor from audit where action like 'case.%' order by before nulls first"
    )
    assert trail == [(None, "open", "system"), ("open", "closed", "staff:s-finance")]
    assert world.case not in (await clerk.get("/finance/cases")).text
    assert world.case in (await clerk.get("/finance/cases?state=closed")).text
    again = await send_without_form(clerk, f"/finance/cases/{world.case}", outcome="kept", reason="jeszcze raz")
    assert again.status_code == 409


async def send_without_form(who: httpx2.AsyncClient, path: str, **fields: str) -> httpx2.Response:
    found = _CSRF.findall((await who.get("/finance/")).text)
    return await who.post(path, data={"csrf": found[0], **fields}, headers=_ORIGIN)


async def test_every_fault_of_a_form_is_named_and_nothing_is_done(
    clerk: httpx2.AsyncClient, world: World, database: Database
) -> None:
    answer = await send(clerk, f"/finance/orders/{world.order}/refund", amount="abc", reason="because", why="")
    assert answer.status_code == 422
    for field in ("amount", "reason", "why"):
        assert f'id="e-{field}"' in answer.text
        assert f'href="#f-{field}"' in answer.text
    assert 'value="abc"' in answer.text, "what was typed is not lost"
    assert await table(database, "select reason from refund") == [("goodwill",)], "only the seeded one"
    empty = await send(clerk, f"/finance/cases/{world.case}", outcome="", reason="")
    assert empty.status_code == 422
    unknown = await send(clerk, f"/finance/cases/{world.case}", outcome="won", reason="x")
    assert unknown.status_code == 409


async def test_r73_a_letter_sent_on_the_last_day_and_entered_five_days_later_ends_the_pass(
    clerk: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    clock.move(clock.now() + timedelta(days=19))
    clerk.cookies.set("staff", await let_in(database, clock, "finance"))
    form = {"channel": "letter", "sent_on": "2026-09-15", "name": "Anna Żak", "contact": "ul. Zmyślona 2"}
    answer = await send(clerk, f"/finance/orders/{world.order}/withdrawal", **form)
    assert answer.status_code == 303
    assert await table(database, "select state, channel, entered_by from withdrawal") == [
        ("accepted", "letter", "staff:s-finance")
    ]
    assert await table(database, "select state from subscription") == [("withdrawn",)]
    assert "Zmyślona" not in str(await table(database, "select * from audit")), "R86: who declared is sealed"


async def test_r117_a_refund_above_the_limit_waits_for_another_person(
    world: World, database: Database, clock: FixedClock
) -> None:
    order = msgspec.structs.replace(CATALOGUE.order, refund_limit=2000)
    app = rooms(database, clock, settings(), msgspec.structs.replace(CATALOGUE, order=order))
    path = f"/finance/orders/{world.order}/refund"
    async with browser(app) as clerk, browser(app) as lead:
        clerk.cookies.set("staff", await let_in(database, clock, "finance"))
        lead.cookies.set("staff", await let_in(database, clock, "finance_lead"))
        alone = await send(clerk, path, amount="10,00", reason="sponsor_overlap", why="miasto zapłaciło")
        assert alone.status_code == 303
        assert await table(database, FRESH) == [(1000, "sponsor_overlap", "staff:s-finance")]
        assert (await send(clerk, path, amount="10.01", reason="non_conformity", why="przerwa")).status_code == 303
        waiting = "select state, proposed_by from finance_case where kind = 'staff_refund'"
        assert await table(database, waiting) == [("proposed", "staff:s-finance")]
        name = re.search(r"case_\w+", (await clerk.get("/finance/cases?kind=staff_refund")).text)
        assert name is not None
        case = f"/finance/cases/{name[0]}"
        alone = await send(clerk, case, outcome="refunded", reason="sam sobie")
        assert alone.status_code == 409
        assert "Zatwierdzić musi inna osoba" in alone.text, "whoever is refused is told why"
        assert f'action="{case}"' in alone.text, "and stands before the form"
        assert 'value="sam sobie"' in alone.text, "with what was typed"
        assert '<option value="refunded" selected>' in alone.text
        assert len(await table(database, FRESH)) == 1
        assert (await send(lead, case, outcome="refunded", reason="zgoda")).status_code == 303
        assert "Sprawa jest zamknięta" in (await lead.get(case)).text
        assert (1001, "non_conformity", "staff:s-finance_lead") in await table(database, FRESH)


async def test_what_was_done_is_said_once_on_the_page_that_follows_and_only_in_words_of_ours(
    clerk: httpx2.AsyncClient, world: World
) -> None:
    order = f"/finance/orders/{world.order}"
    said = "Zwrot zlecono."
    form = {"amount": "5,00", "reason": "sponsor_overlap", "why": "uzgodniono"}
    answer = await send(clerk, f"{order}/refund", **form)
    assert answer.headers["location"] == order, "nothing of it is in the address"
    assert f'role="status">{said}' in (await clerk.get(order)).text
    assert said not in (await clerk.get(order)).text
    for forged in ("pay me", "room", "conflict"):
        clerk.cookies.set("staff_done", forged)
        page = (await clerk.get(order)).text
        assert 'role="status"' not in page
        assert "pay me" not in page


async def test_a_refused_act_changes_nothing_and_keeps_what_was_typed(
    clerk: httpx2.AsyncClient, world: World, database: Database
) -> None:
    path = f"/finance/orders/{world.order}/refund"
    form = {"amount": "44,90", "reason": "non_conformity", "why": "przerwa we wrześniu"}
    answer = await send(clerk, path, **form)
    assert answer.status_code == 409, "more than is kept"
    assert "byłoby to więcej, niż zapłacono" in answer.text
    for typed in ('value="44,90"', 'value="przerwa we wrześniu"', '<option value="non_conformity" selected>'):
        assert typed in answer.text
    assert await table(database, "select reason from refund") == [("goodwill",)], "only the seeded one"
    assert 'role="status"' not in (await clerk.get(f"/finance/orders/{world.order}")).text
    assert (await send(clerk, path, **(form | {"amount": "4,90"}))).status_code == 303


async def test_r80_a_complaint_is_registered_read_and_answered_and_its_text_is_sealed(
    clerk: httpx2.AsyncClient, world: World, database: Database
) -> None:
    form = {"received_on": "2026-08-30", "text": "Aplikacja nie pokazuje wiadomości od wtorku."}
    assert (await send(clerk, f"/finance/orders/{world.order}/complaint", **form)).status_code == 303
    assert b"wiadomo" not in (await table(database, "select text from complaint"))[0][0]
    name = re.search(r"case_\w+", (await clerk.get("/finance/cases?kind=complaint")).text)
    assert name is not None
    assert "od wtorku" in (await clerk.get(f"/finance/cases/{name[0]}")).text
    bare = await send(clerk, f"/finance/cases/{name[0]}", outcome="accepted", reason="zasadna", answer="")
    assert bare.status_code == 422
    answer = await send(
        clerk, f"/finance/cases/{name[0]}", outcome="accepted", reason="zasadna", answer="Naprawiliśmy błąd."
    )
    assert answer.status_code == 303
    assert await table(database, "select outcome, answered_by from complaint") == [("accepted", "staff:s-finance")]
    assert "zasadna" in (await clerk.get(f"/finance/cases/{name[0]}")).text, "what was typed as the reason stays"
    future = await send(clerk, f"/finance/orders/{world.order}/complaint", received_on="2026-09-02", text="x")
    assert future.status_code == 422


async def test_r79_the_books_add_refunds_up_by_reason(
    clerk: httpx2.AsyncClient, world: World, database: Database
) -> None:
    path = f"/finance/orders/{world.order}/refund"
    for amount, reason in (("5,00", "sponsor_overlap"), ("7.50", "non_conformity")):
        assert (await send(clerk, path, amount=amount, reason=reason, why="uzgodniono")).status_code == 303
    page = (await clerk.get("/finance/books?lang=en")).text
    table = page[page.index("Refunds by reason") :].partition("</table>")[0]
    found = re.findall(r'data-label="Reason">([^<]+)</td>\s*<td[^>]*>(\d+)</td>\s*<td[^>]*>([^<]+)</td>', table)
    assert [(reason, number, amount.replace("\xa0", " ")) for reason, number, amount in found] == [
        ("goodwill", "1", "PLN 10.00"),
        ("non-conformity", "1", "PLN 7.50"),
        ("covered by a sponsor", "1", "PLN 5.00"),
    ]


async def test_r81_a_withdrawal_sent_too_late_ends_nothing_and_goodwill_may_still_be_given(
    clerk: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    clock.move(clock.now() + timedelta(days=30))
    clerk.cookies.set("staff", await let_in(database, clock, "finance"))
    form = {"channel": "phone", "sent_on": "2026-09-16", "name": "Anna Żak", "contact": "anna@poczta.example"}
    assert (await send(clerk, f"/finance/orders/{world.order}/withdrawal", **form)).status_code == 303
    assert await table(database, "select state from withdrawal") == [("late",)]
    assert await table(database, "select state from subscription") == [("active",)]
    path = f"/finance/orders/{world.order}/refund"
    kind = await send(clerk, path, amount="20,00", reason="non_conformity", why="na prośbę rodzica")
    assert kind.status_code == 303
    assert (2000, "non_conformity", "staff:s-finance") in await table(database, FRESH)


async def test_money_is_offered_back_only_while_something_is_kept(clerk: httpx2.AsyncClient, world: World) -> None:
    order = f"/finance/orders/{world.order}"
    assert f'href="{order}/refund"' in (await clerk.get(order)).text
    assert "24,99\xa0zł" in (await clerk.get(f"{order}/refund")).text, "paid 44,99: 10,00 went back, 10,00 is owed"
    form = {"amount": "24,99", "reason": "non_conformity", "why": "całość"}
    assert (await send(clerk, f"{order}/refund", **form)).status_code == 303
    page = (await clerk.get(order)).text
    assert f'href="{order}/refund"' not in page
    assert f'href="{order}/complaint"' in page
