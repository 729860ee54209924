"""What staff see of one account, one order, letters, events, tasks and acts; and that each look is written down."""

import re
from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import select

from billing.catalog.rules import feature_list
from billing.finance.words import Words
from billing.kernel.audit import AuditRow
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from entitlements.decision import decide_all
from entitlements.reader import FactsReader
from tests.finance.world import CATALOGUE, EVIL, World


def pages(world: World) -> dict[str, tuple[str, str | None] | None]:
    """Every page and the look it notes: subject and account; None: it names nobody."""
    return {
        "/finance/": ("finance:list", None),
        "/finance/?q=anna": ("finance:list", None),
        "/finance/export.csv": ("finance:export", None),
        "/finance/accounts/a-anna": ("a-anna", "a-anna"),
        f"/finance/orders/{world.order}": (world.order, "a-anna"),
        "/finance/tasks": ("finance:tasks", None),
        "/finance/books": ("finance:books", None),
        "/finance/cases": ("finance:cases", None),
        f"/finance/cases/{world.case}": (world.case, "a-anna"),
        f"/finance/orders/{world.order}/refund": (world.order, None),
        "/finance/letters": ("finance:letters", None),
        f"/finance/letters/{world.letter}": (world.letter, "a-anna"),
        f"/finance/letters/{world.letter}/html": (world.letter, "a-anna"),
        "/finance/events": None,
        "/finance/audit": ("finance:audit", None),
    }


async def test_every_look_at_personal_data_is_written_down_in_its_request(
    lead: httpx2.AsyncClient, world: World, database: Database
) -> None:
    """R117, S56: one row per view, by whom, of what; and nobody's address gets into the log."""
    query = select(AuditRow).where(AuditRow.action == "finance.viewed")
    for path, look in pages(world).items():
        async with database.begin() as session:
            before = {row.id for row in await session.scalars(query)}
        assert (await lead.get(path)).status_code == 200, path
        async with database.begin() as session:
            fresh = [row for row in await session.scalars(query) if row.id not in before]
        found = [(row.actor, row.subject, row.account) for row in fresh]
        assert found == ([] if look is None else [("staff:s-finance_lead", *look)]), path
        assert not any("anna" in str(row.facts).lower() for row in fresh)


