"""Letters told once, in time and truly; nothing that happened is left lying; erasure holds (I18–I24, I30)."""

from typing import Final

from billing.invariants.rules import Query, listed
from billing.notices.kinds import CROWDED
from billing.subscriptions.rules import ENTITLING

MESSAGES: Final = (
    Query(
        "I18",
        "a letter that may have gone out three times",
        "The mail server left us in doubt more than once, and it was sent again.",
        "select account, kind, about, doubts from letter where doubts > 1 and state <> 'parked'",
    ),
    Query(
        "I19",
        "a letter that waits though it is due",
        "Nobody sends letters, or this one cannot be sent.",
        f"""select account, kind, about, state, fault from letter where state = 'parked' or (state = 'planned'
            and due_at < cast(:settled as timestamptz)
            and (kind not in ({listed(CROWDED)}) or tries > 0))""",
    ),
    Query(
        "I19",
        "a day that was told of too late",
        "Somebody falls back to the basic version sooner after the letter than was promised.",
        """select t.id, t.reverts_on, l.handed_over_at from trial t join letter l on l.kind = 'trial_ending'
            and l.day = t.reverts_on and t.pupil = any(l.pupils) and l.state = 'handed_over'
            where t.bound_reason = 'told' and l.handed_over_at >= t.told_by""",
    ),
    Query(
        "I19",
        "letters to be planned for a trial that says otherwise",
        "They are planned for another day than the trial's, or nobody need be told any more.",
        """select t.id, u.tell_from, t.tell_from, t.bound_reason from trial_to_tell u join trial t on t.id = u.trial
            where u.tell_from <> t.tell_from or t.bound_at is not null or t.staff_since is not null""",
    ),
    Query(
        "I20",
        "told that the full version ends, and had paid",
        "A letter went out whose reason had gone ten minutes before or more.",
        f"""select l.account, l.day, s.pupil from letter l join subscription s on s.pupil = any(l.pupils)
            where l.kind in ({listed(CROWDED)}) and l.state = 'handed_over'
            and s.state in ({listed(ENTITLING)})
            and s.created_at < l.handed_over_at - interval '10 minutes' and s.since <= l.day and s.until > l.day""",
    ),
    Query(
        "I22",
        "an effect that was not performed",
        "Something happened, and what must follow from it has not.",
        """select id, kind, state, fault from outbox
            where state = 'parked' or (state = 'new' and due_at < cast(:settled as timestamptz))""",
    ),
    Query(
        "I24",
        "an event of Stripe's that nobody handled",
        "It waits though it is due, or was put aside for people.",
        """select id, type, state, note from stripe_event
            where state = 'parked' or (state = 'new' and due_at < cast(:settled as timestamptz))""",
    ),
    Query(
        "I30",
        "an erased person whose name stands somewhere",
        "An account was erased, has not come back, and something still names it.",
        """select a.subject as account, found.place from audit a cross join lateral (
                select 'orders' as place from orders where account = a.subject
                union all select 'subscription' from subscription where account = a.subject
                union all select 'finance_case' from finance_case where account = a.subject
                union all select 'letter' from letter where account = a.subject
                union all select 'entitlement_link' from entitlement_link where account = a.subject
                union all select 'activation_link' from activation_link where account = a.subject) found
            where a.action = 'account.erased' and not exists (select from account where account.account = a.subject)""",
    ),
)
