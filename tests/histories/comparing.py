"""Three witnesses at the end of a block: the invariants asked of the database, the reducer, Stripe's own books."""

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.invariants import service as invariants
from billing.kernel.ids import public
from tests.histories.reducer import Claim, Money, Told, judge
from tests.histories.village import Village

LETTERS = {"I18", "I19", "I20"}
"""Nobody sends letters in a village."""

_BACK = {"succeeded", "pending"}
_NAME = re.compile(r"\bh(\d+)[aps]")


async def complaints(village: Village) -> list[tuple[int, str]]:
    """Whatever is wrong, each with the number of its history (-1 where nobody can say)."""
    money = money_of(village)
    told = await _told(village)
    wrong = list(village.wrong)
    wrong += await _broken(village)
    wrong += await _books(village, money)
    for number in village.stories:
        mine = {name: order for name, order in village.orders.items() if order.buyer.startswith(f"h{number}a")}
        deeds = [deed for deed in village.deeds if deed.whom in mine or deed.whom.startswith(f"h{number}a")]
        charged = [each for each in money if each.order in mine]
        claims = [claim for claim in told.claims if claim.order in mine or claim.pupil.startswith(f"h{number}p")]
        about = Told(claims, told.paid, told.failed, told.back, told.cases)
        wrong += [(number, words) for words in judge(mine.values(), charged, deeds, about, village.house.now)]
    strays = {each.order for each in money} - set(village.orders)
    return wrong + [(-1, f"money of an order nobody clicked for: {name}") for name in strays]


def money_of(village: Village) -> list[Money]:
    """What Stripe's books say of each captured charge."""
    store = village.store
    found: list[Money] = []
    for charge in store.all_of("charge"):
        if charge["status"] != "succeeded":
            continue
        intent: Any = store.get(charge["payment_intent"])
        refunds = [r for r in store.children(charge["id"], "refund") if r["status"] in _BACK]
        dispute = next(iter(store.children(charge["id"], "dispute")), None)
        state = None if dispute is None else dispute["status"] if dispute["status"] in {"won", "lost"} else "open"
        found.append(
            Money(
                intent["metadata"]["order"], datetime.fromtimestamp(charge["created"], UTC), charge["amount_captured"],
                sum(r["amount"] for r in refunds), state, village.ended.get(charge["id"]),
            )
        )  # fmt: skip
    return found


async def _told(village: Village) -> Told:
    house, told = village.house, Told()
    rights = {public("sub", row.id): row for row in await house.rows("select id, order_id, pupil from subscription")}
    for grant in await house.rows("select origin, since, until from entitlement_grant where source = 'paid'"):
        right = rights[grant.origin]
        told.claims.append(Claim(right.order_id, right.pupil, grant.since, grant.until))
    orders = await house.rows("select id from orders where state = 'paid'")
    told.paid = {public("ord", row.id) for row in orders}
    for row in await house.rows("select order_id, amount, state from refund"):
        if row.state in _BACK:
            told.back[row.order_id] = told.back.get(row.order_id, 0) + row.amount
        elif row.state != "waived":
            told.failed[row.order_id] = told.failed.get(row.order_id, 0) + row.amount
    cases = await house.rows("select order_id, kind from finance_case where state <> 'closed'")
    told.cases = dict(Counter((row.order_id, row.kind) for row in cases))
    return told


async def _broken(village: Village) -> list[tuple[int, str]]:
    now = village.house.now
    async with village.house.database.begin() as session:
        found = invariants.broken(await invariants.ask(session, now, settled=now + timedelta(seconds=1)))
    return [
        (_number_in(village, row), f"{finding.number} {finding.title}: {row}")
        for finding in found if finding.number not in LETTERS for row in finding.rows
    ]  # fmt: skip


def _number_in(village: Village, row: dict[str, Any]) -> int:
    for value in map(str, row.values()):
        if (named := _NAME.search(value)) is not None:
            return int(named[1])
        for order in re.findall(r"ord_\w+", value):
            if order in village.orders:
                return int(village.orders[order].buyer[1:].partition("a")[0])
    return -1


async def _books(village: Village, money: list[Money]) -> list[tuple[int, str]]:
    """I10: for each order the ledger holds at Stripe what Stripe holds: captured, less returned, less disputed."""
    theirs: dict[str, int] = defaultdict(int)
    store = village.store
    for each in money:
        theirs[each.order] += each.amount - (each.amount if each.dispute in {"open", "lost"} else 0)
    for refund in store.all_of("refund"):
        intent: Any = store.get(refund["payment_intent"])
        if refund["status"] == "succeeded":
            theirs[intent["metadata"]["order"]] -= refund["amount"]
    query = (
        "select order_id, sum(amount) as held from ledger_line where account = 'stripe_clearing' "
        "and cause not like 'stripe_fee:%' and cause not like 'payout%' and cause not like 'stray%' group by 1"
    )
    ours = {row.order_id: int(row.held) for row in await village.house.rows(query)}
    return [
        (_number_in(village, {"order": name}), f"I10 {name}: Stripe holds {theirs.get(name)}, we {ours.get(name)}")
        for name in sorted({*theirs, *ours}) if theirs.get(name, 0) != ours.get(name, 0)
    ]  # fmt: skip
