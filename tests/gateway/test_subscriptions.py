"""Renewing subscriptions: begun at checkout, renewed by time, paused and ended by people."""

from datetime import UTC, datetime, timedelta

import pytest
import stripe

from billing.sandbox.stripe.periods import after
from tests.gateway.renewing import begin, instant, latest, line, live_until, read, span
from tests.gateway.world import START, World

HOUR = timedelta(hours=1)


async def test_a_subscription_begins_paid_with_its_period_on_the_item(world: World) -> None:
    subscription = await begin(world)
    assert (subscription.status, subscription.metadata.order) == ("active", "ord_1")
    assert span(subscription) == (START, START.replace(year=2027))
    assert "current_period_end" not in subscription.to_dict()
    invoice = await latest(world, subscription.id)
    assert (invoice.status, invoice.billing_reason, invoice.amount_paid) == ("paid", "subscription_create", 4499)
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.parent.subscription_details.metadata.order == "ord_1"
    assert instant(invoice.lines.data[0].period.end) == START.replace(year=2027)
    told = world.receiver.types
    order = ["customer.created", "customer.subscription.created", "invoice.paid", "invoice.payment_succeeded"]
    assert [name for name in told if name in order] == order
    assert told[-1] == "checkout.session.completed"


async def test_only_a_card_is_offered_and_a_refusal_makes_nothing(world: World) -> None:
    session = await world.session(mode="subscription", line_items=[line()])
    assert session.payment_method_types == ["card"]
    told = await world.control(f"sessions/{session.id}/pay", {"method": "card", "outcome": "declined"})
    assert (told["status"], told["subscription"]) == ("open", None)
    await world.control(f"sessions/{session.id}/pay", {"method": "card", "outcome": "pending"}, expect=400)


