"""Products and prices."""

from collections.abc import Mapping

from billing.sandbox.stripe.books import Books, new_id, public
from billing.sandbox.stripe.errors import Json, invalid, refused
from billing.sandbox.stripe.listing import of_kind, page
from billing.sandbox.stripe.operations import LIST, operation
from billing.sandbox.stripe.params import (
    boolean,
    choice,
    integer,
    listed,
    merge_metadata,
    metadata,
    nested,
    or_null,
    span,
    text,
)

_TEXTS = {"description": text(), "statement_descriptor": text(22), "tax_code": text(), "unit_label": text(12)}
_PRODUCT = {
    **_TEXTS,
    "name": text(),
    "active": boolean,
    "metadata": metadata,
    "images": listed(text(), 8),
    "marketing_features": listed(nested({"name": text()}, ("name",)), 15),
    "shippable": boolean,
    "url": text(),
}
_RECURRING = nested(
    {
        "interval": choice("day", "week", "month", "year"),
        "interval_count": integer(1, 156),
        "usage_type": choice("licensed"),
    },
    ("interval",),
)
_TAX_BEHAVIOUR = choice("exclusive", "inclusive", "unspecified")
PRICE_DATA = nested(
    {
        "currency": text(3),
        "product": text(),
        "product_data": nested(
            {"name": text(), "description": text(), "metadata": metadata, "tax_code": text()}, ("name",)
        ),
        "recurring": _RECURRING,
        "tax_behavior": _TAX_BEHAVIOUR,
        "unit_amount": integer(0, 99999999),
    },
    ("currency", "unit_amount"),
)
_PRICE = {
    "currency": text(3),
    "unit_amount": integer(0, 99999999),
    "product": text(),
    "product_data": nested(
        {
            "id": text(),
            "name": text(),
            "active": boolean,
            "metadata": metadata,
            "tax_code": text(),
            "unit_label": text(12),
        },
        ("name",),
    ),
    "active": boolean,
    "recurring": _RECURRING,
    "lookup_key": text(200),
    "transfer_lookup_key": boolean,
    "nickname": text(),
    "metadata": metadata,
    "tax_behavior": _TAX_BEHAVIOUR,
}


def build_product(books: Books, given: Json) -> Json:
    """A whole product; fields not given are null or empty."""
    product: Json = {
        "id": given.get("id") or new_id("prod", 14),
        "object": "product",
        "active": given.get("active", True),
        "created": books.stamp,
        "default_price": None,
        "description": None,
        "images": given.get("images", []),
        "livemode": False,
        "marketing_features": given.get("marketing_features", []),
        "metadata": merge_metadata({}, given.get("metadata")),
        "name": given["name"],
        "package_dimensions": None,
        "shippable": given.get("shippable"),
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": books.stamp,
        "url": or_null(given.get("url")),
    }
    product.update({name: or_null(given.get(name)) for name in _TEXTS})
    return product


