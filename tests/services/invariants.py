"""What must hold whenever nothing is due any more: the invariants asked of the database, and other people's books."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from billing.invariants import service as invariants
from billing.kernel.ids import public
from tests.services.house import House

DONE = "('succeeded', 'sent_by_bank', 'waived')"
GONE = """
    select order_id, amount from refund where state in ('failed', 'canceled')
    union all select order_id, amount from dispute where state = 'lost'
    union all select order_id, -amount from refund r where state <> 'waived'
    and reason in ('goodwill', 'non_conformity', 'sponsor_overlap', 'school_block')
    and exists (select from subscription s where s.order_id = r.order_id and s.state in ('active', 'ended'))"""
"""What an order's money is less by: refunds that failed are owed as before, lost disputes took theirs; and what staff
gave back of a right that stands is not missed."""

LETTERS = {"I18", "I19"}


async def check(house: House, *, had_doubts: bool = False) -> None:
    """Everything, on this database, at this stand-in, in this mailbox. With a mail server that left us in doubt, a
    letter may have come twice, or wait for people after the second doubt (I18)."""
    settled = house.now + timedelta(seconds=1)
    async with house.database.begin() as session:
        found = invariants.broken(await invariants.ask(session, house.now, settled=settled))
    broken = {
        f"{each.number} {each.title}": each.rows for each in found if each.number not in LETTERS or not had_doubts
    }
    assert not broken, broken
    assert await house.rows("select kind, target from provider_intent where state = 'unknown'") == [], "I15"
    await check_money(house)
    await check_rights(house)
    check_provider(house)
    if not had_doubts:
        check_mailbox(house)


async def check_money(house: House) -> None:
    """I10, I12: every captured grosz is at Stripe as in our books, and is a right or goes back."""
    store = house.world.standin._store
    charged = sum(
        int(charge["amount_captured"]) for charge in store.all_of("charge") if charge["status"] == "succeeded"
    )
    returned = sum(int(refund["amount"]) for refund in store.all_of("refund") if refund["status"] == "succeeded")
    argued = sum(int(dispute["amount"]) for dispute in store.all_of("dispute") if dispute["status"] != "won")
    booked = await house.one(
        "select coalesce(sum(amount), 0) from ledger_line where account = 'stripe_clearing' "
        "and cause not like 'stripe_fee:%' and cause not like 'payout%' and cause not like 'stray%'"
    )
    assert booked == charged - returned - argued
    owed = await house.one("select coalesce(sum(amount), 0) from ledger_line where account = 'refunds_payable'")
    waiting = await house.one(f"select coalesce(sum(amount), 0) from refund where state not in {DONE}")
    assert owed == -waiting
    prices = {public("ord", row.id): row.unit_gross for row in await house.rows("select id, unit_gross from orders")}
    kept: Counter[str] = Counter()
    for paid in await house.rows("select order_id, amount - refund_reserved as kept from payment"):
        kept[paid.order_id] += int(paid.kept)
    for used in await house.rows("select order_id, kept from withdrawal"):
        kept[public("ord", used.order_id)] -= used.kept
    for gone in await house.rows(GONE):
        kept[gone.order_id] -= int(gone.amount)
    for right in await house.rows(
        "select order_id from subscription where state not in ('refunded', 'withdrawn', 'disputed')"
    ):
        kept[right.order_id] -= prices[right.order_id]
    assert {order: amount for order, amount in kept.items() if amount} == {}, (
        "I12: kept for nothing, or for nothing kept"
    )
    known = {row[0] for row in await house.rows("select stripe_charge from payment")}
    taken = {charge["id"] for charge in store.all_of("charge") if charge["status"] == "succeeded"}
    assert known == taken, "I12: money at Stripe that we do not know of, or the other way round"


async def check_rights(house: House) -> None:
    """I03: a paid right stands on captured money, and gives exactly its grant."""
    rows = await house.rows("""
        select s.id, s.state, s.since, s.until, s.order_id, g.since as from_, g.until as to_, p.captured_at
        from subscription s
        left join lateral (select captured_at from payment where order_id = s.order_id order by 1 limit 1) p on true
        left join lateral (select since, until from entitlement_grant where source = 'paid' and pupil = s.pupil
            order by abs(extract(epoch from since - s.since)) limit 1) g on true""")
    free = {public("ord", row.id) for row in await house.rows("select id from orders where total = 0")}
    for row in rows:
        assert row.captured_at is not None or row.order_id in free, f"I03: {public('sub', row.id)} without money"
        assert row.captured_at is None or row.captured_at <= row.since
        if row.state == "active":
            assert (row.from_, row.to_) == (row.since, row.until)
    granted = await house.one("select count(*) from entitlement_grant where source = 'paid'")
    assert granted == len({row.id for row in rows})


def check_provider(house: House) -> None:
    """I11, I14: one open page for each order, one body for each key, one key for each reference."""
    store = house.world.standin._store
    pages = Counter(page["metadata"]["order"] for page in store.all_of("checkout.session") if page["status"] == "open")
    assert [order for order, count in pages.items() if count > 1] == []
    bodies: dict[str, set[str]] = {}
    keys: dict[str, set[str]] = {}
    for method, path, form, key in store.rows("SELECT method, path, form, key FROM requests"):
        if method != "POST":
            continue
        assert key, f"I14: {path} without a key"
        bodies.setdefault(key, set()).add(f"{path} {form}")
        reference = json.loads(form).get("client_reference_id")
        if reference:
            keys.setdefault(reference, set()).add(key)
    assert {key: told for key, told in bodies.items() if len(told) > 1} == {}
    assert {intent: used for intent, used in keys.items() if len(used) > 1} == {}


def check_mailbox(house: House) -> None:
    """I18: nothing reached anybody twice, unless the server left us in doubt."""
    ids = Counter(letter.headers["Message-ID"] for letter in house.letters())
    assert [told for told, count in ids.items() if count > 1] == []


async def end_state(house: House) -> dict[str, Any]:
    """What a history has come to, without ids and instants that chance or order of arrival decide (I01)."""
    queries = {
        "orders": "select account, pupils, state, paid_at, check_at is null, unit_gross from orders order by number",
        "rights": "select pupil, state, since, until, account from subscription order by pupil, state",
        "grants": "select pupil, source, since, until, bound, end_reason from entitlement_grant order by 1, 2, 3",
        "money": "select order_id, amount, method, refund_reserved, amount_refunded from payment "
        "order by 1, stripe_charge",
        "refunds": "select order_id, reason, amount, state from refund order by 1, 2, 3",
        "books": "select order_id, account, amount, booked_on from ledger_line order by 1, 2, 3, 4",
        "letters": "select account, kind, state from letter order by 1, 2, 3",
        "trials": "select pupil, reverts_on, bound_reason, converted_at is null from trial order by 1",
    }
    return {name: [tuple(row) for row in await house.rows(query)] for name, query in queries.items()}
