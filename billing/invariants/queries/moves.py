"""Moves: only drawn edges, and one line of the audit trail for each (I17).

The lines of a subject are a path: one beginning, and every state is entered once more often than it is left if it is
the present one, else as often. Instants do not count: two moves may stand on one.
"""

from collections.abc import Collection
from typing import Final

from billing.cases import rules as cases
from billing.checkout import rules as orders
from billing.invariants.rules import Query, edges, named
from billing.payments import rules as payments
from billing.subscriptions import renewing_rules
from billing.subscriptions import rules as subscriptions
from billing.withdrawals import dispute_rules as disputes
from billing.withdrawals import rules as withdrawals


def _walked(prefix: str, actions: str) -> str:
    return (
        f"(select subject, before, after from audit where subject like '{prefix}\\_%' and action like '{actions}.%' "
        "and after is not null)"
    )


def _off_the_table(what: str, prefix: str, actions: str, moves: Collection[tuple[str, str]]) -> Query:
    return Query(
        "I17",
        f"{what} that went along no drawn edge",
        "The audit trail tells of a move that the published table does not have.",
        f"""select subject, before, after from {_walked(prefix, actions)} w where before is not null
            and (before, after) not in (values {edges(moves)})""",
    )


def _untold(what: str, prefix: str, actions: str, table: str) -> Query:
    return Query(
        "I17",
        f"{what} whose state the audit trail does not tell",
        "A change of state without its line, a line without a change, or a thing that began twice or never.",
        f"""select now.name, now.state, seen.states from (select {named(prefix, "id")} as name, state from {table}) now
            left join (
                select subject, array_agg(state || '=' || entered order by state) as states from (
                    select subject, state, sum(one) as entered from {_walked(prefix, actions)} w
                    cross join lateral (values (after, 1), (before, -1)) as step (state, one)
                    where state is not null group by 1, 2 having sum(one) <> 0) ends group by 1
            ) seen on seen.subject = now.name where seen.states is distinct from array[now.state || '=1']""",
    )


def _both(what: str, prefix: str, actions: str, table: str, moves: Collection[tuple[str, str]]) -> tuple[Query, Query]:
    return _off_the_table(what, prefix, actions, moves), _untold(what, prefix, actions, table)


MOVES: Final = (
    *_both("an order", "ord", "order", "orders", orders.MOVES),
    *_both("a right", "sub", "subscription", "subscription", subscriptions.MOVES),
    _off_the_table("a renewal", "rnw", "renewal", renewing_rules.MOVES),
    *_both("a refund", "ref", "refund", "refund", payments.REFUND_MOVES),
    *_both("a case", "case", "case", "finance_case", cases.MOVES),
    *_both("a dispute", "dsp", "dispute", "dispute", disputes.MOVES),
    *_both("a withdrawal", "wdr", "withdrawal", "withdrawal", withdrawals.MOVES),
    Query(
        "I17",
        "a thing that began twice",
        "Two lines of the audit trail say that it was made.",
        """select subject, count(*) as beginnings from audit
            where action in ('order.made', 'subscription.begun', 'refund.reserved', 'refund.taken_on', 'case.opened',
            'dispute.opened')
            group by 1 having count(*) > 1""",
    ),
    Query(
        "I17",
        "a paid order without its instant",
        "Or one that is not paid and has one.",
        "select number, state, paid_at from orders where (state = 'paid') <> (paid_at is not null)",
    ),
)
