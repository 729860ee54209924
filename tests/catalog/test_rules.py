from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.rules import (
    AHEAD,
    feature_list,
    in_year,
    interval_end,
    lowest_before,
    offer_at,
    offer_digest,
    offer_on,
    offers_at,
    pass_end,
    price_on,
    priced_days,
    right_of,
    season_of,
    season_on_sale,
)
from billing.catalog.service import load
from billing.catalog.values import SalesClosed, SeasonRule, UnknownProduct
from billing.kernel.days import end_of, start_of
from tests.catalog.samples import MONTHLY, SEASON, price, priced

RULE = SeasonRule()
DAYS = st.dates(date(2024, 1, 1), date(2060, 12, 31))
MONTH_DAYS = st.dates(date(2025, 1, 1), date(2025, 12, 31)).map(lambda on: on.strftime("%m-%d"))


@pytest.mark.parametrize(
    ("bought", "ends", "days"),
    [
        (date(2026, 9, 1), date(2027, 6, 30), 303),
        (date(2027, 6, 30), date(2027, 6, 30), 1),
        (date(2027, 7, 1), date(2028, 6, 30), 366),
    ],
)
def test_r5_a_pass_ends_on_the_nearest_30_june(bought: date, ends: date, days: int) -> None:
    assert pass_end(bought, RULE) == ends
    assert (ends - bought).days + 1 == days


@given(DAYS, MONTH_DAYS)
def test_r5_a_pass_is_never_over_before_it_begins_and_never_longer_than_a_year(on: date, ends: str) -> None:
    rule = SeasonRule(ends=ends, sales_close=ends)
    last = pass_end(on, rule)
    assert on <= last <= on + timedelta(days=366)
    assert last == in_year(ends, last.year)
    assert pass_end(last, rule) == last
    assert pass_end(last + timedelta(days=1), rule) > last


@given(DAYS, MONTH_DAYS)
def test_seasons_follow_each_other_without_a_gap(on: date, ends: str) -> None:
    rule = SeasonRule(ends=ends, sales_close=ends)
    season = season_of(on, rule)
    assert season.first_day <= on <= season.last_day
    assert season_of(season.first_day, rule) == season_of(season.last_day, rule) == season
    assert season_of(season.last_day + timedelta(days=1), rule).first_day == season.last_day + timedelta(days=1)


@given(DAYS)
def test_r6_the_season_on_sale_is_the_running_one_or_the_next_and_never_goes_back(on: date) -> None:
    sold, tomorrow = season_on_sale(on, RULE), season_on_sale(on + timedelta(days=1), RULE)
    assert sold in {season_of(on, RULE), season_of(season_of(on, RULE).last_day + timedelta(days=1), RULE)}
    assert sold <= tomorrow
    assert sold.last_day >= on


@pytest.mark.parametrize(
    ("on", "label"),
    [
        (date(2026, 11, 22), "2026/27"),
        (date(2027, 5, 31), "2026/27"),
        (date(2027, 6, 1), "2027/28"),
        (date(2027, 6, 30), "2027/28"),
        (date(2027, 7, 1), "2027/28"),
    ],
)
def test_r6_sales_close_after_31_may_and_the_next_season_is_offered(on: date, label: str) -> None:
    assert season_on_sale(on, RULE).label == label


def test_r6_in_june_the_running_season_is_not_sold_and_the_offer_is_the_next_one() -> None:
    offer = offer_on(load(), None, date(2027, 6, 15))
    assert (offer.season, offer.first_day, offer.last_day) == ("2027/28", date(2027, 7, 1), date(2028, 6, 30))


def test_the_sample_offer_covers_the_day_of_purchase_to_30_june_for_44_99() -> None:
    offer = offer_at(load(), None, datetime(2026, 11, 22, 1, tzinfo=UTC))
    assert (offer.product, offer.season, offer.unit_gross, offer.vat_rate_percent) == (SEASON, "2026/27", 4499, 23)
    assert (offer.first_day, offer.last_day) == (date(2026, 11, 22), date(2027, 6, 30))
    assert offer.features == ("messages", "desk_view", "push_notifications", "homework")
    assert (offer.reduced, offer.lowest_30_days) == (False, None)


def test_a_right_begins_at_the_purchase_or_with_the_season_and_ends_at_midnight_in_warsaw() -> None:
    catalogue = load()
    now = datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
    assert right_of(offer_at(catalogue, None, now), now) == (now, datetime(2027, 6, 30, 22, tzinfo=UTC))
    june = datetime(2027, 6, 15, 8, tzinfo=UTC)
    assert right_of(offer_at(catalogue, None, june), june) == (
        datetime(2027, 6, 30, 22, tzinfo=UTC),
        datetime(2028, 6, 30, 22, tzinfo=UTC),
    )


def test_r7_the_price_changes_exactly_at_midnight_in_warsaw() -> None:
    change = date(2027, 1, 15)
    catalogue = priced(
        price(4499, date(2026, 6, 1), change),
        price(2499, change, date(2027, 6, 1)),
    )
    tick = timedelta(microseconds=1)
    assert offer_at(catalogue, SEASON, start_of(change) - tick).unit_gross == 4499
    assert offer_at(catalogue, SEASON, start_of(change)).unit_gross == 2499


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(200, 9999)), min_size=1, max_size=8),
    st.integers(0, 400),
)
def test_r7_every_day_has_the_price_of_its_own_window(windows: list[tuple[int, int]], day: int) -> None:
    start = date(2026, 7, 1)
    prices, since = [], start
    for length, gross in windows:
        until = since + timedelta(days=length)
        prices.append(price(gross, since, until))
        since = until
    on = start + timedelta(days=day)
    found = price_on(prices, "2026/27", on)
    if on >= since:
        assert found is None
    else:
        assert found is not None
        assert start_of(found.valid_from) <= start_of(on) < start_of(found.valid_until)
        assert end_of(on) <= start_of(found.valid_until)


