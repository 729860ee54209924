"""Rights: none without money, none twice, none that is over and still counts (I03–I05, I11)."""

from typing import Final

from billing.invariants.rules import Query, listed, with_names
from billing.subscriptions.rules import ENTITLING, LIVE, OVER

_RIGHTS = with_names("sub", "subscription")
_ORDERS = with_names("ord", "orders")
_TRIALS = with_names("trl", "trial")

RIGHTS: Final = (
    Query(
        "I03",
        "a right without money",
        "A season pass of an order that cost something and has no payment.",
        f"""select s.name, s.order_id from {_RIGHTS} s left join {_ORDERS} o on o.name = s.order_id
            where s.kind = 'season_pass' and coalesce(o.total, 1) > 0
            and not exists (select from payment p where p.order_id = s.order_id)""",
    ),
    Query(
        "I03",
        "a right that began before its money came",
        "A season pass that gives its features from an instant at which nothing of its order was paid yet.",
        f"""select s.name, s.since from {_RIGHTS} s
            join (select order_id, min(captured_at) as first from payment group by 1) p on p.order_id = s.order_id
            where s.kind = 'season_pass' and s.since < p.first""",
    ),
    Query(
        "I03",
        "a paid grant that no right stands behind",
        "The front desk gives features by a right that is not there, is another pupil's, or ends earlier.",
        f"""select g.origin, g.pupil from entitlement_grant g
            left join {_RIGHTS} s on s.name = g.origin and s.pupil = g.pupil
            where g.source = 'paid' and (s.id is null or (s.kind = 'season_pass' and g.since < g.until
            and (g.since < s.since or g.until is null or g.until > s.until)))""",
    ),
    Query(
        "I04",
        "a right that is over and still gives",
        "It was withdrawn, refunded or lost to a dispute, and its features are given past that instant.",
        f"""select s.name, s.state, g.until from {_RIGHTS} s
            join entitlement_grant g on g.origin = s.name and g.since < coalesce(g.until, 'infinity')
            join audit a on a.subject = s.name and a.action like 'subscription.%' and a.after = s.state
            where s.state in ({listed(set(OVER) - {"ended"})}) and (g.until is null or g.until > a.at)""",
    ),
    Query(
        "I05",
        "a right in force whose grant says otherwise",
        "A season pass that counts, and the front desk gives nothing by it, or for another time.",
        f"""select s.name, s.state from {_RIGHTS} s where s.kind = 'season_pass' and s.state in ({listed(ENTITLING)})
            and (select array_agg((g.since, g.until)::text) from entitlement_grant g where g.origin = s.name)
            is distinct from array[(s.since, s.until)::text]""",
    ),
    Query(
        "I05",
        "a trial whose grant says otherwise",
        "The front desk would end a trial at another instant than the trial's own, or binds what nobody was told.",
        f"""select t.name, t.ends_at, g.until from {_TRIALS} t
            join entitlement_grant g on g.origin = t.name where t.pupil is not null
            and (g.until <> t.ends_at or g.bound <> (t.bound_at is not null))""",
    ),
    Query(
        "I11",
        "two paid rights at once",
        "A pupil has two rights of one product that overlap in time: somebody paid twice.",
        f"""select a.pupil, a.product from subscription a join subscription b on a.pupil = b.pupil and a.id < b.id
            and a.product = b.product and a.state in ({listed(LIVE)}) and b.state in ({listed(LIVE)})
            and tstzrange(a.since, a.until) && tstzrange(b.since, b.until)""",
    ),
    Query(
        "I11",
        "two paid grants at once",
        "The front desk gave a pupil the same feature twice over, by two paid rights, while both were there.",
        """select a.pupil, a.origin, b.origin as other from entitlement_grant a
            join entitlement_grant b on a.pupil = b.pupil and a.id < b.id and a.origin <> b.origin
            and a.source = 'paid' and b.source = 'paid' and a.features && b.features
            and tstzrange(a.since, a.until) * tstzrange(b.since, b.until)
            && tstzrange(greatest(a.created_at, b.created_at), null)""",
    ),
)