def create_product(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/products."""
    if given.get("id") and books.store.get(given["id"]):
        raise refused("Product already exists.", code="resource_already_exists", param="id")
    product = books.save(build_product(books, given))
    books.emit("product.created", product)
    return public(product)


def update_product(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/products/{id}."""
    product = books.get(names["id"], "product")
    changes = {name: or_null(value) for name, value in given.items() if name not in ("expand", "metadata")}
    if given.get("default_price"):
        books.get(given["default_price"], "price", "default_price", in_path=False)
    changes["metadata"] = merge_metadata(product["metadata"], given.get("metadata"))
    previous = {name: product[name] for name, value in changes.items() if product.get(name) != value}
    product.update(changes)
    product["updated"] = books.stamp
    books.save(product)
    if previous:
        books.emit("product.updated", product, previous)
    return public(product)


def delete_product(books: Books, _: Json, names: Mapping[str, str]) -> Json:
    """DELETE /v1/products/{id}: only without prices."""
    product = books.get(names["id"], "product")
    if any(price["product"] == product["id"] for price in books.store.all_of("price")):
        raise refused("This product cannot be deleted because it has one or more user-created prices.")
    books.store.remove(product["id"])
    books.emit("product.deleted", product)
    return {"id": product["id"], "object": "product", "deleted": True}


def list_products(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/products."""
    found = of_kind("product").equal(given, "active").spans(given, "created").one_of("id", given.get("ids"))
    return page(books, found, "/v1/products", given)


def build_price(books: Books, given: Json, product: str) -> Json:
    """A whole price per unit, in minor units of its currency."""
    amount = int(given["unit_amount"])
    recurring: Json | None = given.get("recurring") or None
    if recurring is not None:
        recurring = {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "trial_period_days": None,
            "usage_type": recurring.get("usage_type", "licensed"),
        }
    return {
        "id": new_id("price"),
        "object": "price",
        "active": given.get("active", True),
        "billing_scheme": "per_unit",
        "created": books.stamp,
        "currency": str(given["currency"]).lower(),
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": or_null(given.get("lookup_key")),
        "metadata": merge_metadata({}, given.get("metadata")),
        "nickname": or_null(given.get("nickname")),
        "product": product,
        "recurring": recurring,
        "tax_behavior": given.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }


def price_from(books: Books, given: Json, param: str) -> Json:
    """The price that ``price_data`` describes, with its product made when only described; both are kept, inactive."""
    if given.get("product") and not given.get("product_data"):
        product = books.get(given["product"], "product", f"{param}[product]", in_path=False)
    elif given.get("product_data"):
        product = books.save(build_product(books, {**given["product_data"], "active": False}))
    else:
        raise invalid("You must specify either product or product_data", param=param)
    return books.save(build_price(books, {**given, "active": False}, product["id"]))


def create_price(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """POST /v1/prices."""
    if given.get("product"):
        product = books.get(given["product"], "product", "product", in_path=False)
    elif given.get("product_data"):
        product = books.save(build_product(books, given["product_data"]))
        books.emit("product.created", product)
    else:
        raise invalid("Missing required param: product.", code="parameter_missing", param="product")
    price = build_price(books, given, product["id"])
    _claim_lookup_key(books, price, transfer=bool(given.get("transfer_lookup_key")))
    books.save(price)
    books.emit("price.created", price)
    return public(price)


def _claim_lookup_key(books: Books, price: Json, *, transfer: bool) -> None:
    if price["lookup_key"] is None:
        return
    for other in books.store.all_of("price", "AND json_extract(body, '$.lookup_key') = ?", price["lookup_key"]):
        if other["id"] == price["id"]:
            continue
        if not transfer:
            message = f"A price (`{other['id']}`) already uses that lookup key."
            raise refused(message, code="resource_already_exists", param="lookup_key")
        other["lookup_key"] = None
        books.save(other)
        books.emit("price.updated", other, {"lookup_key": price["lookup_key"]})


def update_price(books: Books, given: Json, names: Mapping[str, str]) -> Json:
    """POST /v1/prices/{price}."""
    price = books.get(names["price"], "price", "price")
    changes = {
        name: or_null(given[name]) for name in ("active", "lookup_key", "nickname", "tax_behavior") if name in given
    }
    changes["metadata"] = merge_metadata(price["metadata"], given.get("metadata"))
    previous = {name: price[name] for name, value in changes.items() if price[name] != value}
    price.update(changes)
    _claim_lookup_key(books, price, transfer=bool(given.get("transfer_lookup_key")))
    books.save(price)
    if previous:
        books.emit("price.updated", price, previous)
    return public(price)


def list_prices(books: Books, given: Json, _: Mapping[str, str]) -> Json:
    """GET /v1/prices."""
    found = of_kind("price").equal(given, "active", "product", "currency", "type").spans(given, "created")
    found.one_of("json_extract(body, '$.lookup_key')", given.get("lookup_keys"))
    return page(books, found, "/v1/prices", given)


_FILTER = {**LIST, "active": boolean, "created": span}
OPERATIONS = [
    operation("POST", "/v1/products", create_product, {**_PRODUCT, "id": text()}, ("name",)),
    operation("GET", "/v1/products", list_products, {**_FILTER, "ids": listed(text())}),
    operation("GET", "/v1/products/{id}", lambda books, _, names: public(books.get(names["id"], "product"))),
    operation("POST", "/v1/products/{id}", update_product, {**_PRODUCT, "default_price": text()}),
    operation("DELETE", "/v1/products/{id}", delete_product),
    operation("POST", "/v1/prices", create_price, _PRICE, ("currency", "unit_amount")),
    operation(
        "GET",
        "/v1/prices",
        list_prices,
        {
            **_FILTER,
            "product": text(),
            "currency": text(3),
            "type": choice("one_time", "recurring"),
            "lookup_keys": listed(text(200), 10),
        },
    ),
    operation("GET", "/v1/prices/{price}", lambda books, _, names: public(books.get(names["price"], "price", "price"))),
    operation(
        "POST",
        "/v1/prices/{price}",
        update_price,
        {
            name: _PRICE[name]
            for name in ("active", "lookup_key", "transfer_lookup_key", "nickname", "metadata", "tax_behavior")
        },
    ),
]
