"""How a renewing subscription stands, what becomes of its money, whether it may be charged again (R63–R68). Pure."""
# ruff: noqa: DTZ001 - Hypothesis takes naive bounds and a zone apart

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.checkout.rules import methods_for
from billing.kernel.days import day_of
from billing.payments.gateway_renewals import InvoiceFacts
from billing.subscriptions import renewing_rules as rules
from billing.subscriptions.renewing_rules import Charge, Consent, Invoice, Terms, Told
from billing.subscriptions.rules import OVER, can_be_changed, will_renew

START = datetime(2026, 9, 1, 8, tzinfo=UTC)
ENDS = [datetime(2026, month, 1, 8, tzinfo=UTC) for month in (9, 10, 11, 12)]
DAY = timedelta(days=1)


def invoice(number: int = 0, **changes: Any) -> Invoice:
    made = Invoice(
        invoice_id=f"in_{number}", state="paid", reason="subscription_cycle" if number else "subscription_create",
        amount=599, quantity=1, covers_from=ENDS[number], covers_until=ENDS[number + 1], attempts=1,
        next_attempt_at=None, made_at=ENDS[number], fate="kept",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def terms(**changes: Any) -> Terms:
    made = Terms(state="active", unit_gross=599, quantity=1, grace_days=7, period_end=ENDS[1])
    return msgspec.structs.replace(made, **changes)


OWED = invoice(1, state="open", fate=None)


def test_paid_it_is_active_to_its_end_and_then_left_on_for_the_days_of_grace() -> None:
    stands = rules.stand(terms(), [invoice()], START)
    assert (stands.state, stands.period_end, str(stands.grace_on)) == ("active", ENDS[1], "2026-10-08")
    assert stands.grace_until == datetime(2026, 10, 7, 22, tzinfo=UTC) == stands.lapses_at


@pytest.mark.parametrize(
    ("changes", "invoices", "after", "state"),
    [
        ({}, [invoice()], ENDS[1], "active"),
        ({}, [invoice(), OWED], ENDS[1], "past_due"),
        ({}, [invoice(), OWED], ENDS[1] + 8 * DAY, "ended"),
        ({}, [invoice(), invoice(1)], ENDS[1] + 8 * DAY, "active"),
        ({"is_renewal_on": False, "off_reason": "asked", "off_at": START}, [invoice()], ENDS[1], "ended"),
        ({"is_renewal_on": False, "off_reason": "payment_failed", "off_at": START},
         [invoice(), OWED], ENDS[1], "past_due"),
        ({"is_paused": True, "paused_at": START}, [invoice()], ENDS[1], "paused"),
        ({"state": "paused"}, [invoice()], ENDS[3], "paused"),
        ({"state": "paused", "is_renewal_on": False, "off_reason": "asked", "off_at": ENDS[2]}, [invoice()], ENDS[3],
         "ended"),
        ({"state": "new", "period_end": None}, [], ENDS[3], "new"),
        *(({"state": over}, [invoice(), invoice(1)], START, over) for over in OVER),
    ],
)  # fmt: skip
def test_the_state_follows_from_what_is_paid_what_is_wanted_and_the_instant(
    changes: dict[str, Any], invoices: list[Invoice], after: datetime, state: str
) -> None:
    assert rules.stand(terms(**changes), invoices, after).state == state


@pytest.mark.parametrize(
    ("changes", "told", "captured", "fate"),
    [
        ({"state": "new", "period_end": None}, invoice(fate=None), START, "kept"),
        ({"state": "new", "period_end": None, "has_buyer": False}, invoice(fate=None), START, "late"),
        ({"state": "new", "period_end": None}, invoice(fate=None, amount=600), START, "late"),
        ({}, invoice(1, fate=None), ENDS[1], "kept"),
        ({}, invoice(1, fate=None, amount=600), ENDS[1], "late"),
        ({}, invoice(fate=None, reason="subscription_cycle"), START, "duplicate"),
        ({"is_renewal_on": False, "off_reason": "asked", "off_at": START}, invoice(1, fate=None), ENDS[1], "late"),
        ({"is_renewal_on": False, "off_reason": "asked", "off_at": ENDS[1] + DAY},
         invoice(1, fate=None), ENDS[1], "kept"),
        ({"is_paused": True, "paused_at": START}, invoice(1, fate=None), ENDS[1], "late"),
        *(({"state": over}, invoice(1, fate=None), ENDS[1], "late") for over in OVER),
    ],
)  # fmt: skip
def test_r57_i04_money_buys_its_period_or_goes_back(
    changes: dict[str, Any], told: Invoice, captured: datetime, fate: str
) -> None:
    assert rules.fate_of(told, captured, terms(**changes), is_clear=True, agreed_change=None) == fate


def test_r65_i12_a_charge_that_was_not_cleared_goes_back() -> None:
    assert rules.fate_of(invoice(1, fate=None), ENDS[1], terms(), is_clear=False, agreed_change=None) == "late"


@pytest.mark.parametrize(("agreed", "fate"), [(321, "kept"), (320, "late"), (None, "late")])
def test_i16_a_change_is_paid_with_the_very_amount_that_was_shown(agreed: int | None, fate: str) -> None:
    change = invoice(1, fate=None, reason="subscription_update", amount=321)
    assert rules.fate_of(change, START + DAY, terms(), is_clear=True, agreed_change=agreed) == fate


# May it be charged again?

CHARGE = Charge(at=ENDS[1], unit_due=599, interval="month")
YES = Consent(unit_gross=599, interval="month")


def letter(days_before: int, *, days: int = 7, unit: int = 599, of: datetime = ENDS[1]) -> Told:
    return Told(charge_at=of, days=days, unit_gross=unit, handed_over_at=ENDS[1] - days_before * DAY)


@pytest.mark.parametrize(
    ("charge", "told", "consent", "blocker"),
    [
        (CHARGE, [letter(7)], YES, None),
        (CHARGE, [letter(8)], YES, None),
        (CHARGE, [letter(6)], YES, "no_notice"),
        (CHARGE, [], YES, "no_notice"),
        (CHARGE, [letter(30, days=30)], YES, "no_notice"),
        (CHARGE, [letter(8, unit=598)], YES, "no_notice"),
        (CHARGE, [letter(8, of=ENDS[2])], YES, "no_notice"),
        (CHARGE, [letter(4, days=0)], YES, None),
        (CHARGE, [letter(8)], None, "no_consent"),
        (CHARGE, [letter(8)], Consent(unit_gross=598, interval="month"), "no_consent"),
        (CHARGE, [letter(8)], Consent(unit_gross=600, interval="month"), None),
        (CHARGE, [letter(8)], Consent(unit_gross=5000, interval="year"), "no_consent"),
    ],
)
def test_r65_r66_no_charge_without_its_letter_and_its_consent(
    charge: Charge, told: list[Told], consent: Consent | None, blocker: str | None
) -> None:
    assert rules.may_charge(charge, told, consent, 7, ENDS[1] - 3 * DAY) == blocker


def test_r65_the_letter_counts_by_warsaw_days_also_over_the_change_of_the_clock() -> None:
    charge = Charge(at=datetime(2026, 10, 31, 23, 30, tzinfo=UTC), unit_due=599, interval="month")
    at_the_limit = datetime(2026, 10, 25, 22, 59, tzinfo=UTC)
    assert day_of(charge.at).day == 1
    for handed, blocker in ((at_the_limit, None), (at_the_limit + timedelta(minutes=1), "no_notice")):
        told = Told(charge_at=charge.at, days=7, unit_gross=599, handed_over_at=handed)
        assert rules.may_charge(charge, [told], YES, 7, charge.at) == blocker


def test_r68_blik_is_not_offered_for_more_than_a_mandate_allows() -> None:
    assert methods_for(("card", "blik"), 200_000, renews=True) == ("card", "blik")
    assert methods_for(("card", "blik"), 200_001, renews=True) == ("card",)
    assert methods_for(("card", "blik"), 200_001, renews=False) == ("card", "blik")


# Confluence

SPELLS: list[tuple[str, int]] = [("draft", 0), ("open", 0), ("open", 1), ("open", 2), ("paid", 3)]


def facts(state: Any, attempts: int) -> InvoiceFacts:
    return InvoiceFacts(
        invoice_id="in_1", state=state, reason="subscription_cycle", amount=599, currency="PLN", quantity=1,
        covers_from=ENDS[1], covers_until=ENDS[2], attempts=attempts, next_attempt_at=None, made_at=ENDS[1],
    )  # fmt: skip


def test_i01_an_invoice_told_of_in_every_order_ends_the_same() -> None:
    ends: set[Any] = set()
    for order in permutations(SPELLS):
        known: Invoice | None = None
        for state, attempts in (*order, order[0], order[-1]):
            known = rules.merged(known, facts(state, attempts))
        assert known is not None
        ends.add((known.state, known.attempts))
    assert ends == {("paid", 3)}


def test_i04_what_its_money_became_is_never_forgotten() -> None:
    known = rules.merged(None, facts("paid", 1))
    known = msgspec.structs.replace(known, fate="given_back")
    assert rules.merged(known, facts("open", 0)).fate == "given_back"


WHEN = st.datetimes(datetime(2026, 8, 1), datetime(2027, 2, 1), timezones=st.just(UTC))
INVOICES = st.lists(
    st.builds(
        invoice, st.integers(0, 2), state=st.sampled_from(["draft", "open", "paid", "void"]),
        fate=st.sampled_from(["kept", "given_back", None]), attempts=st.integers(0, 4),
    ).filter(lambda made: made.fate is None or made.state == "paid"),
    max_size=5,
)  # fmt: skip
WISHES = st.fixed_dictionaries(
    {"is_paused": st.booleans(), "grace_days": st.integers(0, 14), "state": st.sampled_from(["active", "past_due"])}
)


@given(INVOICES, WISHES, st.booleans(), WHEN, st.randoms())
def test_i01_the_standing_does_not_depend_on_the_order_of_what_is_known(
    known: list[Invoice], wishes: dict[str, Any], is_off: bool, at: datetime, chance: Any
) -> None:
    off = {"is_renewal_on": False, "off_reason": "asked", "off_at": START} if is_off else {}
    shuffled = known.copy()
    chance.shuffle(shuffled)
    assert rules.stand(terms(**wishes, **off), known, at) == rules.stand(terms(**wishes, **off), shuffled, at)


@given(INVOICES, WISHES, WHEN)
def test_i03_i05_it_lives_only_on_kept_money_and_its_grace(
    known: list[Invoice], wishes: dict[str, Any], at: datetime
) -> None:
    stands = rules.stand(terms(**wishes), known, at)
    kept = [each.covers_until for each in known if each.fate == "kept"]
    if not kept:
        assert stands.period_end is None
    elif stands.state in {"active", "past_due"}:
        assert at < max(kept) + timedelta(days=wishes["grace_days"])
    else:
        assert at >= max(kept)
        assert stands.state == ("paused" if wishes["is_paused"] else "ended")


@given(st.integers(0, 40), WHEN)
def test_i02_news_that_is_overdue_is_asked_for_within_six_hours(checks: int, at: datetime) -> None:
    late = rules.next_look("active", (at - DAY, at + 9 * DAY), checks, at)
    assert late is not None
    assert at < late <= at + timedelta(hours=6)
    assert rules.next_look("active", (at + DAY, at + 9 * DAY), checks, at) == at + DAY
    assert rules.next_look("ended", (at + DAY,), checks, at) is None


def test_pain_5_three_predicates_none_follows_from_another() -> None:
    assert will_renew("renewing", "past_due", is_renewal_on=True)
    assert not will_renew("renewing", "active", is_renewal_on=False)
    assert can_be_changed("renewing", "active", ENDS[1], START)
    assert not can_be_changed("season_pass", "active", ENDS[1], START)
