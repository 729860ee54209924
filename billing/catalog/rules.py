"""What is on sale on a day, for which season, at what price. Pure; days are Warsaw days, money is grosz."""

import hashlib
from calendar import monthrange
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from billing.catalog.values import Catalogue, Offer, Price, Product, SalesClosed, SeasonRule
from billing.kernel.days import day_of, end_of, start_of
from entitlements.features import FeatureList

LOOK_BACK: Final = timedelta(days=30)
AHEAD: Final = 400
"""Days for which prices are looked for: more than a season."""
ENOUGH_PRICED: Final = 60
"""Fewer days with a price ahead are too few: the longest trial, and time to decide on a price."""
_ONE_DAY: Final = timedelta(days=1)


class Season(msgspec.Struct, frozen=True, order=True):
    """One season: `first_day` to `last_day`, both included, called after the years it begins and ends in."""

    first_day: date
    last_day: date

    @property
    def label(self) -> str:
        """`2026/27`."""
        return f"{self.first_day.year}/{self.last_day.year % 100:02d}"


def in_year(day: str, year: int) -> date:
    """The month-day `06-30` in a year; 29 February is the 28th in other years."""
    month, number = int(day[:2]), int(day[3:])
    return date(year, month, min(number, monthrange(year, month)[1]))


def pass_end(on: date, rule: SeasonRule) -> date:
    """The last day of a pass bought on a day: the nearest 30 June that is not past (R5)."""
    end = in_year(rule.ends, on.year)
    return end if on <= end else in_year(rule.ends, on.year + 1)


def season_of(on: date, rule: SeasonRule) -> Season:
    """The season a day belongs to."""
    last = pass_end(on, rule)
    return Season(in_year(rule.ends, last.year - 1) + _ONE_DAY, last)


def next_season(season: Season, rule: SeasonRule) -> Season:
    """The season after."""
    return season_of(season.last_day + _ONE_DAY, rule)


def season_on_sale(on: date, rule: SeasonRule) -> Season:
    """The season that is sold on a day: the running one up to and including the closing day, then the next (R6)."""
    season = season_of(on, rule)
    close = in_year(rule.sales_close, season.last_day.year)
    return season if on <= close else next_season(season, rule)


def default_product(catalogue: Catalogue) -> Product:
    """The season pass that is sold when nobody names a product. Raises SalesClosed."""
    for product in catalogue.products:
        if product.enabled and product.kind == "season_pass":
            return product
    raise SalesClosed("No season pass is on sale.")


def offer_on(catalogue: Catalogue, product_key: str | None, on: date) -> Offer:
    """What a purchase on a Warsaw day would be; no key means the default season pass.

    While the running season is closed it is the next one, whose pass begins on its first day (R6). The price is the
    one in force on that day (R7). Raises UnknownProduct, or SalesClosed when the product is off or has no price then.
    """
    product = default_product(catalogue) if product_key is None else catalogue.product(product_key)
    if not product.enabled:
        raise SalesClosed("This product is not on sale.", product=product.key)
    if product.kind == "season_pass":
        season = season_on_sale(on, catalogue.season)
        first, last, wanted = max(on, season.first_day), season.last_day, season.label
    else:
        season, wanted = season_of(on, catalogue.season), None
        first, last = on, interval_end(on, product.interval or "month")
    price = price_on(product.prices, wanted, on)
    if price is None:
        raise SalesClosed("Nothing is sold at a price today.", product=product.key, season=season.label)
    return Offer(
        product=product.key,
        kind=product.kind,
        names=product.names,
        features=product.features,
        methods=product.methods,
        season=season.label,
        first_day=first,
        last_day=last,
        unit_gross=price.gross,
        vat_rate_percent=price.vat_rate_percent,
        vat_method=catalogue.order.vat_method,
        currency=price.currency,
        price_key=price_key(product, price),
        reduced=price.reduced,
        lowest_30_days=lowest_before(product.prices, wanted, price.valid_from) if price.reduced else None,
        interval=product.interval,
        catalogue_version=catalogue.version,
    )


def offer_at(catalogue: Catalogue, product_key: str | None, at: datetime) -> Offer:
    """`offer_on` the Warsaw day of an instant; a new price holds from 00:00 exactly (R7)."""
    return offer_on(catalogue, product_key, day_of(at))


def offers_at(catalogue: Catalogue, at: datetime) -> tuple[Offer, ...]:
    """Everything that can be bought at an instant, in the order of the file."""
    found: list[Offer] = []
    for product in catalogue.products:
        try:
            found.append(offer_at(catalogue, product.key, at))
        except SalesClosed:
            continue
    return tuple(found)


def priced_days(catalogue: Catalogue, on: date) -> int:
    """For how many days from a Warsaw day on the season pass has a price on each of them, as far as is looked ahead.
    Trials that end later can tell nobody what the full version costs."""
    for ahead in range(AHEAD):
        try:
            offer_on(catalogue, None, on + ahead * _ONE_DAY)
        except SalesClosed:
            return ahead
    return AHEAD


def choices_at(catalogue: Catalogue, at: datetime) -> tuple[Offer, ...]:
    """What one link lets its holder choose from: the season pass first, then what renews (R63)."""
    found = offers_at(catalogue, at)
    passes = [offer for offer in found if offer.kind == "season_pass"]
    return (*passes[:1], *(offer for offer in found if offer.kind == "renewing"))


def right_of(offer: Offer, at: datetime) -> tuple[datetime, datetime]:
    """The half-open right [since, until) of an offer bought at an instant: at once, or when the season begins."""
    return max(at, start_of(offer.first_day)), end_of(offer.last_day)


def offer_digest(offer: Offer, count: int) -> str:
    """A short mark of what was shown for `count` pupils: another price, rate, period or text is another mark (R85)."""
    return hashlib.sha256(msgspec.json.encode((offer, count))).hexdigest()[:32]


def price_on(prices: Iterable[Price], season: str | None, on: date) -> Price | None:
    """The price in force on a day; a reduction wins over the plain price beneath it."""
    holding = [price for price in prices if price.season == season and price.holds_on(on)]
    return min(holding, key=lambda price: not price.reduced, default=None)


def lowest_before(prices: Iterable[Price], season: str | None, start: date) -> int | None:
    """The lowest price of the 30 days that end the day before `start`; since it exists, where that is less
    (R83, R84); None where there was none."""
    known = tuple(prices)
    days = (start - timedelta(days=back) for back in range(1, LOOK_BACK.days + 1))
    return min((price.gross for on in days if (price := price_on(known, season, on))), default=None)


def price_key(product: Product, price: Price) -> str:
    """The name of a price in the provider's catalogue: the same content, the same name."""
    parts = (product.key, (price.season or product.interval or "once").replace("/", "-"), str(price.gross))
    return ".".join((*parts, price.currency.lower()))


def interval_end(on: date, interval: str) -> date:
    """The last day of a month or a year that begins on a day; the 31st becomes a shorter month's last."""
    months = on.month + (1 if interval == "month" else 12)
    year, month = on.year + (months - 1) // 12, (months - 1) % 12 + 1
    return date(year, month, min(on.day, monthrange(year, month)[1])) - _ONE_DAY


def feature_list(catalogue: Catalogue) -> FeatureList:
    """The features as the front desk knows them."""
    return FeatureList(basic=frozenset(catalogue.basic), add_ons=frozenset(catalogue.add_ons))
