"""From a TOML file to a catalogue that can be trusted: every fault is told, at once, a line each (R40, R50, R52)."""

import tomllib
from collections.abc import Iterator
from datetime import date
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final, cast, get_args, get_origin

import msgspec
from stdnum.pl import nip

from billing.catalog.rules import in_year, lowest_before, price_on
from billing.catalog.values import (
    BadCatalogue,
    Catalogue,
    OrderRules,
    Price,
    Product,
    RenewalRule,
    SeasonRule,
    TrialPolicy,
)

LEAST_PAYABLE: Final = 200
"""The provider takes no less than 2.00 zł; 0 is free and never reaches it (R50)."""

MOST_BY_MANDATE: Final = 200_000
"""What BLIK lets us charge again, each time, for all pupils together (R68)."""

LONGEST_STATEMENT: Final = 22
SHORTEST_STATEMENT: Final = 5
_FORBIDDEN_IN_STATEMENT: Final = frozenset("<>\\'\"*")
_LAST_HOUR: Final = 24
_SHORTEST_MONTH: Final = 28

BUTTONS: Final = MappingProxyType(
    {
        "pl": ("Zamawiam i płacę", "Zamówienie z obowiązkiem zapłaty"),
        "uk": ("Замовляю та плачу", "Замовлення із зобов’язанням оплати"),
        "en": ("Order and pay", "Order with obligation to pay"),
    }
)
"""Only these words on the button make a contract (R40)."""


