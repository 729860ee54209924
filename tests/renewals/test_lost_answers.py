"""Every call about what renews, its answer lost, refused or late: done once, whatever comes back (F27–F35, I14, I15).

Only the call that changes something breaks; what is read is sound, or a test would never reach the call it is about.
One family for each fault, in one house, so that each break is met by workers who have other things to do too.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe

from billing.checkout import changing
from billing.checkout.changing import Change, Yes
from billing.invariants import service as invariants
from billing.payments.facts import API_VERSION, ProviderError
from billing.subscriptions import consents, renewing
from tests.gateway.world import KEY
from tests.histories.direct import BASE, Fault, Wire
from tests.renewals.conftest import opened
from tests.renewals.house import RenewingHouse, catalogue_file
from tests.renewing.selling import YEARLY

FAULTS: tuple[tuple[str, Fault], ...] = (
    ("lost", "timeout_after"), ("never came", "timeout_before"), ("a fault that is kept", "error_500"),
    ("too many", "rate_limit"), ("key in use", "key_in_use"), ("lost for a day", "timeout_after"),
    ("never came, for a day", "timeout_before"),
)  # fmt: skip
AWAY = timedelta(hours=25)
YES = Yes(text_hash="y" * 64, version="2026-11", locale="pl")


class Line:
    """Between the product and Stripe: breaks the first call of each family that changes something."""

    def __init__(self, house: RenewingHouse) -> None:
        self.house = house
        self.wire = Wire(house.world.standin)
        self.wire.faults = self._judge
        gateway: Any = house.services.gateway
        gateway._stripe = stripe.StripeClient(
            KEY, stripe_version=API_VERSION, base_addresses={"api": BASE}, max_network_retries=0, http_client=self.wire
        )
        self.faults: dict[str, tuple[str, Fault]] = {}
        self.broken: Counter[str] = Counter()
        self.since = house.now

    def break_next(self, faults: dict[str, tuple[str, Fault]]) -> None:
        self.faults, self.since = faults, self.house.now
        self.broken.clear()

    def _judge(self, method: str, path: str, key: str | None) -> Fault:
        name = next((name for name in self.faults if name in path), None)
        if name is None:
            return "normal"
        how, fault = self.faults[name]
        if method in {"POST", "DELETE"} and self.broken[name] < (3 if fault in {"rate_limit", "key_in_use"} else 1):
            self.broken[name] += 1
            return fault
        is_away = how.endswith("for a day") and self.broken[name] and self.house.now < self.since + AWAY
        return "timeout_before" if is_away else "normal"


class Families:
    """One for each fault, subscribed; and what is true of all of them."""

    def __init__(self, house: RenewingHouse, line: Line) -> None:
        self.house = house
        self.line = line
        self.rows: list[Any] = []

    async def subscribe(self) -> None:
        for number in range(len(FAULTS)):
            await self.house.family(f"a{number}", f"p{number}", f"q{number}")
            await self.house.subscribe(f"a{number}", f"p{number}")
        self.rows = list(await self.house.rows("select id, provider_id, account from renewal order by id"))

    def break_next(self) -> None:
        self.line.break_next({row.provider_id: fault for row, fault in zip(self.rows, FAULTS, strict=True)})

    async def all_do(self, act: str) -> None:
        """Everybody clicks; every first call breaks; a day later all is as it was wanted."""
        before = self.told()
        self.break_next()
        for row in self.rows:
            await self.house.press(act, row.id)
        await self.come_true()
        assert self.told() - before == Counter({row.provider_id: 1 for row in self.rows}), act

    async def come_true(self) -> None:
        house = self.house
        for span in (timedelta(minutes=45), AWAY, timedelta(minutes=90)):
            await house.advance(house.now + span)
        assert set(self.line.broken) == {row.provider_id for row in self.rows}, "each call was broken"
        waits = await house.rows("select id from renewal where pushed <> revision or push_at is not null")
        assert waits == []
        await self.nothing_twice()

    def told(self) -> Counter[str]:
        """How often Stripe has changed each subscription, by its own events."""
        store, found = self.house.world.standin._store, Counter[str]()
        for (name,) in store.rows(
            "SELECT json_extract(body, '$.data.object.id') FROM events WHERE type IN "
            "('customer.subscription.updated', 'customer.subscription.deleted')"
        ):
            found[str(name)] += 1
        return found

    async def at_stripe(self) -> list[Any]:
        get = self.house.world.client.v1.subscriptions.retrieve_async
        return [await get(row.provider_id) for row in self.rows]

    async def nothing_twice(self) -> None:
        """I14, I15: one body for each key, none sent when old; no outcome that nobody knows; the books agree."""
        house, bodies, times = self.house, dict[str, set[str]](), dict[str, list[float]]()
        for method, path, form, key, at in house.world.standin._store.rows(
            "SELECT method, path, form, key, at FROM requests WHERE method <> 'GET' AND path LIKE '%v1%'"
        ):
            if key is not None:
                bodies.setdefault(key, set()).add(f"{method} {path} {form}")
                times.setdefault(key, []).append(float(at))
        assert [key for key, sent in bodies.items() if len(sent) > 1] == []
        assert [key for key, at in times.items() if max(at) - min(at) >= 23 * 3600] == []
        assert await house.rows("select target from provider_intent where state in ('new', 'unknown')") == []
        async with house.database.begin() as session:
            settled = house.now + timedelta(seconds=1)
            found = invariants.broken(await invariants.ask(session, house.now, settled=settled))
        assert {each.title: each.rows for each in found} == {}
        store = house.world.standin._store
        taken = sum(int(each["amount"]) for each in store.all_of("charge") if each["status"] == "succeeded")
        assert await house.one("select coalesce(sum(amount), 0) from payment") == taken
        assert len(store.all_of("subscription")) == await house.one("select count(*) from renewal")


@pytest.fixture
async def families(house: RenewingHouse) -> Families:
    made = Families(house, Line(house))
    await made.subscribe()
    return made


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_f27_f35_off_on_pause_and_resume_are_brought_to_stripe_once_each(families: Families) -> None:
    await families.all_do("turn_off")
    assert {each.cancel_at_period_end for each in await families.at_stripe()} == {True}
    await families.all_do("turn_on")
    assert {each.cancel_at_period_end for each in await families.at_stripe()} == {False}
    await families.all_do("pause")
    assert all(each.pause_collection for each in await families.at_stripe())
    await families.all_do("resume")
    assert not any(each.pause_collection for each in await families.at_stripe())
    assert len(families.house.world.standin._store.all_of("invoice")) == len(FAULTS)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_f27_f35_what_is_over_is_ended_at_stripe_once(families: Families) -> None:
    house, before = families.house, families.told()
    families.break_next()
    for charge in await house.rows("select stripe_charge from payment"):
        await house.world.control(f"charges/{charge.stripe_charge}/dispute", {"outcome": "lost"})
    await families.come_true()
    assert families.told() - before == Counter({row.provider_id: 1 for row in families.rows})
    assert {each.status for each in await families.at_stripe()} == {"canceled"}
    assert set(await house.rows("select state from renewal")) == {("disputed",)}


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_f27_f35_r66_a_price_agreed_to_is_set_at_stripe_once_and_charged(
    database_url: str, tmp_path: Path
) -> None:
    async with opened(database_url, tmp_path, catalogue_file(tmp_path, dearer_from="2026-10-01")) as house:
        families = Families(house, Line(house))
        await families.subscribe()
        await house.advance(datetime(2026, 9, 22, 12, tzinfo=UTC))
        for row in await house.rows("select id, order_id from renewal"):
            async with house.database.begin() as session:
                consents.agree(
                    session, order_id=row.order_id, unit_gross=600, interval="month", text_hash="c" * 64,
                    version="2026-11", locale="pl", channel="renewal_page", at=house.now,
                )  # fmt: skip
        await house.tell()
        await house.advance(datetime(2026, 9, 28, 7, 59, tzinfo=UTC))
        before = families.told()
        families.break_next()
        await families.come_true()
        assert families.told() - before == Counter({row.provider_id: 1 for row in families.rows})
        assert {each["items"].data[0].price.unit_amount for each in await families.at_stripe()} == {600}
        await house.advance(datetime(2026, 10, 1, 12, tzinfo=UTC))
        paid = Counter([row.amount for row in await house.rows("select amount from payment")])
        assert paid == Counter({599: len(FAULTS), 600: len(FAULTS)})


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ["pupil", "interval"])
async def test_f27_f35_i16_a_change_that_costs_money_is_made_and_charged_once_as_it_was_shown(
    families: Families, what: str
) -> None:
    house = families.house
    await house.advance(datetime(2026, 9, 11, 15, 7, 3, tzinfo=UTC))
    gateway, invoices = house.services.gateway, len(house.world.standin._store.all_of("invoice"))
    shown = []
    for number, row in enumerate(families.rows):
        change = Change(pupil=f"q{number}") if what == "pupil" else Change(product=YEARLY)
        name = renewing.renewal_id(await house.row(number))
        shown.append(await changing.preview(house.database, gateway, house.catalogue, name, change, house.now))
        assert row.provider_id
    families.break_next()
    for each in shown:
        with pytest.raises(ProviderError):
            await changing.make_change(house.database, gateway, each.key, house.now, YES)
    await families.come_true()
    # What surely had no effect within its key's life is not charged later by surprise: the buyer may look again.
    over = {"a fault that is kept", "never came, for a day"}
    made = [each for each, (how, _) in zip(shown, FAULTS, strict=True) if how not in over]
    for each in shown:
        end = await changing.make_change(house.database, gateway, each.key, house.now, YES)
        assert end == ("done" if each in made else "refused")
    assert len(house.world.standin._store.all_of("invoice")) - invoices == len(made)
    paid = Counter([row.amount for row in await house.rows("select amount from payment")])
    assert paid == Counter([each.amount for each in made] + [599] * len(FAULTS))
    assert await house.one("select count(*) from refund") == 0


@pytest.mark.parametrize(("how", "fault"), FAULTS)
async def test_f27_f35_the_page_that_begins_a_subscription_is_opened_once(
    house: RenewingHouse, how: str, fault: Fault
) -> None:
    families = Families(house, Line(house))
    await house.family("anna", "ola")
    token = await house.token("anna", "ola")
    families.line.break_next({"/v1/checkout/sessions": (how, fault)})
    with pytest.raises(ProviderError):
        await house.begin(token)
    url = ""
    for span in (timedelta(minutes=2), AWAY):
        await house.advance(house.now + span)
        try:
            url = await house.begin(token)
        except ProviderError:
            assert how.endswith("for a day")
    pages = [page for page in house.world.standin._store.all_of("checkout.session") if page["status"] == "open"]
    store = house.world.standin._store
    live = [page for page in store.all_of("checkout.session") if page["expires_at"] > house.now.timestamp()]
    assert len(live) <= 1
    assert len({page["client_reference_id"] for page in store.all_of("checkout.session")}) == len(
        store.all_of("checkout.session")
    )
    assert len(pages) >= len(live)
    await house.pay(url, "card")
    await house.settle()
    assert await house.states() == [("ola", "active")]
    assert len(house.world.standin._store.all_of("subscription")) == 1
    await house.advance(house.now + timedelta(hours=3))
    await families.nothing_twice()
