"""Every call that could make a second object at the provider, under every fault (F27–F31, F35, I14).

The list is complete by construction: a method of the gateway's protocols that carries a key and has no row here fails,
and so does a caller in a place nobody knows of.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, get_type_hints

import msgspec
import pytest

from billing.payments.facts import OpenCheckout, OpenRefund, PriceFacts, ProductFacts, ProviderNotNow, ProviderUnknown
from billing.payments.gateway import Gateway
from billing.payments.gateway_renewals import ChangeRenewal, ItemPrice, Renewals, SetRenewal, SubscriptionFacts
from billing.payments.stripe_gateway import StripeGateway
from billing.sandbox.stripe import StripeStandIn, checkout_flow
from tests.architecture.sources import calls, python_files
from tests.gateway.world import Hands
from tests.histories.direct import Fault, Wire, books_of, gateway_to, standin_in_memory


class World(NamedTuple):
    """A gateway, and the books that it writes into."""

    gateway: StripeGateway
    wire: Wire
    standin: StripeStandIn
    hands: Hands

    def many(self, kind: str) -> int:
        return len(self.standin._store.all_of(kind))

    def told(self, event: str) -> int:
        return int(self.standin._store.one("SELECT count(*) FROM events WHERE type = ?", event)[0])


def checkout(world: World, key: str, **more: Any) -> OpenCheckout:
    return OpenCheckout(
        key=key, reference="int_1", order="ord_1", product_name="Mobilne dodatki", unit_amount=4499, quantity=1,
        total=4499, methods=("card",), success_url="https://shop.example/a", cancel_url="https://shop.example/b",
        locale="pl", expires_at=world.hands.now() + timedelta(hours=24), **more,
    )  # fmt: skip


async def paid(world: World, **more: Any) -> Any:
    """A page that was paid."""
    page = await world.gateway.open_checkout(checkout(world, "first", **more))
    with world.standin._store.transaction():
        books = books_of(world.standin)
        checkout_flow.pay(books, books.get(page.session_id, "checkout.session"), "card", "succeeded")
    return world.standin._store.get(page.session_id)


async def renewing(world: World) -> tuple[ItemPrice, SubscriptionFacts]:
    session = await paid(world, interval="year")
    facts = await world.gateway.renewals.read_subscription(session["subscription"])
    return msgspec.structs.replace(facts.price, quantity=2), facts


Prepare = Callable[[World], Awaitable[Any]]


@dataclass(frozen=True)
class Site:
    """One call: what must be there before, the call, what it makes, and whether making it twice could do harm."""

    prepare: Prepare
    call: Callable[[World, Any, str], Awaitable[Any]]
    made: Callable[[World], int]


async def nothing(world: World) -> None:
    return None


def _refund(world: World, session: Any, key: str) -> Awaitable[Any]:
    wanted = OpenRefund(key=key, reference="ref_1", payment_id=session["payment_intent"], amount=1000, order="ord_1")
    return world.gateway.refund(wanted)


def _set(world: World, found: Any, key: str) -> Awaitable[Any]:
    name = found[1].subscription_id
    return world.gateway.renewals.set_renewal(SetRenewal(key=key, reference="int_2", subscription_id=name, ends=True))


def _change(world: World, found: Any, key: str) -> ChangeRenewal:
    return ChangeRenewal(
        key=key, reference="int_2", subscription_id=found[1].subscription_id, price=found[0],
        prorated_at=found[1].period_start, amount=4499,
    )  # fmt: skip


SITES: dict[str, Site] = {
    "open_checkout": Site(
        nothing, lambda w, _, key: w.gateway.open_checkout(checkout(w, key)), lambda w: w.many("checkout.session")
    ),
    "expire_checkout": Site(
        lambda w: w.gateway.open_checkout(checkout(w, "first")),
        lambda w, page, key: w.gateway.expire_checkout(page.session_id, key),
        lambda w: w.told("checkout.session.expired"),
    ),
    "refund": Site(paid, _refund, lambda w: w.many("refund")),
    "put_product": Site(
        nothing,
        lambda w, _, key: w.gateway.put_product(ProductFacts(product="pass", name="Mobilne dodatki"), key),
        lambda w: w.many("product"),
    ),
    "put_price": Site(
        lambda w: w.gateway.put_product(ProductFacts(product="pass", name="Mobilne dodatki"), "first"),
        lambda w, _, key: w.gateway.put_price(
            PriceFacts(lookup_key="pass-2026", product="pass", unit_amount=4499, currency="PLN"), key
        ),
        lambda w: w.many("price"),
    ),
    "set_renewal": Site(
        renewing,
        _set,
        lambda w: sum(bool(s["cancel_at_period_end"]) for s in w.standin._store.all_of("subscription")),
    ),
    "change_renewal": Site(
        renewing,
        lambda w, found, key: w.gateway.renewals.change_renewal(_change(w, found, key)),
        lambda w: w.many("invoice") - 1,
    ),
    "preview_change": Site(
        renewing,
        lambda w, found, key: w.gateway.renewals.preview_change(_change(w, found, key)),
        lambda w: w.many("invoice"),
    ),
    "portal": Site(
        renewing,
        lambda w, found, key: w.gateway.renewals.portal(found[1].customer_id, "https://shop.example", "pl", key),
        lambda w: w.many("billing_portal.session"),
    ),
}
KNOWN = {
    "billing/payments/calls.py": {"open_checkout", "refund", "set_renewal", "change_renewal"},
    "billing/checkout/placing.py": {"expire_checkout"},
    "billing/catalog/push.py": {"put_product", "put_price"},
}
"""Who may make such a call: from `calls.py` under an intent, whose key is never sent when 23 hours old (F35); from the
others where doing it again changes nothing."""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    hands = Hands()
    standin = standin_in_memory(hands)
    gateway, wire = gateway_to(standin)
    yield World(gateway, wire, standin, hands)
    standin.close()


def keyed(protocol: type) -> set[str]:
    """The methods of a protocol that carry a key, by themselves or in what they are given."""
    found: set[str] = set()
    for name, method in inspect.getmembers(protocol, inspect.isfunction):
        hints = get_type_hints(method)
        hints.pop("return", None)
        if "key" in hints or any("key" in getattr(hint, "__struct_fields__", ()) for hint in hints.values()):
            found.add(name)
    return found


def test_every_call_that_carries_a_key_has_its_row() -> None:
    assert keyed(Gateway) | keyed(Renewals) == set(SITES)


def test_every_caller_is_known() -> None:
    lasting = set(SITES) - {"preview_change", "portal"}
    found: dict[str, set[str]] = {}
    for path in python_files():
        if str(path).startswith(("billing/payments/stripe_", "billing/sandbox")):
            continue
        for name, _ in calls(path):
            receiver, _, method = name.rpartition(".")
            if method in lasting and receiver.endswith(("gateway", "renewals")) and "services" not in receiver:
                found.setdefault(str(path), set()).add(method)
    assert found == KNOWN


def breaking(wire: Wire, fault: Fault) -> list[str]:
    """Let the next call that changes something break so; answers the keys of all such calls."""
    keys: list[str] = []

    def judge(method: str, path: str, key: str | None) -> Fault:
        if method != "POST":
            return "normal"
        keys.append(str(key))
        return fault if len(keys) == 1 else "normal"

    wire.faults = judge
    return keys


@pytest.mark.parametrize("name", sorted(SITES))
@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after"])
async def test_f27_f28_after_a_lost_answer_the_same_key_makes_it_once(world: World, name: str, fault: Fault) -> None:
    site = SITES[name]
    before = await site.prepare(world)
    keys = breaking(world.wire, fault)
    with pytest.raises(ProviderUnknown):
        await site.call(world, before, "key-1")
    assert site.made(world) <= 1
    await site.call(world, before, "key-1")
    assert site.made(world) == 1
    await site.call(world, before, "key-1")
    assert site.made(world) == 1
    # Bringing a product or price to what it should be may be done twice, and has no key of ours.
    assert set(keys) == {"key-1"} or name.startswith("put_"), "nothing is sent under another key"


@pytest.mark.parametrize("name", sorted(SITES))
async def test_f29_a_stored_500_is_answered_again_and_only_another_key_makes_it(world: World, name: str) -> None:
    site = SITES[name]
    before = await site.prepare(world)
    base = site.made(world)
    breaking(world.wire, "error_500")
    for _ in range(2):
        with pytest.raises(ProviderUnknown):
            await site.call(world, before, "key-1")
        assert site.made(world) == base
    await site.call(world, before, "key-2")
    assert site.made(world) == 1


@pytest.mark.parametrize("name", sorted(SITES))
@pytest.mark.parametrize("fault", ["rate_limit", "key_in_use"])
async def test_f30_too_many_calls_or_a_key_in_use_is_waited_for_and_made_once(
    world: World, name: str, fault: Fault
) -> None:
    site = SITES[name]
    before = await site.prepare(world)
    keys = breaking(world.wire, fault)
    await site.call(world, before, "key-1")
    assert (len(keys), site.made(world)) == (2, 1)


@pytest.mark.parametrize("name", sorted(SITES))
async def test_f31_a_key_of_ours_that_is_not_accepted_makes_nothing(world: World, name: str) -> None:
    site = SITES[name]
    before = await site.prepare(world)
    base = site.made(world)
    breaking(world.wire, "unauthorized")
    with pytest.raises(ProviderNotNow):
        await site.call(world, before, "key-1")
    assert site.made(world) == base
    await site.call(world, before, "key-1")
    assert site.made(world) == 1


@pytest.mark.parametrize("name", sorted({"expire_checkout", "put_product", "put_price", "set_renewal"}))
async def test_f35_what_is_called_without_an_intent_changes_nothing_again_after_its_key_is_forgotten(
    world: World, name: str
) -> None:
    site = SITES[name]
    before = await site.prepare(world)
    await site.call(world, before, "key-1")
    world.hands.pass_by(hours=25)
    await site.call(world, before, "key-1")
    assert site.made(world) == 1