def read(text: str) -> Catalogue:
    """The catalogue that a TOML text describes. Raises BadCatalogue naming everything wrong with it."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise BadCatalogue([f"not TOML: {fault}"]) from None
    if shape := list(_shape(raw, Catalogue, "")):
        raise BadCatalogue(shape)
    catalogue = msgspec.convert(raw, Catalogue)
    if sense := list(_sense(catalogue)):
        raise BadCatalogue(sense)
    return catalogue


def _shape(value: Any, wanted: Any, where: str) -> Iterator[str]:
    """What is missing, unknown or of the wrong kind, field by field."""
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        yield from _struct_shape(value, wanted, where)
    elif get_origin(wanted) is tuple and get_args(wanted)[-1] is Ellipsis and isinstance(value, list):
        for number, item in enumerate(cast("list[Any]", value)):
            yield from _shape(item, get_args(wanted)[0], f"{where}[{number}]")
    else:
        try:
            msgspec.convert(value, wanted)
        except msgspec.ValidationError as fault:
            yield f"{where}: {str(fault).split(' - at `', maxsplit=1)[0]}"


def _struct_shape(value: Any, wanted: type[msgspec.Struct], where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: Expected a table"
        return
    given = cast("dict[str, Any]", value)
    fields = {field.name: field for field in msgspec.structs.fields(wanted)}
    inside = f"{where}." if where else ""
    for name in given:
        if name not in fields:
            yield f"{inside}{name}: There is no such field"
    for name, field in fields.items():
        if name in given:
            yield from _shape(given[name], field.type, f"{inside}{name}")
        elif field.required:
            yield f"{inside}{name}: This field is required"


def _sense(catalogue: Catalogue) -> Iterator[str]:
    """What is well-formed and still cannot be meant."""
    yield from _twice("features", [feature.key for feature in catalogue.features])
    yield from _twice("products", [product.key for product in catalogue.products])
    yield from _season(catalogue.season)
    yield from _trial(catalogue.trial)
    yield from _order(catalogue.order)
    yield from _renewal(catalogue.renewal)
    if not nip.is_valid(catalogue.seller.nip):
        yield "seller.nip: not a valid NIP"
    for product in catalogue.products:
        yield from _product(product, catalogue)
    if not any(product.enabled and product.prices for product in catalogue.products):
        yield "products: nothing is on sale at any price"


def _twice(where: str, keys: list[str]) -> Iterator[str]:
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"{where}: {key} is there twice"


def _season(rule: SeasonRule) -> Iterator[str]:
    for name, day in (("ends", rule.ends), ("sales_close", rule.sales_close)):
        if in_year(day, 2027).strftime("%m-%d") != day:
            yield f"season.{name}: {day} is not a day of every year"
    if rule.sales_close > rule.ends:
        yield f"season.sales_close: {rule.sales_close} is later in the year than {rule.ends}, when the season ends"


def _trial(trial: TrialPolicy) -> Iterator[str]:
    if (trial.length_days is None) == (trial.common_end is None):
        yield "trial: give exactly one of length_days and common_end"
    first, last = trial.send_hours
    if not 0 <= first < last <= _LAST_HOUR:
        yield "trial.send_hours: the first hour must be before the last, within 0 to 24"
    if trial.length_days is not None and trial.length_days < trial.notice_days + trial.lead_days:
        yield "trial.length_days: shorter than notice_days and lead_days together"


def _order(order: OrderRules) -> Iterator[str]:
    for locale, allowed in BUTTONS.items():
        if order.button.in_(locale) not in allowed:
            yield f"order.button.{locale}: must be one of {', '.join(allowed)}"
    text = order.statement_text
    if not SHORTEST_STATEMENT <= len(text) <= LONGEST_STATEMENT or not text.isascii() or not text.isprintable():
        yield f"order.statement_text: {SHORTEST_STATEMENT} to {LONGEST_STATEMENT} plain characters"
    if _FORBIDDEN_IN_STATEMENT & set(text) or not any(letter.isalpha() for letter in text):
        yield "order.statement_text: needs a letter and none of < > \\ ' \" *"


def _renewal(rule: RenewalRule) -> Iterator[str]:
    for name, days in (("yearly", rule.yearly_notice_days), ("monthly", rule.monthly_notice_days)):
        where = f"renewal.{name}_notice_days"
        if not days:
            yield f"{where}: no charge may come unannounced, so give at least one"
        if sorted(set(days), reverse=True) != list(days):
            yield f"{where}: most days first, none twice"
    if any(days + rule.lead_days >= _SHORTEST_MONTH for days in rule.monthly_notice_days):
        yield (
            f"renewal.monthly_notice_days: with lead_days fewer than {_SHORTEST_MONTH}, "
            "or the letter is due before the charge that it comes after"
        )


def _product(product: Product, catalogue: Catalogue) -> Iterator[str]:
    where = f"products.{product.key}"
    if not product.features:
        yield f"{where}.features: grants nothing"
    yield from _twice(f"{where}.features", list(product.features))
    for key in product.features:
        if key not in catalogue.add_ons:
            yield f"{where}.features: {key} is no add-on of this catalogue"
    yield from _ways_to_pay(product, where)
    if product.kind == "renewing" and "blik" in product.methods:
        yield from _mandates(product, catalogue.renewal, where)
    if product.enabled and not product.prices:
        yield f"{where}.prices: on sale without a price"
    for number, price in enumerate(product.prices):
        yield from _price(product, price, f"{where}.prices[{number}]")
    yield from _overlaps(product, where)


def _ways_to_pay(product: Product, where: str) -> Iterator[str]:
    if not product.methods:
        yield f"{where}.methods: nobody could pay"
    yield from _twice(f"{where}.methods", list(product.methods))
    if product.kind == "renewing":
        if "p24" in product.methods:
            yield f"{where}.methods: p24 cannot be charged again, so it cannot pay for a renewing product"
        if product.interval is None:
            yield f"{where}.interval: a renewing product needs one"
    elif product.interval is not None:
        yield f"{where}.interval: only a renewing product has one"


def _mandates(product: Product, rule: RenewalRule, where: str) -> Iterator[str]:
    if not rule.blik_mandates:
        yield f"{where}.methods: blik can be charged again only with renewal.blik_mandates = true"
    for number, price in enumerate(product.prices):
        if price.gross > MOST_BY_MANDATE:
            yield f"{where}.prices[{number}].gross: a BLIK mandate allows at most {MOST_BY_MANDATE} grosz a charge"


def _price(product: Product, price: Price, where: str) -> Iterator[str]:
    if 0 < price.gross < LEAST_PAYABLE:
        yield f"{where}.gross: {price.gross} grosz is less than can be paid; 0, or at least {LEAST_PAYABLE}"
    if price.gross == 0 and product.kind == "renewing":
        yield f"{where}.gross: what costs nothing has nothing to renew; make it at least {LEAST_PAYABLE}"
    if price.valid_from >= price.valid_until:
        yield f"{where}: valid_until must be later than valid_from"
        return
    if (price.season is None) != (product.kind == "renewing"):
        yield f"{where}.season: needed for a season pass, and for nothing else"
    if price.season is not None and (int(price.season[:4]) + 1) % 100 != int(price.season[5:]):
        yield f"{where}.season: {price.season} is not two years in a row"
    if price.reduced:
        yield from _reduction(product, price, where)


def _reduction(product: Product, price: Price, where: str) -> Iterator[str]:
    before = price_on(product.prices, price.season, date.fromordinal(price.valid_from.toordinal() - 1))
    if lowest_before(product.prices, price.season, price.valid_from) is None or before is None:
        yield f"{where}: nothing was on sale the day before, so there is nothing to reduce"
    elif price.gross >= before.gross:
        yield f"{where}.gross: no reduction, the price the day before is {before.gross}"


def _overlaps(product: Product, where: str) -> Iterator[str]:
    for one, two in combinations(product.prices, 2):
        same = (one.season, one.reduced) == (two.season, two.reduced)
        if same and one.valid_from < two.valid_until and two.valid_from < one.valid_until:
            since = max(one.valid_from, two.valid_from)
            yield f"{where}.prices: two prices for {one.season or product.interval} hold from {since}"
