"""The one list: search, filters, pages that stand still, totals, and the file with exactly the same rows."""

import csv
import io
import re
from datetime import timedelta
from urllib.parse import quote

import httpx2
import pytest

from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.kernel.ids import public
from tests.finance.conftest import let_in
from tests.finance.many import make_many_accounts, make_many_trials
from tests.finance.world import World, make_account, make_order, make_trial

ROW = re.compile(r"(?:trl|sub|ord)_[0-9a-z]{26}")


def rows_of(html: str) -> list[str]:
    """The ids of the rows, in their order, each once."""
    body = html.split("<tbody>")[1].split("</tbody>", maxsplit=1)[0] if "<tbody>" in html else ""
    return list(dict.fromkeys(ROW.findall(body)))


async def found(lead: httpx2.AsyncClient, query: str) -> list[str]:
    answer = await lead.get(f"/finance/?{query}")
    assert answer.status_code == 200, answer.text
    return rows_of(answer.text)


async def exported(lead: httpx2.AsyncClient, query: str) -> list[dict[str, str]]:
    answer = await lead.get(f"/finance/export.csv?{query}")
    assert answer.status_code == 200
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline=""), delimiter=";"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("lodz", {"order"}),
        ("ŁÓDŹ", {"order"}),
        ("anna.zak@POCZTA.example", {"order", "right", "trial"}),
        ("Żak", {"order", "right", "trial"}),
        ("a-anna", {"order", "right", "trial"}),
        ("A-ANNA", {"order", "right", "trial"}),
        ("p1", {"order", "right"}),
        ("p2", {"trial"}),
        ("jan@poczta.example", set()),
        ("nothing", set()),
        ("100%", set()),
        ("a_anna", set()),
    ],
)
async def test_one_box_finds_by_words(lead: httpx2.AsyncClient, world: World, text: str, names: set[str]) -> None:
    """R115: case and Polish letters do not matter; signs of patterns mean themselves."""
    wanted = {getattr(world, name) for name in names}
    assert set(await found(lead, f"q={quote(text)}")) == wanted
    assert {row["Identyfikator"] for row in await exported(lead, f"q={quote(text)}")} == wanted


@pytest.mark.parametrize("name", ["order", "refund", "session", "payment", "charge", "stripe_refund"])
async def test_an_id_of_an_order_leads_straight_to_it(lead: httpx2.AsyncClient, world: World, name: str) -> None:
    """Checklist C 80."""
    text = getattr(world, name)
    answer = await lead.get(f"/finance/?q={text}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/finance/orders/{world.order}")
    assert [row["Identyfikator"] for row in await exported(lead, f"q={text}")] == [world.order]


async def test_other_ids_lead_to_what_they_name(lead: httpx2.AsyncClient, world: World) -> None:
    assert await found(lead, f"q={world.trial}") == [world.trial]
    assert await found(lead, f"q={world.right.upper()}") == [world.right]
    assert await found(lead, f"q={world.number}") == [world.order]
    for text, place in (
        (world.letter, f"/finance/letters/{world.letter}"),
        (world.link, "/finance/accounts/a-anna"),
        (world.event, f"/finance/events?q={world.event}"),
    ):
        assert (await lead.get(f"/finance/?q={text}")).headers["location"] == place
    for text in (f"ord_{'0' * 26}", "cs_nothing", "evt_nothing", "trl_x", f"ntc_{'z' * 26}"):
        assert await found(lead, f"q={text}") == []


async def test_accounts_that_fit_are_named_even_without_rows(lead: httpx2.AsyncClient, world: World) -> None:
    html = (await lead.get("/finance/?q=jan@")).text
    assert 'href="/finance/accounts/b-jan"' in html
    assert "jan@poczta.example" not in html.split("<main")[1]


