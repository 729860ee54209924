"""The hand-over carries everything FA(3) needs, for each kind of buyer (R108)."""

from datetime import date
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from billing.invoices import documents
from billing.invoices.documents import Buyer, Corrected, InvoiceDocument, Item, Paid, Seller, ThirdParty, Totals

ADDRESS: dict[str, Any] = {"address_line_1": "ul. Prosta 1", "address_line_2": "00-001 Warszawa"}
CONSUMER = Buyer(kind="consumer", name="Anna Żółć", email="anna@example.pl", no_id=1, **ADDRESS)
COMPANY = Buyer(kind="company", name="Firma sp. z o.o.", nip="5260001246", **ADDRESS)
PERSON = Buyer(kind="private_person", name="Jan Kos, za radę rodziców", no_id=1, **ADDRESS)
TOWN = Buyer(kind="municipality", name="Gmina Przykładowo", nip="5260001246", jst=1, **ADDRESS)
SCHOOL = ThirdParty(role=8, name="Szkoła nr 5", internal_id="5260001246-00005", **ADDRESS)
CORRECTED = Corrected(number="FV/1", issued_on=date(2026, 12, 10), reason="zwrot zapłaty")

SCHEMA = jsonschema_rs.validator_for(msgspec.json.schema(InvoiceDocument))


def made(buyer: Buyer, *parties: ThirdParty, **changes: Any) -> InvoiceDocument:
    item = Item(
        name="Wersja pełna", unit="szt.", quantity=3, unit_gross=4499, gross=13497, net=10973, vat=2524,
        vat_rate_percent=23,
    )  # fmt: skip
    facts: dict[str, Any] = {
        "kind": "invoice", "request": "inv_1", "order": "ord_1", "order_number": "100001",
        "seller": Seller(nip="1111111111", name="Sprzedawca", address="ul. Zmyślona 1, 00-000 Przykładowo"),
        "buyer": buyer, "third_parties": parties, "sold_on": date(2026, 11, 21), "issue_by": date(2026, 12, 15),
        "vat_method": "per_document", "items": (item,), "totals": Totals(net=10973, vat=2524, gross=13497),
        "payment": Paid(paid_on=date(2026, 11, 21), form=7, payment="pi_1"),
    }  # fmt: skip
    return InvoiceDocument(**(facts | changes))


NOTHING = Item(name="x", unit="szt.", quantity=0, unit_gross=1, gross=0, net=0, vat=0, vat_rate_percent=23)


def lessened() -> dict[str, Any]:
    item = Item(
        name="Wersja pełna", unit="szt.", quantity=-1, unit_gross=1000, gross=-1000, net=-813, vat=-187,
        vat_rate_percent=23,
    )  # fmt: skip
    return {
        "kind": "correction", "items": (item,), "totals": Totals(net=-813, vat=-187, gross=-1000),
        "corrected": CORRECTED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (made(CONSUMER), {"no_id": 1, "nip": None, "jst": 2, "gv": 2}),
        (made(COMPANY), {"no_id": None, "nip": "5260001246", "jst": 2, "gv": 2}),
        (made(PERSON), {"no_id": 1, "nip": None, "jst": 2, "gv": 2}),
        (made(TOWN, SCHOOL), {"no_id": None, "nip": "5260001246", "jst": 1, "gv": 2}),
        (made(CONSUMER, **lessened()), {"no_id": 1}),
    ],
    ids=["consumer", "company", "private person", "municipality and school", "correction"],
)
def test_r108_a_document_for_each_buyer_fits_the_schema_and_says_who_that_is(
    document: InvoiceDocument, says: dict[str, Any]
) -> None:
    sent = msgspec.json.decode(msgspec.json.encode(document))
    SCHEMA.validate(sent)
    assert list(documents.faults(document)) == []
    assert {name: sent["buyer"][name] for name in says} == says
    assert sent["namespace"] == "http://crd.gov.pl/wzor/2025/06/25/13775/"
    assert sent["payment"]["paid"] == 1
    assert {"net", "vat", "gross", "quantity", "unit", "vat_rate_percent"} <= set(sent["items"][0])


def test_r108_the_school_behind_a_municipality_has_role_8_and_an_id_by_which_it_sees_the_invoice() -> None:
    sent = msgspec.json.decode(msgspec.json.encode(made(TOWN, SCHOOL)))
    assert [(party["role"], party["internal_id"]) for party in sent["third_parties"]] == [(8, "5260001246-00005")]


@pytest.mark.parametrize(
    "wrong",
    [
        made(msgspec.structs.replace(CONSUMER, no_id=None)),
        made(msgspec.structs.replace(COMPANY, no_id=1)),
        made(msgspec.structs.replace(COMPANY, nip=None, no_id=1)),
        made(msgspec.structs.replace(CONSUMER, nip="5260001246", no_id=None)),
        made(msgspec.structs.replace(COMPANY, nip="5260001247")),
        made(TOWN),
        made(COMPANY, SCHOOL),
        made(msgspec.structs.replace(TOWN, jst=2)),
        made(TOWN, msgspec.structs.replace(SCHOOL, internal_id=None)),
        made(CONSUMER, totals=Totals(net=10974, vat=2523, gross=13497)),
        made(CONSUMER, kind="correction"),
        made(CONSUMER, corrected=CORRECTED),
        made(CONSUMER, **(lessened() | {"kind": "invoice"})),
        made(CONSUMER, items=(), totals=Totals(net=0, vat=0, gross=0)),
        made(CONSUMER, **(lessened() | {"items": (NOTHING,), "totals": Totals(net=0, vat=0, gross=0)})),
    ],
)
def test_r108_what_fa3_would_not_take_is_named(wrong: InvoiceDocument) -> None:
    assert list(documents.faults(wrong))


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("buyer", "jst", 3),
        ("buyer", "gv", None),
        ("seller", "nip", "111"),
        ("buyer", "pesel", "1"),
        ("payment", "form", 1),
    ],
)
def test_r108_the_schema_refuses_what_cannot_be_written(part: str, field: str, value: object) -> None:
    sent = msgspec.json.decode(msgspec.json.encode(made(CONSUMER)))
    sent[part][field] = value
    assert not SCHEMA.is_valid(sent)