async def test_a_renewal_is_a_draft_for_an_hour_and_then_collected(world: World) -> None:
    subscription = await begin(world)
    assert world.standin.next_due() == START.replace(year=2027)
    await live_until(world, START.replace(year=2027))
    draft = await latest(world, subscription.id)
    assert (draft.status, draft.number, draft.auto_advance) == ("draft", None, True)
    assert instant(draft.next_payment_attempt) == START.replace(year=2027) + HOUR == world.standin.next_due()
    # The invoice's own period is the one over which it gathered; what is paid for stands on its line.
    assert instant(draft.period_end) == START.replace(year=2027)
    assert instant(draft.lines.data[0].period.end) == START.replace(year=2028)
    assert span(await read(world, subscription.id)) == (START.replace(year=2027), START.replace(year=2028))
    await live_until(world, START.replace(year=2027) + HOUR)
    paid = await latest(world, subscription.id)
    assert (paid.id, paid.status, paid.amount_paid, paid.attempt_count) == (draft.id, "paid", 4499, 1)
    assert instant(paid.status_transitions.paid_at) == START.replace(year=2027) + HOUR
    told = [name for name in world.receiver.types if name.startswith(("invoice.", "customer.subscription"))][-5:]
    assert told == [
        "invoice.created",
        "customer.subscription.updated",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


async def test_time_renews_it_on_the_same_day_each_year(world: World) -> None:
    subscription = await begin(world)
    await live_until(world, START.replace(year=2029) + HOUR)
    again = await read(world, subscription.id)
    assert (again.status, span(again)[1]) == ("active", START.replace(year=2030))
    invoices = await world.client.v1.invoices.list_async({"subscription": subscription.id, "status": "paid"})
    assert [row.billing_reason for row in invoices.data] == ["subscription_cycle"] * 3 + ["subscription_create"]


async def test_a_month_that_lacks_the_day_does_not_move_the_day(world: World) -> None:
    world.hands.at = datetime(2027, 1, 31, 10, tzinfo=UTC)
    subscription = await begin(world, line("month"))
    ends = [span(subscription)[1]]
    for _ in range(4):
        await live_until(world, ends[-1] + HOUR)
        ends.append(span(await read(world, subscription.id))[1])
    days = [(2, 28), (3, 31), (4, 30), (5, 31), (6, 30)]
    assert ends == [datetime(2027, month, day, 10, tzinfo=UTC) for month, day in days]


async def test_a_jump_over_a_year_lives_through_every_month_at_its_own_instant(world: World) -> None:
    subscription = await begin(world, line("month"))
    world.restart()
    world.hands.at = START.replace(year=2028)
    await world.standin.deliver_due()
    invoices = await world.client.v1.invoices.list_async({"subscription": subscription.id, "limit": 100})
    created = sorted(instant(row.created) for row in invoices.data)
    assert created == [instant(after(int(START.timestamp()), "month", count)) for count in range(25)]
    assert [row.status for row in invoices.data] == ["draft"] + ["paid"] * 24


async def test_turning_renewal_off_keeps_the_period_and_can_be_taken_back(world: World) -> None:
    subscription = await begin(world)
    change = world.client.v1.subscriptions.update_async
    off = await change(
        subscription.id, {"cancel_at_period_end": True, "cancellation_details": {"feedback": "too_expensive"}}
    )
    assert (off.status, instant(off.cancel_at)) == ("active", START.replace(year=2027))
    assert (off.cancellation_details.reason, off.cancellation_details.feedback) == (
        "cancellation_requested",
        "too_expensive",
    )
    on = await change(subscription.id, {"cancel_at_period_end": False})
    assert (on.cancel_at, on.canceled_at, on.cancellation_details.reason) == (None, None, None)
    await change(subscription.id, {"cancel_at_period_end": True})
    await live_until(world, START.replace(year=2027))
    assert world.receiver.types[-1] == "customer.subscription.deleted"
    ended = await read(world, subscription.id)
    assert (ended.status, instant(ended.ended_at), instant(ended.canceled_at)) == (
        "canceled",
        START.replace(year=2027),
        START,
    )
    assert (await world.client.v1.subscriptions.list_async()).data == []
    assert len((await world.client.v1.subscriptions.list_async({"status": "ended"})).data) == 1
    await live_until(world, START.replace(year=2029))
    assert len((await world.client.v1.invoices.list_async({"subscription": subscription.id})).data) == 1


async def test_an_end_may_be_set_for_any_day(world: World) -> None:
    subscription = await begin(world)
    at = START + timedelta(days=40)
    told = await world.client.v1.subscriptions.update_async(subscription.id, {"cancel_at": int(at.timestamp())})
    assert (told.cancel_at_period_end, instant(told.cancel_at)) == (False, at)
    await live_until(world, at)
    assert (await read(world, subscription.id)).status == "canceled"
    other = await begin(world)
    with pytest.raises(stripe.InvalidRequestError, match="in the future"):
        await world.client.v1.subscriptions.update_async(other.id, {"cancel_at": 1})


async def test_ending_it_now_ends_it_once(world: World) -> None:
    subscription = await begin(world)
    assert (await world.client.v1.subscriptions.cancel_async(subscription.id)).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        await world.client.v1.subscriptions.cancel_async(subscription.id)


async def test_paused_collection_voids_what_would_be_collected_until_it_is_resumed(world: World) -> None:
    subscription = await begin(world, line("month"))
    resumes = START + timedelta(days=45)
    paused = await world.client.v1.subscriptions.update_async(
        subscription.id, {"pause_collection": {"behavior": "void", "resumes_at": int(resumes.timestamp())}}
    )
    assert (paused.status, paused.pause_collection.behavior) == ("active", "void")
    await live_until(world, START + timedelta(days=32))
    assert (await latest(world, subscription.id)).status == "void"
    await live_until(world, resumes)
    assert (await read(world, subscription.id)).pause_collection is None
    await live_until(world, START + timedelta(days=62, hours=1))
    assert (await latest(world, subscription.id)).status == "paid"
    await world.client.v1.subscriptions.update_async(subscription.id, {"pause_collection": {"behavior": "void"}})
    freed = await world.client.v1.subscriptions.update_async(subscription.id, {"pause_collection": ""})
    assert freed.pause_collection is None


async def test_a_paused_subscription_stands_still_and_begins_anew_when_resumed(world: World) -> None:
    subscription = await begin(world, line("month", 3000))
    await live_until(world, START + timedelta(days=15))
    paused = await world.client.v1.subscriptions.pause_async(subscription.id)
    assert (paused.status, paused.status_details.paused.subscription.type) == ("paused", "pause_requested")
    await live_until(world, START + timedelta(days=400))
    assert len((await world.client.v1.invoices.list_async({"subscription": subscription.id})).data) == 1
    resumed = await world.client.v1.subscriptions.resume_async(
        subscription.id, {"payment_behavior": "resume_on_payment_success"}
    )
    assert (resumed.status, span(resumed)[0]) == ("active", world.hands.at)
    # Half of thirty days was not used: 3000 less 1500.
    assert (await latest(world, subscription.id)).amount_paid == 1500
    await world.standin.deliver_due()
    assert {"customer.subscription.paused", "customer.subscription.resumed"} <= set(world.receiver.types)


async def test_the_portal_page_turns_renewal_off_and_on(world: World) -> None:
    subscription = await begin(world)
    portal = await world.client.v1.billing_portal.sessions.create_async(
        {"customer": subscription.customer, "return_url": "https://shop.example/account", "locale": "pl"}
    )
    page = await world.http.get(portal.url)
    assert "Wyłącz odnawianie" in page.text
    for action, off in (("cancel", True), ("resume", False)):
        answer = await world.http.post(portal.url, data={"subscription": subscription.id, "action": action})
        assert (answer.status_code, answer.headers["location"]) == (303, portal.url)
        now = await world.client.v1.subscriptions.retrieve_async(subscription.id)
        assert now.cancel_at_period_end is off


@pytest.mark.parametrize(
    ("start", "interval", "count", "end"),
    [
        ("2028-01-31T10:00", "month", 1, "2028-02-29T10:00"),
        ("2028-01-31T10:00", "month", 2, "2028-03-31T10:00"),
        ("2028-02-29T10:00", "year", 1, "2029-02-28T10:00"),
        ("2028-02-29T10:00", "year", 4, "2032-02-29T10:00"),
        ("2026-12-31T23:30", "month", 2, "2027-02-28T23:30"),
        ("2026-11-21T09:00", "week", 2, "2026-12-05T09:00"),
        ("2026-11-21T09:00", "day", 1, "2026-11-22T09:00"),
    ],
)
def test_periods_keep_the_day_of_the_anchor_where_the_month_has_it(
    start: str, interval: str, count: int, end: str
) -> None:
    first, last = (int(datetime.fromisoformat(f"{text}+00:00").timestamp()) for text in (start, end))
    assert after(first, interval, count) == last
