"""Revenue by days: 4499 over 222 days ends at exactly 4499, and so does everything else (R114)."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger.spreading import Service, days_between, earned_by, first_of_next_month

DAY = timedelta(days=1)
PASS = Service(first_day=date(2026, 11, 21), last_day=date(2027, 6, 30))

nets = st.integers(0, 10_000_000)


def lasting(first: date, days: int) -> Service:
    return Service(first_day=first, last_day=first + timedelta(days=days))


services = st.builds(lasting, st.dates(date(2026, 1, 1), date(2030, 12, 31)), st.integers(0, 800))


def earned_on(net: int, service: Service, on: date) -> int:
    return earned_by(net, service, on) - earned_by(net, service, on - DAY)


def test_r114_a_pass_of_222_days_for_4499_is_earned_to_the_grosz() -> None:
    assert PASS.days == 222
    days = [earned_on(4499, PASS, on) for on in days_between(PASS.first_day, PASS.last_day)]
    assert sum(days) == 4499
    assert set(days) == {20, 21}, "4499 over 222 is 20.27 a day"
    assert earned_by(4499, PASS, PASS.last_day - DAY) < 4499 == earned_by(4499, PASS, PASS.last_day)


@given(nets, services)
def test_r114_the_days_of_any_service_sum_to_its_price_and_none_is_off_by_a_grosz(net: int, service: Service) -> None:
    days = list(days_between(service.first_day, service.last_day))
    earned = [earned_on(net, service, on) for on in days]
    assert sum(earned) == net
    assert max(earned) - min(earned) <= 1
    assert earned_by(net, service, service.first_day - DAY) == 0
    assert earned_by(net, service, service.last_day + 1000 * DAY) == net
    for passed, on in enumerate(days, start=1):
        assert abs(earned_by(net, service, on) * service.days - net * passed) * 2 <= service.days, "half a grosz"


@given(nets, services, st.data())
def test_r114_an_early_end_earns_at_once_what_is_kept(net: int, service: Service, data: st.DataObject) -> None:
    ended = service.first_day + timedelta(days=data.draw(st.integers(0, service.days)))
    kept = data.draw(st.integers(0, net))
    early = Service(first_day=service.first_day, last_day=service.last_day, ended_on=ended)
    before = earned_by(net, service, ended - DAY)
    after = [earned_by(kept, early, ended + timedelta(days=more)) for more in range(3)]
    assert after == [kept, kept, kept]
    assert before + (kept - before) == kept
    if ended < service.last_day:
        assert earned_by(net, early, ended - DAY) == before, "the past is not rewritten"


@pytest.mark.parametrize(
    ("on", "first"),
    [
        (date(2026, 12, 31), date(2027, 1, 1)),
        (date(2028, 1, 31), date(2028, 2, 1)),
        (date(2026, 9, 1), date(2026, 10, 1)),
    ],
)
def test_the_first_of_the_month_after(on: date, first: date) -> None:
    assert first_of_next_month(on) == first