async def test_filters_narrow_and_the_file_has_exactly_those_rows(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    """Checklist C 82."""
    at = clock.now()
    async with database.begin() as session:
        late = await make_order(session, at + timedelta(days=1), state="pending", pupils=["p7"], check_at=at)
        old = await make_order(session, at + timedelta(days=2), state="expired", pupils=["p8"], season="2025/26")
    clock.move(at + timedelta(days=3))
    lead.cookies.set("staff", await let_in(database, clock, "finance"))
    names = {"late": public("ord", late.id), "old": public("ord", old.id), **{
        name: getattr(world, name) for name in ("order", "trial", "right")}}  # fmt: skip
    for query, wanted in {
        "": {"late", "old", "order", "trial", "right"},
        "kind=trial": {"trial"},
        "kind=pass": {"right"},
        "kind=order": {"late", "old", "order"},
        "state=paid": {"order"},
        "state=running": {"trial"},
        "state=active": {"right"},
        "kind=trial&state=paid": set[str](),
        "from=2026-09-02": {"late", "old"},
        "from=2026-09-02&to=2026-09-02": {"late"},
        "to=2026-09-01": {"order", "trial", "right"},
        "season=2026/27": {"late", "order", "trial", "right"},
        "season=2025/26": {"old"},
        "season=nonsense": set[str](),
        "need=overdue": {"late"},
        "need=staff": {"order"},
        "need=staff&q=p8": set[str](),
    }.items():
        assert set(await found(lead, query)) == {names[name] for name in wanted}, query
        assert {row["Identyfikator"] for row in await exported(lead, query)} == {names[name] for name in wanted}, query


async def test_totals_are_those_of_all_filtered_rows_to_the_grosz(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    """Checklist C 85: 30 paid orders of 44,99 more, 10,00 went back of one; open orders count for no money."""
    async with database.begin() as session:
        for number in range(30):
            await make_order(session, clock.now() + timedelta(seconds=number), pupils=[f"x{number}"])
        await make_order(session, clock.now(), pupils=["y"], state="failed")
    html = (await lead.get("/finance/?kind=order")).text
    totals = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", html))
    money = {name: value.replace("\u00a0", " ") for name, value in totals.items()}
    assert money["Zamówienia"] == "32"
    assert money["Opłacone brutto"] == "1 394,69 zł"
    assert money["Zwrócone"] == "10,00 zł"
    assert money["Zostaje"] == "1 384,69 zł"
    sums = [row["Kwota (PLN)"].replace(",", "") for row in await exported(lead, "kind=order&state=paid")]
    assert sum(int(amount) for amount in sums) == 139469


async def test_pages_stand_still_while_rows_are_added(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    """Checklist C 97, A 23: no row is seen twice or missed."""
    at = clock.now()
    async with database.begin() as session:
        for number in range(60):
            await make_order(session, at + timedelta(minutes=number), pupils=[f"x{number}"], state="failed")
            await make_trial(session, f"t{number}", at + timedelta(minutes=number))
    before = [row["Identyfikator"] for row in await exported(lead, "")]
    seen: list[str] = []
    address = "/finance/?size=50"
    for step in range(10):
        html = (await lead.get(address)).text
        seen += rows_of(html)
        async with database.begin() as session:
            await make_order(session, at + timedelta(days=1, minutes=step), pupils=[f"n{step}"], state="failed")
        if 'rel="next"' not in html:
            break
        address = html.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert seen == before
    assert len(seen) == len(set(seen)) == 123


async def test_the_file_is_not_cut_off_by_pages(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    """R116: more rows than a piece of the stream."""
    async with database.begin() as session:
        await make_many_trials(session, 4100, clock.now())
    rows = await exported(lead, "kind=trial")
    assert len({row["Identyfikator"] for row in rows}) == len(rows) == 4101


async def test_nothing_in_the_file_starts_a_formula(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    """R116, S57: references may begin with a minus."""
    async with database.begin() as session:
        await make_account(session, "-1", "x@y.example", clock.now())
        await make_order(session, clock.now(), account="-1", pupils=["-2", "-3"], season="=1+1")
    rows = await exported(lead, "q=-1")
    assert (rows[0]["Konto"], rows[0]["Uczniowie"], rows[0]["Sezon"]) == ("'-1", "'-2 -3", "'=1+1")
    answer = await lead.get("/finance/export.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="dodatki-mobilne-2026-09-01.csv"'
    assert b"\r\n" in answer.content
    assert not re.search(r"(?:^|[;\n])[=+@\t-]", answer.text.replace("\r\n", "\n").removeprefix("\ufeff"))


async def test_an_erased_accounts_order_stays_readable(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    """R88: accounting rows stay, with nobody's name; and they show no other orphan's rows."""
    async with database.begin() as session:
        one = await make_order(session, clock.now(), account=None, pupils=["o1"])
        other = await make_order(session, clock.now() + timedelta(seconds=1), account=None, pupils=["o2"])
    html = (await lead.get(f"/finance/orders/{public('ord', one.id)}")).text
    assert public("ord", other.id) not in html
    assert "a-anna" not in html


async def test_a_text_that_fits_too_many_to_list_still_finds_its_rows(
    lead: httpx2.AsyncClient, world: World, database: Database, clock: FixedClock
) -> None:
    async with database.begin() as session:
        await make_many_accounts(session, 1100, clock.now())
    wanted = {world.order, world.right, world.trial}
    assert set(await found(lead, "q=POCZTA.example")) == wanted
    assert set(await found(lead, "q=a")) >= wanted
    assert {row["Identyfikator"] for row in await exported(lead, "q=poczta.example")} == wanted