async def test_every_page_is_locked_down_and_shows_text_as_text(lead: httpx2.AsyncClient, world: World) -> None:
    """S54, S55: no script may run, nothing comes from elsewhere, no page frames ours, nothing is kept."""
    paths = [*pages(world), "/finance/logged-out", "/finance/orders/ord_x", "/finance/?kind=x", "/finance/callback"]
    for path in paths:
        answer = await lead.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert EVIL not in answer.text or answer.headers["content-type"].startswith("text/csv"), path
        if path.endswith("/html"):
            assert policy.startswith("sandbox;")
            assert "frame-ancestors 'self'" in policy
        else:
            assert "frame-ancestors 'none'" in policy
            assert "unsafe-inline" not in policy
            assert "form-action 'self'" in policy
            assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_account_page_tells_why_by_the_engines_own_trace(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    """R118: for each pupil and add-on the answer, the reason, the sources with their dates, blocks, the next change."""
    html = (await lead.get("/finance/accounts/a-anna")).text
    facts = await FactsReader(database).account("a-anna")
    assert facts is not None
    words = Words("pl")
    reasons = set()
    for pupil in facts.pupils:
        part = html.split(f'<span class="id">{pupil.pupil}</span>')[1].split("</article>")[0]
        rows = part.split("<tr>")[2:]
        decisions = decide_all(feature_list(CATALOGUE), pupil, "mobile", clock.now(), clock.now())
        assert len(rows) == len(decisions) == 4
        for row, decision in zip(rows, decisions, strict=True):
            feature = CATALOGUE.feature(decision.feature)
            assert feature is not None
            assert feature.names.pl in row
            assert f">{words('yes' if decision.allowed else 'no')}</span>" in row
            assert f">{decision.reason}</span>" in row
            for source in decision.sources:
                assert source.id in row
                assert source.since.strftime("%Y-%m-%d") in row
            reasons.add(decision.reason)
    assert reasons == {"paid", "trial", "blocked_by_school"}
    assert world.right in html
    assert "2027-07-01 00:00" in html


async def test_the_account_page_has_one_timeline_of_everything(lead: httpx2.AsyncClient, world: World) -> None:
    html = (await lead.get("/finance/accounts/a-anna")).text
    for part in ("Anna.Żak@poczta.example", "opiekun", world.order, world.right, world.trial, world.link, world.refund,
                 world.letter, world.event, "evt_2Parked", "order.goodwill", "uprzejmość", "rozrachunki ze Stripe",
                 "44,99\u00a0zł", "-10,00\u00a0zł", "trial.started"):  # fmt: skip
        assert part in html, part
    assert "finance.viewed" not in html


async def test_another_account_shows_nothing_of_this_one(lead: httpx2.AsyncClient, world: World) -> None:
    html = (await lead.get("/finance/accounts/b-jan")).text
    for part in (world.order, world.right, world.trial, world.letter, "Anna", "p1"):
        assert part not in html


async def test_the_order_page_shows_books_that_come_to_zero(lead: httpx2.AsyncClient, world: World) -> None:
    html = (await lead.get(f"/finance/orders/{world.order}")).text
    for part in (world.number, "pi_3Anna", "ch_3Anna", "re_3Anna", "cs_test_a1", "BLIK", "8,41\u00a0zł", world.right,
                 "żądanie rozpoczęcia od razu", "gest dobrej woli", "declined", world.letter):  # fmt: skip
        assert part in html, part
    total = html.split("<tfoot>")[1].split("</tfoot>")[0]
    assert "0,00\u00a0zł" in total


async def test_a_letter_is_shown_exactly_as_it_was_sent(lead: httpx2.AsyncClient, world: World) -> None:
    html = (await lead.get(f"/finance/letters/{world.letter}")).text
    assert f'<iframe class="sheet" src="/finance/letters/{world.letter}/html"' in html
    assert 'sandbox=""' in html
    assert "zapłacono 44,99 zł." in html
    sent = await lead.get(f"/finance/letters/{world.letter}/html")
    assert "Zażółć <b>gęślą</b>" in sent.text


async def test_what_waits_for_people_is_listed(lead: httpx2.AsyncClient, world: World) -> None:
    tasks = (await lead.get("/finance/tasks")).text
    for part in (world.refund, "evt_2Parked", "550 no", "amount differs"):
        assert part in tasks
    events = (await lead.get("/finance/events")).text
    assert events.index("evt_2Parked") < events.index("evt_1Sandbox")
    letters = (await lead.get("/finance/letters")).text
    assert "550 no" in letters
    assert world.letter not in letters
    assert world.letter in (await lead.get("/finance/letters?state=handed_over")).text


async def test_the_audit_log_is_filtered_and_paged(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    for _ in range(55):
        await lead.get(f"/finance/orders/{world.order}")
    clock.move(clock.now() + timedelta(seconds=1))
    first = (await lead.get("/finance/audit?action=VIEWED&actor=finance_lead")).text
    assert first.count('<td data-label="Czynność">finance.viewed</td>') == 50
    following = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    rest = (await lead.get(following)).text
    assert rest.count('<td data-label="Czynność">finance.viewed</td>') == 5
    assert "order.goodwill" in (await lead.get(f"/finance/audit?subject={world.order}&actor=lead&action=goodwill")).text
    day = clock.now().date()
    assert "order.goodwill" in (await lead.get(f"/finance/audit?from={day}&to={day}&action=goodwill")).text
    assert "order.goodwill" not in (await lead.get(f"/finance/audit?to={day.replace(year=2025)}&action=goodwill")).text
    assert (await lead.get("/finance/audit?from=x")).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/finance/accounts/nobody", "/finance/accounts/a%00b", "/finance/orders/x", "/finance/orders/ord_" + "0" * 26,
     "/finance/letters/ntc_" + "0" * 26, "/finance/letters/x/html", "/finance/static/frame.html"],
)  # fmt: skip
async def test_what_does_not_exist_is_a_page_that_says_so(lead: httpx2.AsyncClient, world: World, path: str) -> None:
    answer = await lead.get(path)
    assert answer.status_code == 404
    assert "Nie ma takiej strony" in answer.text


async def test_polish_comes_first_and_english_on_request_and_is_remembered(
    lead: httpx2.AsyncClient, world: World
) -> None:
    """Checklist C 104."""
    assert '<html lang="pl">' in (await lead.get("/finance/", headers={"accept-language": "uk"})).text
    assert '<html lang="en">' in (await lead.get("/finance/", headers={"accept-language": "en-GB,en"})).text
    english = await lead.get("/finance/?lang=en&kind=order")
    assert '<html lang="en">' in english.text
    assert re.findall(r'href="([^"]+)" lang="pl"', english.text) == ["/finance?kind=order&amp;lang=pl"]
    assert english.headers["content-language"] == "en"
    assert '<html lang="en">' in (await lead.get("/finance/tasks")).text
    assert '<html lang="pl">' in (await lead.get("/finance/?lang=pl")).text


async def test_the_style_sheet_is_ours_and_may_be_kept(lead: httpx2.AsyncClient) -> None:
    page = (await lead.get("/finance/tasks")).text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await lead.get(address)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert "<script" not in page
    assert "style=" not in page