def test_r83_a_reduction_shows_the_lowest_price_of_the_30_days_before_it_began() -> None:
    start = date(2026, 11, 20)
    catalogue = priced(
        price(4499, date(2026, 6, 1), date(2026, 10, 31)),
        price(3999, date(2026, 10, 31), date(2026, 11, 3)),
        price(4499, date(2026, 11, 3), date(2027, 6, 1)),
        price(3499, start, date(2026, 11, 30), reduced=True),
    )
    for on in (start, date(2026, 11, 29)):
        offer = offer_on(catalogue, SEASON, on)
        assert (offer.unit_gross, offer.reduced, offer.lowest_30_days) == (3499, True, 3999)
    after = offer_on(catalogue, SEASON, date(2026, 11, 30))
    assert (after.unit_gross, after.reduced, after.lowest_30_days) == (4499, False, None)


@pytest.mark.parametrize(("dip_ends", "shown"), [(date(2026, 10, 21), 4499), (date(2026, 10, 22), 3999)])
def test_r83_the_30_days_end_the_day_before_the_reduction_and_no_day_counts_twice(dip_ends: date, shown: int) -> None:
    prices = (
        price(3999, date(2026, 10, 1), dip_ends),
        price(4499, dip_ends, date(2027, 6, 1)),
    )
    assert lowest_before(prices, "2026/27", date(2026, 11, 20)) == shown


def test_r84_a_product_younger_than_30_days_shows_the_lowest_since_it_exists() -> None:
    prices = (price(4499, date(2026, 11, 10), date(2027, 6, 1)),)
    assert lowest_before(prices, "2026/27", date(2026, 11, 20)) == 4499
    assert lowest_before(prices, "2026/27", date(2026, 11, 10)) is None


def test_r63_a_product_that_is_off_cannot_be_offered() -> None:
    with pytest.raises(SalesClosed):
        offer_on(load(), MONTHLY, date(2026, 11, 22))
    assert [offer.product for offer in offers_at(load(), datetime(2026, 11, 22, tzinfo=UTC))] == [SEASON]


def test_a_renewing_product_is_offered_for_one_interval_when_it_is_on() -> None:
    monthly = price(599, date(2026, 6, 1), date(2028, 6, 1), season=None)
    offer = offer_on(priced(monthly, key=MONTHLY, enabled=True), MONTHLY, date(2027, 1, 31))
    assert (offer.kind, offer.interval) == ("renewing", "month")
    assert (offer.first_day, offer.last_day, offer.season) == (date(2027, 1, 31), date(2027, 2, 27), "2026/27")


@given(DAYS, st.sampled_from(["month", "year"]))
def test_an_interval_ends_after_it_begins_and_within_its_length(on: date, interval: str) -> None:
    length = (interval_end(on, interval) - on).days + 1
    assert 28 <= length <= 31 if interval == "month" else length in {365, 366}


def test_nothing_is_offered_on_a_day_without_a_price_or_under_an_unknown_key() -> None:
    with pytest.raises(SalesClosed):
        offer_on(load(), None, date(2031, 1, 1))
    with pytest.raises(UnknownProduct):
        offer_on(load(), "season-ticket", date(2026, 11, 22))
    assert offers_at(load(), datetime(2031, 1, 1, tzinfo=UTC)) == ()


def test_r85_what_was_shown_has_another_mark_when_anything_of_it_changes() -> None:
    offer = offer_on(load(), None, date(2026, 11, 22))
    dearer = offer_on(priced(price(4500, date(2026, 6, 1), date(2027, 6, 1))), None, date(2026, 11, 22))
    tomorrow = offer_on(load(), None, date(2026, 11, 23))
    marks = {offer_digest(offer, 1), offer_digest(offer, 2), offer_digest(dearer, 1), offer_digest(tomorrow, 1)}
    assert len(marks) == 4
    assert offer_digest(offer, 1) == offer_digest(offer_on(load(), None, date(2026, 11, 22)), 1)


def test_r8_the_front_desk_gets_its_features_from_the_catalogue() -> None:
    features = feature_list(load())
    assert features.basic == {"grades", "absences", "timeline", "timetable", "calendar", "multiaccount"}
    assert features.add_ons == {"messages", "desk_view", "push_notifications", "homework"}


@given(DAYS, st.integers(-5, 500))
def test_r7_so_many_days_ahead_have_a_price_and_the_next_has_none(on: date, days: int) -> None:
    last = on + timedelta(days=days)
    seasons = {season_on_sale(on + timedelta(days=ahead), RULE).label for ahead in range(AHEAD)}
    catalogue = priced(*(price(1000, date(2000, 1, 1), last, season=label) for label in seasons))
    assert priced_days(catalogue, on) == min(max(days, 0), AHEAD)


def test_r7_a_season_without_a_price_ends_what_is_priced_on_its_first_day_of_sale() -> None:
    catalogue = priced(price(1000, date(2026, 1, 1), date(2030, 1, 1), season="2026/27"))
    assert priced_days(catalogue, date(2027, 5, 30)) == 2, "from 1 June on the next season is for sale"
