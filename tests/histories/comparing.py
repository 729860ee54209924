"""Three witnesses at the end of a block: the invariants asked of the database, the reducer, Stripe's own books."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from billing.invariants import service as invariants
from billing.kernel.ids import public
from tests.histories.reducer import Claim, Money, Told, judge
from tests.histories.village import Village

LETTERS = {"I18", "I19", "I20"}
"""Nobody sends letters in a village."""

RIGHTS = "select id, order_id, pupil, ended_at from subscription"
_BACK = {"succeeded", "pending"}
_NAME = re.compile(r"\bh(\d+)[aps]")
_FAMILY = re.compile(r"h\d+")
T = TypeVar("T")


async def complaints(village: Village) -> list[tuple[int, str]]:
    """Whatever is wrong, each with the number of its history (-1 where nobody can say)."""
    money = money_of(village)
    told = await _told(village)
    wrong = list(village.wrong)
    wrong += await _broken(village)
    wrong += await _books(village, money)
    owner = {name: _family(order.buyer) for name, order in village.orders.items()}
    orders = _by(village.orders.values(), lambda order: {owner[order.name]})
    deeds = _by(village.deeds, lambda deed: {owner.get(deed.whom) or _family(deed.whom)})
    charged = _by(money, lambda each: {owner.get(each.order, "")})
    claims = _by(told.claims, lambda claim: {owner.get(claim.order, ""), _family(claim.pupil)})
    for number in village.stories:
        name = f"h{number}"
        about = Told(claims[name], told.paid, told.failed, told.back, told.cases)
        heard = judge(orders[name], charged[name], deeds[name], about, village.house.now)
        wrong += [(number, words) for words in heard]
    strays = {each.order for each in money} - set(village.orders)
    return wrong + [(-1, f"money of an order nobody clicked for: {name}") for name in strays]


def _family(name: str) -> str:
    """`h12` of `h12a0` or `h12p1`."""
    return found[0] if (found := _FAMILY.match(name)) else ""


def _by(things: Iterable[T], families: Callable[[T], set[str]]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    for thing in things:
        for family in families(thing):
            found[family].append(thing)
    return found


def money_of(village: Village) -> list[Money]:
    """What Stripe's books say of each captured charge."""
    store = village.store
    found: list[Money] = []
    for charge in store.all_of("charge"):
        if charge["status"] != "succeeded":
            continue
        intent: Any = store.get(charge["payment_intent"])
        booked: Any = store.get(charge["balance_transaction"])
        refunds = [r for r in store.children(charge["id"], "refund") if r["status"] in _BACK]
        dispute = next(iter(store.children(charge["id"], "dispute")), None)
        state = None if dispute is None else dispute["status"] if dispute["status"] in {"won", "lost"} else "open"
        found.append(
            Money(
                intent["metadata"]["order"], datetime.fromtimestamp(booked["created"], UTC), charge["amount_captured"],
                sum(r["amount"] for r in refunds), state, village.ended.get(charge["id"]),
            )
        )  # fmt: skip
    return found


async def _told(village: Village) -> Told:
    house, told = village.house, Told()
    rights = {public("sub", row.id): row for row in await house.rows(RIGHTS)}
    for grant in await house.rows("select origin, since, until from entitlement_grant where source = 'paid'"):
        right = rights[grant.origin]
        told.claims.append(Claim(right.order_id, right.pupil, grant.since, grant.until, right.ended_at))
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
