"""If no event ever comes, a look at Stripe reaches what perfect delivery reaches, and another changes nothing (I02)."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

from billing.kernel.ids import public
from billing.reconciliation import comparing
from billing.reconciliation.comparing import Look, Scope
from billing.sandbox.postgres import EmbeddedPostgres
from tests.reconciliation.looking import SWEEPS, audit_count, everything, look, payment_of, refund_by_hand, silence
from tests.services.again import begin
from tests.services.house import House
from tests.services.test_any_order import news

SCOPE = timedelta(days=3)


async def many_ways(house: House) -> None:
    """Every way an order can go at Stripe, of which nothing was heard."""
    await silence(house)
    for name in ("card", "blik", "waits", "vain", "left", "ran-out"):
        await house.family(name, f"{name}-p")
    await house.click(await house.token("ran-out", "ran-out-p"))
    for parent in ("anna", "jan"):
        await house.family(parent, "shared", f"{parent}-own")
    house.stand_at(house.now + timedelta(hours=24, minutes=1))
    await house.world.standin.deliver_due()
    urls = {name: await house.click(await house.token(name, f"{name}-p")) for name in ("card", "blik", "waits", "vain")}
    await house.click(await house.token("left", "left-p"))
    await house.pay(urls["card"], "card")
    await house.pay(urls["blik"], "blik")
    for name in ("waits", "vain"):
        await house.pay(urls[name], "p24", "pending")
    await house.settle_payment(urls["vain"], "failed")
    first = await house.click(await house.token("anna", "shared", "anna-own"))
    second = await house.click(await house.token("jan", "shared"))
    for number, url in enumerate((first, second)):
        house.stand_at(house.now + timedelta(seconds=number + 1))
        await house.pay(url, "card")


async def heard(house: House) -> None:
    """Perfect delivery: every event, once, in order, those included that our own refunds cause."""
    handle = next(work for work in house.works if work.name == "webhooks.handle")
    told: list[bytes] = []
    while len(fresh := news(house)[len(told) :]):
        for body in fresh:
            await house.keep_event(body)
            await handle.run(house.now)
        told += fresh
        await house.settle(without=SWEEPS)


async def test_i02_f34_with_no_event_at_all_one_look_reaches_the_state_of_perfect_delivery_and_a_second_changes_nothing(
    house: House, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    beginning = await begin(house, postgres, tmp_path, many_ways)
    async with beginning.lived() as lived:
        await heard(lived)
        wanted = await everything(lived)
    states = Counter(row[2] for row in wanted["orders"])
    assert states == {"paid": 4, "incomplete": 2, "pending": 1, "failed": 1}
    assert [row[1:] for row in wanted["refunds"]] == [("duplicate", 4499, "succeeded")]
    async with beginning.lived() as lived:
        found = await look(lived)
        assert (found.counts.granted, found.findings, found.left) == (4, (), ())
        await lived.settle(without=SWEEPS)
        caused = await look(lived)
        assert [(each.kind, each.there) for each in caused.done] == [("refund_moved_on", 4499)], "of its own refund"
        await lived.settle(without=SWEEPS)
        assert await everything(lived) == wanted
        before = await audit_count(lived)
        again = await look(lived)
        assert (again.done, again.findings, again.opened, again.settled) == ((), (), 0, 0)
        await lived.settle(without=SWEEPS)
        assert await everything(lived) == wanted
        assert await audit_count(lived) == before


async def argued_and_returned(house: House) -> None:
    """Three rights that were heard of; then, in silence, one payment goes back by hand, one is disputed, one lost."""
    for name in ("back", "argued", "lost"):
        await house.family(name, f"{name}-p")
        await house.buy(name, f"{name}-p", method="card")
    await silence(house)
    house.stand_at(house.now + timedelta(hours=1))
    await refund_by_hand(house, (await payment_of(house, "back")).charge)
    for name, outcome in (("argued", "opened"), ("lost", "lost")):
        charge = (await payment_of(house, name)).charge
        await house.world.control(f"charges/{charge}/dispute", {"outcome": outcome})


async def apply_all(house: House, found: Look) -> None:
    for each in found.findings:
        key = await house.one("select id from finance_case where about = :about", about=each.about)
        await comparing.apply_finding(
            house.database, house.services.gateway, public("case", key), "staff:ewa", "as Stripe has it", house.now
        )


async def test_i02_what_only_people_may_take_on_reaches_the_same_state_once_they_have(
    house: House, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    beginning = await begin(house, postgres, tmp_path, argued_and_returned)
    async with beginning.lived() as lived:
        await heard(lived)
        wanted = await everything(lived)
    states = dict.fromkeys(("argued-p", "back-p", "lost-p"), "active") | {"back-p": "refunded", "lost-p": "disputed"}
    assert {row[0]: row[1] for row in wanted["rights"]} == states
    async with beginning.lived() as lived:
        found = await look(lived, Scope(since=lived.now - SCOPE))
        assert sorted(each.kind for each in found.findings) == ["dispute_unseen", "dispute_unseen", "refund_made_there"]
        await apply_all(lived, found)
        await lived.settle(without=SWEEPS)
        reached = await everything(lived)
        assert [row for row in reached["cases"] if row[2] == "applied"] == [
            ("finding", "closed", "applied", False, name) for name in ("argued", "back", "lost")
        ]
        reached["cases"] = [row for row in reached["cases"] if row[2] != "applied"]
        for each in (reached, wanted):  # whose hand moved the cases is the one thing that differs
            each["moves"] = [row for row in each["moves"] if row[0] != "case.moved"]
        assert reached == wanted
        before = await audit_count(lived)
        assert (await look(lived)).findings == ()
        assert await audit_count(lived) == before
