"""For each order, what came in is what went out and what is kept, at any instant: as a query (R113).

It sets the books against the payments and refunds they are made of, so a fact that was not booked, or a booking of what
did not happen, is a row.
"""

from typing import Final

BROKEN_ORDERS: Final = """
with books as (
    select order_id,
        coalesce(sum(amount) filter (where account = 'stripe_clearing' and cause like 'payment:%'), 0) as came,
        coalesce(-sum(amount) filter (where account in ('vat_output', 'deferred_revenue', 'revenue')), 0) as kept,
        coalesce(-sum(amount) filter (where account = 'refunds_payable'), 0) as owed,
        coalesce(-sum(amount) filter (where account in ('stripe_clearing', 'bank')
            and (cause like 'refund_paid:%' or cause like 'refund_failed:%')), 0) as went
    from ledger_line where order_id is not null group by order_id
), money as (
    select order_id, sum(amount) as paid from payment group by order_id
), back as (
    select order_id,
        coalesce(sum(amount) filter (where state in ('succeeded', 'sent_by_bank')), 0) as gone,
        coalesce(sum(amount) filter (where state not in ('succeeded', 'sent_by_bank', 'waived')), 0) as waiting
    from refund group by order_id
)
select coalesce(books.order_id, money.order_id, back.order_id) as order_id, came, paid, kept, owed, waiting, went, gone
from books full join money on money.order_id = books.order_id
full join back on back.order_id = coalesce(books.order_id, money.order_id)
where coalesce(came, 0) <> coalesce(paid, 0)
    or coalesce(came, 0) <> coalesce(kept, 0) + coalesce(owed, 0) + coalesce(went, 0)
    or coalesce(owed, 0) <> coalesce(waiting, 0)
    or coalesce(went, 0) <> coalesce(gone, 0)
"""
"""`came` and `paid` are what was captured; `kept` what was not given back; `owed` and `waiting` what is on its way;
`went` and `gone` what has arrived. In grosz."""
