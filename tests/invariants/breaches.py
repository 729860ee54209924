"""For every query of the audit a breach that it must find: statements that bend a healthy database, guards set aside.

The healthy one: anna paid for p1 and p2, jan paid for p1 too and got it back, ewa paid for p3 and withdrew, ola's
payment for p4 is disputed, and p5 is on trial.
"""

from typing import Final

_RIGHT: Final = "(select id from subscription where pupil = 'p2')"
_ORDER: Final = "(select order_id from subscription where pupil = 'p2')"
_LETTER: Final = """insert into letter (id, account, kind, about, day, pupils, facts, state, due_at, is_paced, tries,
    doubts, created_at, handed_over_at, attachments) values (gen_random_uuid(), 'ela', 'trial_ending', 'planted', %s,
    '{%s}', '{}', %s, '2026-01-01T00:00Z', false, %s, %s, '2026-01-01T00:00Z', %s, '{}')"""
_REFUND: Final = """insert into refund select (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid(),
    'scope', 'planted', 'stripe_refund', 're_planted'))).* from refund r where reason = 'duplicate'"""

BREACHES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("a right without money", (f"delete from payment where order_id = {_ORDER}",)),
    ("a right that began before its money came", ("update payment set captured_at = captured_at + interval '1 day'",)),
    ("a paid grant that no right stands behind", ("update entitlement_grant set pupil = 'p9' where pupil = 'p2'",)),
    (
        "a right that is over and still gives",
        ("update entitlement_grant set until = '2027-06-30T22:00Z', end_reason = null where pupil = 'p3'",),
    ),
    ("a right in force whose grant says otherwise", ("delete from entitlement_grant where pupil = 'p2'",)),
    (
        "letters to be planned for a trial that says otherwise",
        ("update trial_to_tell set tell_from = tell_from + interval '1 day'",),
    ),
    (
        "a trial whose grant says otherwise",
        ("update entitlement_grant set until = until + interval '1 day' where source = 'trial' and pupil = 'p5'",),
    ),
    (
        "two paid rights at once",
        (
            "alter table subscription drop constraint subscription_no_overlap",
            "update subscription set pupil = 'p1' where pupil = 'p2'",
        ),
    ),
    (
        "two paid grants at once",
        (
            "update entitlement_grant set pupil = 'p1' where pupil = 'p2' and source = 'paid'",
            "update subscription set product = 'other', pupil = 'p1' where pupil = 'p2'",
        ),
    ),
    ("a posting that does not sum to zero", ("update ledger_line set amount = 1 where account = 'vat_output'",)),
    ("a guard that is off", ("alter table ledger_line disable trigger ledger_zero_sum",)),
    (
        "money that came and is not in the books",
        (f"delete from ledger_line where order_id = {_ORDER} and cause like 'payment:%'",),
    ),
    ("money that went back and is not in the books", ("delete from ledger_line where cause like 'refund_paid:%'",)),
    (
        "an order whose money in is not money out and kept",
        ("update ledger_line set amount = amount - 1 where account = 'refunds_payable' and amount > 0",),
    ),
    ("money that is neither right, refund nor case", (f"delete from subscription where id = {_RIGHT}",)),
    (
        "money of what renews that is neither period, refund nor case",
        (f"""insert into renewal (id, order_id, product, product_name, features, pupils, interval, unit_gross,
            grace_days, notice_days, currency, state, is_renewal_on, is_paused, revision, pushed, tries, checks,
            created_at) values (gen_random_uuid(), {_ORDER}, 'planted', 'planted', '{{}}', '{{}}', 'month', 599,
            3, 7, 'PLN', 'new', true, false, 0, 0, 0, 0, '2026-09-01T08:00Z')""",),
    ),
    (
        "money kept of a contract that was withdrawn from",
        ("""update payment set refund_reserved = 0
            where order_id = (select order_id from subscription where pupil = 'p3')""",),
    ),
    (
        "a right kept after all its money went back",
        (f"update payment set refund_reserved = amount where order_id = {_ORDER}",),
    ),
    ("a right taken back and nothing given for it", ("delete from refund where reason = 'withdrawal'",)),
    ("more given back than paid", ("update payment set refund_reserved = 0 where refund_reserved > 0",)),
    (
        "owed though a bank took it",
        (
            "update dispute set state = 'lost', closed_at = opened_at",
            """insert into refund (id, payment_id, order_id, reason, scope, amount, state, approved_by, created_at,
                due_at, tries, legal_due_on) select gen_random_uuid(), payment_id, order_id, 'goodwill', 'planted', 1,
                'failed', 'ewa', opened_at, opened_at, 1, '2026-12-01' from dispute""",
        ),
    ),
    ("two refunds of a payment for one reason", (_REFUND,)),
    ("a call whose key is not its intent's", ("update provider_intent set key = key || 'x' where kind = 'refund'",)),
    ("a key that was sent when too old", ("update provider_intent set sent_at = created_at + interval '23 hours'",)),
    (
        "a call whose outcome nobody knows",
        ("update provider_intent set state = 'unknown', provider_id = null where kind = 'refund'",),
    ),
    (
        "a second call while the first is unknown",
        (
            "update provider_intent set state = 'unknown', provider_id = null where kind = 'refund'",
            """insert into provider_intent (id, kind, target, attempt, key, request, state, tries, created_at)
                select gen_random_uuid(), kind, target, 2, key || '2', request, 'refused', 0, created_at
                from provider_intent where kind = 'refund'""",
        ),
    ),
    ("money that is not what was accepted", (f"update payment set amount = amount + 1 where order_id = {_ORDER}",)),
    (
        "a page that asks for something else",
        ("update provider_intent set request = request || '{\"total\": 1}' where kind = 'checkout'",),
    ),
    *(
        (f"{what} that went along no drawn edge", (f"update audit set before = 'nowhere' where action = '{action}'",))
        for what, action in (
            ("an order", "order.moved"),
            ("a right", "subscription.moved"),
            ("a refund", "refund.moved"),
            ("a case", "case.opened"),
            ("a dispute", "dispute.opened"),
            ("a withdrawal", "withdrawal.taken_in"),
        )
    ),
    (
        "a renewal that went along no drawn edge",
        ("""insert into audit (id, at, actor, action, subject, before, after, facts) values (gen_random_uuid(),
            '2026-09-01T08:00Z', 'system', 'renewal.moved', 'rnw_1', 'ended', 'active', '{}')""",),
    ),
    *(
        (f"{what} whose state the audit trail does not tell", (f"delete from audit where action = '{action}'",))
        for what, action in (
            ("an order", "order.moved"),
            ("a right", "subscription.begun"),
            ("a refund", "refund.moved"),
            ("a case", "case.opened"),
            ("a dispute", "dispute.opened"),
            ("a withdrawal", "withdrawal.taken_in"),
        )
    ),
    (
        "a thing that began twice",
        ("""insert into audit select (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid()))).*
            from audit a where action = 'order.made'""",),
    ),
    ("a paid order without its instant", ("update orders set paid_at = null",)),
    (
        "a letter that may have gone out three times",
        (_LETTER % ("'2026-10-01'", "p5", "'handed_over'", 1, 2, "'2026-09-01T08:00Z'"),),
    ),
    ("a letter that waits though it is due", (_LETTER % ("'2026-10-01'", "p5", "'planned'", 1, 0, "null"),)),
    (
        "a day that was told of too late",
        (
            "update trial set bound_at = told_by, bound_reason = 'told' where pupil = 'p5'",
            _LETTER % ("(select reverts_on from trial where pupil = 'p5')", "p5", "'handed_over'", 1, 0,
                       "(select told_by from trial where pupil = 'p5')"),
        ),
    ),
    (
        "told that the full version ends, and had paid",
        (_LETTER % ("'2026-10-01'", "p1", "'handed_over'", 1, 0, "'2026-09-20T08:00Z'"),),
    ),
    ("an effect that was not performed", ("update outbox set state = 'new', due_at = '2026-01-01T00:00Z'",)),
    ("an event of Stripe's that nobody handled", ("update stripe_event set state = 'parked'",)),
    (
        "an erased person whose name stands somewhere",
        (
            """insert into audit (id, at, actor, action, subject, facts) values (gen_random_uuid(), '2026-09-01T08:00Z',
                'system', 'account.erased', 'anna', '{}')""",
            "delete from account where account = 'anna'",
        ),
    ),
)  # fmt: skip
