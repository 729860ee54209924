"""`GET /v1/catalog`: what is on sale now, for the app's backend to show."""

from datetime import date, datetime

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency

from billing.catalog.rules import offers_at
from billing.catalog.values import Catalogue, Feature, Names, Offer
from billing.kernel.money import Money, vat_included
from billing.kernel.web import known_query, problem_answers, requires


class FeatureView(msgspec.Struct, frozen=True, kw_only=True):
    """A feature: `basic` is free for ever, `add_on` needs a right in the mobile app."""

    object: str = "feature"
    feature: str
    kind: str
    names: Names


class ProductView(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it could be bought now; a pass covers `first_day` to `last_day`, both included.

    `price` is gross and `vat` the tax inside it; `lowest_30_days` is null unless the price is `reduced`.
    """

    object: str = "product"
    product: str
    kind: str
    names: Names
    features: tuple[str, ...]
    season: str
    first_day: date
    last_day: date
    renews: bool
    interval: str | None
    price: Money
    vat_rate_percent: int
    vat: Money
    reduced: bool
    lowest_30_days: Money | None
    payment_methods: tuple[str, ...]


class CatalogView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on sale at `as_of`, and every feature there is."""

    object: str = "catalog"
    version: str
    as_of: datetime
    products: tuple[ProductView, ...]
    features: tuple[FeatureView, ...]


@get(
    "/catalog",
    operation_id="readCatalog",
    summary="What is on sale now",
    responses=problem_answers(400, 401, 403, 429, 503),
)
async def read_catalog(catalogue: NamedDependency[Catalogue], at: NamedDependency[datetime]) -> CatalogView:
    """What is on sale now: products, the features each grants, prices, first and last day."""
    return CatalogView(
        version=catalogue.version,
        as_of=at,
        products=tuple(_product(offer) for offer in offers_at(catalogue, at)),
        features=tuple(_feature(feature) for feature in catalogue.features),
    )


def _product(offer: Offer) -> ProductView:
    gross = offer.unit_gross
    return ProductView(
        product=offer.product,
        kind=offer.kind,
        names=offer.names,
        features=offer.features,
        season=offer.season,
        first_day=offer.first_day,
        last_day=offer.last_day,
        renews=offer.kind == "renewing",
        interval=offer.interval,
        price=Money(gross, offer.currency),
        vat_rate_percent=offer.vat_rate_percent,
        vat=Money(vat_included(gross, offer.vat_rate_percent), offer.currency),
        reduced=offer.reduced,
        lowest_30_days=None if offer.lowest_30_days is None else Money(offer.lowest_30_days, offer.currency),
        payment_methods=offer.methods,
    )


def _feature(feature: Feature) -> FeatureView:
    return FeatureView(feature=feature.key, kind=feature.kind, names=feature.names)


catalog_router = Router(
    path="/v1",
    route_handlers=[read_catalog],
    guards=[requires("entitlements:read"), known_query],
    tags=["Catalogue"],
)
"""For callers with the scope `entitlements:read`."""
