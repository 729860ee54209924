"""Looking at Stripe on a house, and what was found, in short."""

import json
from datetime import timedelta
from typing import Any

from billing.reconciliation import comparing
from billing.reconciliation.comparing import Look, Scope
from tests.services.house import House
from tests.services.invariants import end_state

DAYS = timedelta(days=1)
SWEEPS = frozenset({"checkout.sweep", "reconciliation.recent", "reconciliation.nightly", "webhooks.catch_up"})
"""What would find lost news by itself."""

Short = list[tuple[str, str, str]]


def since(house: House, days: int = 3) -> Scope:
    return Scope(since=house.now - days * DAYS)


async def look(house: House, scope: Scope | None = None) -> Look:
    """One look at the last days, as somebody asks for it."""
    return await comparing.look(house.database, house.services.gateway, scope or since(house), house.now)


async def tell(house: House, scope: Scope | None = None) -> Look:
    return await comparing.tell(house.database, house.services.gateway, scope or since(house), house.now)


def short(found: Look) -> Short:
    """Kind, cause and proposal of what people must decide."""
    return [(each.kind, each.cause, each.proposal) for each in found.findings]


async def silence(house: House) -> None:
    """From now on no event arrives, and none ever will."""
    await house.world.control("faults", {"webhooks": "drop"})


async def open_cases(house: House) -> list[tuple[Any, ...]]:
    rows = await house.rows(
        "select about, facts->>'cause' as cause, facts->>'severity' as severity, state from finance_case "
        "where kind = 'finding' and state <> 'closed' order by id"
    )
    return [tuple(row) for row in rows]


async def payment_of(house: House, account: str) -> Any:
    """The payment's and the charge's id at Stripe of an account's only order."""
    (row,) = await house.rows(
        "select p.stripe_payment_intent as intent, p.stripe_charge as charge, p.order_id as order_id from payment p "
        "join audit a on a.subject = p.order_id and a.action = 'order.made' where a.account = :account",
        account=account,
    )
    return row


def bend(house: House, kind: str, key: str, **changes: Any) -> None:
    """Change an object behind everybody's back."""
    store = house.world.standin._store
    body = (store.get(key) or {}) | changes
    store.run("UPDATE objects SET body = ? WHERE id = ?", json.dumps(body), key)
    assert body["object"] == kind


async def refund_by_hand(house: House, charge: str, amount: int | None = None) -> str:
    """Somebody in Stripe's dashboard; answers the refund's id."""
    given = {"charge": charge} | ({} if amount is None else {"amount": amount})
    return (await house.world.client.v1.refunds.create_async(given)).id


async def everything(house: House) -> dict[str, Any]:
    """The whole state of the database that chance does not decide: no ids, and not how we came to know."""
    more = {
        "cases": "select kind, state, outcome, order_id is null, account from finance_case order by 1, 2, 3, 5",
        "disputes": "select amount, state, told from dispute order by 1, 2, 3",
        "moves": "select action, account, before, after, count(*) from audit where before is not null "
        "or action like '%.begun' group by 1, 2, 3, 4 order by 1, 2, 3, 4",
        "blocks": "select pupil, feature from pupil_block order by 1, 2",
        "lines": "select kind, amount, fee, is_foreign from balance_line order by 1, 2, 3",
    }
    found = await end_state(house)
    tables = {row[0] for row in await house.rows("select tablename from pg_tables where schemaname = 'public'")}
    more = {name: query for name, query in more.items() if query.split(" from ")[1].split()[0] in tables}
    return found | {name: [tuple(row) for row in await house.rows(query)] for name, query in more.items()}


async def audit_count(house: House) -> int:
    return await house.one("select count(*) from audit")
