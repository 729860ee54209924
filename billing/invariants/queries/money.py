"""Money: sums to zero, is somewhere, never goes back twice, and is what was accepted (I09–I16)."""

from typing import Final

from billing.invariants.rules import Query, listed, with_names
from billing.ledger.proof import BROKEN_ORDERS
from billing.payments.rules import FINAL, NOT_RESERVED, OLDEST_KEY
from billing.subscriptions.rules import LIVE

_ORDERS = with_names("ord", "orders")
_REFUNDS = with_names("ref", "refund")
_BY_ITSELF = listed(("duplicate", "late"))
_GUARDS = "('ledger_line_append_only'), ('audit_append_only'), ('consent_append_only'), ('price_history_append_only')"

MONEY: Final = (
    Query(
        "I09",
        "a posting that does not sum to zero",
        "A transaction of the ledger makes or loses money.",
        """select transaction_id, currency, sum(amount) as off from ledger_line group by 1, 2
            having sum(amount) <> 0""",
    ),
    Query(
        "I09",
        "a guard that is off",
        "The database no longer refuses what it must refuse: a trigger or constraint is missing or switched off.",
        f"""select guard from (values {_GUARDS}, ('ledger_zero_sum')) as wanted (guard)
            where not exists (select from pg_trigger where tgname = guard and tgenabled in ('O', 'A'))
            union all select 'subscription_no_overlap' where not exists
            (select from pg_constraint where conname = 'subscription_no_overlap' and contype = 'x')""",
    ),
    Query(
        "I10",
        "money that came and is not in the books",
        "A payment without its posting.",
        """select p.order_id, p.stripe_payment_intent, p.amount from payment p where not exists
            (select from ledger_line l where l.cause = 'payment:' || p.stripe_payment_intent)""",
    ),
    Query(
        "I10",
        "money that went back and is not in the books",
        "A refund that succeeded, without its posting.",
        f"""select r.name, r.order_id, r.amount from {_REFUNDS} r where r.state = 'succeeded' and not exists
            (select from ledger_line l where l.cause = 'refund_paid:' || r.name)""",
    ),
    Query(
        "I10",
        "an order whose money in is not money out and kept",
        "What its payments and refunds say is not what the ledger says: something was not booked, or never happened.",
        BROKEN_ORDERS,
    ),
    Query(
        "I12",
        "money that is neither right, refund nor case",
        "What was paid for season passes is not the price of the rights it gave and what went back by itself.",
        f"""select o.name, paid.amount, back.amount as back, given.rights, o.unit_gross from {_ORDERS} o
            join lateral (select sum(p.amount) as amount, max(p.recorded_at) as last
                from payment p where p.order_id = o.name) paid on paid.amount is not null
            cross join lateral (select count(*) as rights, coalesce(bool_or(kind <> 'season_pass'), false) as renews
                from subscription s where s.order_id = o.name) given
            cross join lateral (select coalesce(sum(r.amount), 0) as amount from refund r where r.order_id = o.name
                and (r.reason in ({_BY_ITSELF}) or given.rights = 0) and r.state not in ({listed(NOT_RESERVED)})) back
            where paid.last < cast(:settled as timestamptz) and not given.renews
            and paid.amount <> back.amount + given.rights * o.unit_gross
            and not exists (select from finance_case c where c.order_id = o.name)""",
    ),
    Query(
        "I12",
        "money of what renews that is neither period, refund nor case",
        "A charge gave no period that was paid for, and did not go back in full.",
        """select p.order_id, p.stripe_payment_intent, p.amount, p.refund_reserved as back from payment p
            where exists (select from renewal n where n.order_id = p.order_id) and p.refund_reserved < p.amount
            and p.recorded_at < cast(:settled as timestamptz)
            and not exists (select from renewal_invoice i
                where i.payment_id = p.stripe_payment_intent and i.fate = 'kept')
            and not exists (select from finance_case c where c.order_id = p.order_id)""",
    ),
    Query(
        "I12",
        "money kept of a contract that was withdrawn from",
        "More of it stays than the withdrawal says, and nobody is asked to look.",
        f"""select o.name, paid.rest, w.kept from withdrawal w join {_ORDERS} o on o.id = w.order_id
            cross join lateral (select sum(p.amount - p.refund_reserved) as rest
                from payment p where p.order_id = o.name) paid
            where w.state = 'accepted' and paid.rest > w.kept
            and not exists (select from finance_case c where c.order_id = o.name)""",
    ),
    Query(
        "I12",
        "a right kept after all its money went back",
        "Everything that was paid for an order is refunded or on its way, and its right still counts.",
        f"""select s.order_id, s.state from subscription s join lateral (select sum(amount) as paid,
            sum(refund_reserved) as back from payment p where p.order_id = s.order_id) m on m.back >= m.paid
            where s.state in ({listed(LIVE)}) and s.until > cast(:at as timestamptz)""",
    ),
    Query(
        "I12",
        "a right taken back and nothing given for it",
        "It was withdrawn or refunded; nothing went back, and nobody is asked to look.",
        """select s.order_id, s.state from subscription s where s.state in ('withdrawn', 'refunded')
            and exists (select from payment p where p.order_id = s.order_id)
            and not exists (select from refund r where r.order_id = s.order_id)
            and not exists (select from finance_case c where c.order_id = s.order_id)""",
    ),
    Query(
        "I13",
        "more given back than paid",
        "The refunds of a payment exceed it, or what is set aside for them is not their sum.",
        f"""select p.order_id, p.amount, p.refund_reserved, coalesce(sum(r.amount), 0) as refunds from payment p
            left join refund r on r.payment_id = p.id and r.state not in ({listed(NOT_RESERVED)}) group by p.id
            having coalesce(sum(r.amount), 0) > p.amount or coalesce(sum(r.amount), 0) <> p.refund_reserved""",
    ),
    Query(
        "I13",
        "owed though a bank took it",
        "A refund failed, and people are asked to send what a lost dispute gave the buyer already.",
        f"""with refunds as (select payment_id, sum(amount) as amount, bool_or(state in ({listed(FINAL)})) as is_owed
                from refund where state <> 'waived' group by 1),
            taken as (select payment_id, sum(amount) as amount from dispute where state = 'lost' group by 1)
            select p.order_id, p.amount, refunds.amount as refunds, taken.amount as taken from payment p
            join refunds on refunds.payment_id = p.id join taken on taken.payment_id = p.id
            where refunds.is_owed and refunds.amount + taken.amount > p.amount""",
    ),
    Query(
        "I13",
        "two refunds of a payment for one reason",
        "A reason by which money goes back once gave it back twice.",
        f"""select payment_id, reason, count(*) as refunds from refund where state not in ({listed(NOT_RESERVED)})
            and reason in ({listed(("withdrawal", "duplicate", "late", "dispute"))})
            group by 1, 2 having count(*) > 1""",
    ),
    Query(
        "I14",
        "a call whose key is not its intent's",
        "The provider could take two calls for one, or one for two.",
        """select kind, target, attempt, key from provider_intent
            where key <> kind || '-' || target || '-' || attempt or request->>'key' is distinct from key""",
    ),
    Query(
        "I14",
        "a key that was sent when too old",
        "The provider had forgotten it by then, and may have made a second object.",
        f"""select kind, target, attempt from provider_intent
            where sent_at - created_at >= interval '{int(OLDEST_KEY.total_seconds())} seconds'""",
    ),
    Query(
        "I15",
        "a call whose outcome nobody knows",
        "It was sent, no answer came, and nobody has looked since. A page that nobody came back for is not meant.",
        """select i.kind, i.target, i.fault from provider_intent i where i.state = 'unknown'
            and i.kind <> 'checkout' and i.sent_at < cast(:settled as timestamptz)""",
    ),
    Query(
        "I15",
        "a second call while the first is unknown",
        "A further attempt for a target began before the outcome of the last was known.",
        """select a.kind, a.target, a.attempt from provider_intent a join provider_intent b
            on a.kind = b.kind and a.target = b.target and b.attempt > a.attempt where a.state in ('new', 'unknown')""",
    ),
    Query(
        "I16",
        "money that is not what was accepted",
        "A payment for season passes of another sum or currency than its order's.",
        f"""select o.name, o.total, p.amount, p.currency from {_ORDERS} o join payment p on p.order_id = o.name
            where (p.amount <> o.total or p.currency <> o.currency) and not exists
            (select from subscription s where s.order_id = o.name and s.kind <> 'season_pass')
            and not exists (select from finance_case c where c.order_id = o.name)""",
    ),
    Query(
        "I16",
        "a page that asks for something else",
        "The provider was asked to charge another sum than its order's.",
        f"""select o.name, o.total, i.request->>'total' as asked from {_ORDERS} o
            join provider_intent i on i.target = o.name and i.kind = 'checkout'
            where (i.request->>'total')::bigint <> o.total or (i.request->>'unit_amount')::bigint <> o.unit_gross
            or i.request->>'currency' <> o.currency""",
    ),
)
