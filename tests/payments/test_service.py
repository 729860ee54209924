import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from billing.kernel.audit import AuditRow
from billing.kernel.db import Database
from billing.payments import refunds, service
from billing.payments.facts import PaymentFacts, RefundFacts
from billing.payments.rules import ForeignObject, OutcomeUnknown, Payment, Reason, Refund, RefundTooLarge
from billing.payments.tables import PaymentRow
from tests.payments.orders import ORDER, wanted

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)


def money(number: int = 1, **changes: Any) -> PaymentFacts:
    facts = PaymentFacts(
        payment_id=f"pi_{number}", charge_id=f"ch_{number}", amount=10000, amount_refunded=0, currency="PLN",
        method="blik", captured_at=AT, livemode=False,
    )  # fmt: skip
    return msgspec.structs.replace(facts, **changes)


async def paid(database: Database, number: int = 1) -> Payment:
    async with database.begin() as session:
        payment, is_new = await service.record_payment(session, ORDER, money(number), AT)
    assert is_new
    return payment


async def give_back(
    database: Database, payment: UUID, amount: int, reason: Reason = "goodwill", scope: str = ""
) -> tuple[Refund, bool]:
    async with database.begin() as session:
        return await refunds.reserve_refund(session, payment, amount, reason, "anna", AT, scope=scope)


def told(refund: Refund, state: Any, **changes: Any) -> RefundFacts:
    facts = RefundFacts(
        refund_id="re_1", state=state, payment_id=refund.payment_id, charge_id="ch_1", amount=refund.amount,
        currency="PLN", reference=refund.public_id, created_at=AT,
    )  # fmt: skip
    return msgspec.structs.replace(facts, **changes)


async def test_i14_an_intent_is_kept_before_the_call_with_the_whole_request_and_its_own_key(
    database: Database,
) -> None:
    async with database.begin() as session:
        intent = await service.reserve(session, "checkout", ORDER, wanted(key="", reference=""), AT)
    assert (intent.state, intent.attempt, intent.key) == ("new", 1, f"checkout-{ORDER}-1")
    assert intent.request["key"] == intent.key
    assert intent.request["reference"].startswith("int_")
    async with database.begin() as session:
        assert await service.reserve(session, "checkout", ORDER, wanted(total=1), AT) == intent
        assert await service.read_intent(session, intent.id) == intent


async def test_i15_eight_callers_at_once_share_one_intent(database: Database) -> None:
    async def one() -> UUID:
        async with database.begin() as session:
            return (await service.reserve(session, "checkout", ORDER, wanted(), AT)).id

    assert len(set(await asyncio.gather(*(one() for _ in range(8))))) == 1


async def test_a_refused_attempt_is_followed_by_another_with_another_key(database: Database) -> None:
    async with database.begin() as session:
        first = await service.reserve(session, "checkout", ORDER, wanted(), AT)
        await service.record_refused(session, first.id, "bad_price", AT)
        second = await service.reserve(session, "checkout", ORDER, wanted(), AT)
    assert (second.attempt, second.key) == (2, f"checkout-{ORDER}-2")
    assert second.request["reference"] != first.request["reference"]


async def test_a_done_intent_is_answered_until_a_further_object_is_asked_for(database: Database) -> None:
    async with database.begin() as session:
        first = await service.reserve(session, "checkout", ORDER, wanted(), AT)
        await service.record_done(session, first.id, "cs_1", AT)
        assert (await service.reserve(session, "checkout", ORDER, wanted(), AT)).provider_id == "cs_1"
        assert (await service.reserve(session, "checkout", ORDER, wanted(), AT, again=True)).attempt == 2
        with pytest.raises(OutcomeUnknown):
            await service.record_done(session, first.id, "cs_2", AT)


async def test_i15_the_database_itself_allows_one_open_intent_for_a_target(database: Database) -> None:
    async with database.begin() as session:
        await service.reserve(session, "checkout", ORDER, wanted(), AT)
    with pytest.raises(IntegrityError):
        async with database.begin() as session:
            await session.execute(
                text(
                    "INSERT INTO provider_intent (id, kind, target, attempt, key, request, state, tries, created_at) "
                    "VALUES (gen_random_uuid(), 'checkout', :order, 2, 'k', '{}', 'unknown', 0, now())"
                ),
                {"order": ORDER},
            )


async def test_s12_a_page_is_bound_by_its_stored_id_or_our_own_reference_and_by_nothing_else(
    database: Database,
) -> None:
    async with database.begin() as session:
        intent = await service.reserve(session, "checkout", ORDER, wanted(), AT)
        reference = intent.request["reference"]
        for stranger in (None, ORDER, "int_", "int_01kd0000000000000000000000", "ref_1", "\0"):
            assert await service.intent_of_checkout(session, "cs_1", stranger) is None
        found = await service.intent_of_checkout(session, "cs_1", reference)
        assert found is not None
        assert found.id == intent.id
        await service.record_done(session, intent.id, "cs_1", AT)
        known = await service.intent_of_checkout(session, "cs_1", None)
        assert known is not None
        assert known.id == intent.id
        with pytest.raises(ForeignObject):
            await service.intent_of_checkout(session, "cs_2", reference)


async def test_i12_a_payment_is_news_once_however_often_it_is_told(database: Database) -> None:
    payment = await paid(database)
    async with database.begin() as session:
        again, is_new = await service.record_payment(session, ORDER, money(amount_refunded=4000), AT)
    assert (again.id, is_new, again.amount_refunded) == (payment.id, False, 4000)
    async with database.begin() as session:
        back, _ = await service.record_payment(session, ORDER, money(amount_refunded=0), AT)
        assert back.amount_refunded == 4000
        assert len(await service.payments_of(session, ORDER)) == 1
        assert await service.find_payment(session, "ch_1") == back
        with pytest.raises(OutcomeUnknown):
            await service.record_payment(session, "ord_another", money(), AT)


async def test_i12_one_payment_told_by_eight_workers_at_once_is_one_payment(database: Database) -> None:
    async def one() -> bool:
        async with database.begin() as session:
            return (await service.record_payment(session, ORDER, money(), AT))[1]

    assert sorted(await asyncio.gather(*(one() for _ in range(8)))) == [False] * 7 + [True]


async def test_r77_of_20_refunds_of_60_percent_at_once_exactly_one_is_reserved(database: Database) -> None:
    payment = await paid(database)
    answers = await asyncio.gather(
        *(give_back(database, payment.id, 6000, scope=str(number)) for number in range(20)), return_exceptions=True
    )
    assert sum(isinstance(answer, tuple) for answer in answers) == 1
    assert sum(isinstance(answer, RefundTooLarge) for answer in answers) == 19


async def test_i13_one_order_has_one_refund_for_a_reason(database: Database) -> None:
    payment = await paid(database)
    first, is_new = await give_back(database, payment.id, 1000, "withdrawal")
    again, is_new_again = await give_back(database, payment.id, 2000, "withdrawal")
    assert (is_new, is_new_again, again) == (True, False, first)
    other, _ = await give_back(database, payment.id, 9000, "goodwill")
    assert other.amount == 9000
    with pytest.raises(RefundTooLarge):
        await give_back(database, payment.id, 1, "late")
    with pytest.raises(RefundTooLarge):
        await give_back(database, payment.id, 0, "late")


async def test_r77_the_database_itself_refuses_to_reserve_more_than_was_paid(database: Database) -> None:
    await paid(database)
    with pytest.raises(IntegrityError):
        async with database.begin() as session:
            await session.execute(update(PaymentRow).values(refund_reserved=10001))


async def test_r79_a_refund_needs_a_reason_of_the_list(database: Database) -> None:
    payment = await paid(database)
    with pytest.raises(IntegrityError):
        await give_back(database, payment.id, 100, "whim")  # pyright: ignore[reportArgumentType]


async def test_r75_a_refund_that_failed_frees_its_amount_and_leaves_a_trail(database: Database) -> None:
    payment = await paid(database)
    refund, _ = await give_back(database, payment.id, 10000)
    async with database.begin() as session:
        moved = await refunds.record_refund(session, told(refund, "pending"), AT)
        assert moved is not None
        assert moved[1]
        assert await refunds.record_refund(session, told(refund, "pending"), AT) == (moved[0], False)
        assert await refunds.record_refund(session, told(refund, "succeeded"), AT) is not None
        failed = await refunds.record_refund(session, told(refund, "failed", fault="expired_or_canceled_card"), AT)
        assert failed is not None
        assert (failed[0].state, failed[0].fault) == ("failed", "expired_or_canceled_card")
        late = await refunds.record_refund(session, told(refund, "succeeded"), AT)
        assert late is not None
        assert late[0].state == "failed"
        (left,) = await service.payments_of(session, ORDER)
        assert left.refundable == 10000
    async with database.begin() as session:
        trail = await session.scalars(select(AuditRow.after).where(AuditRow.subject == refund.public_id))
        assert sorted(word or "" for word in trail) == ["failed", "new", "pending", "succeeded"]


async def test_a_refund_the_provider_refuses_frees_its_amount_once(database: Database) -> None:
    payment = await paid(database)
    refund, _ = await give_back(database, payment.id, 10000)
    async with database.begin() as session:
        for _ in range(2):
            assert (
                await refunds.record_refund_refused(session, refund.id, "charge_not_refundable", AT)
            ).state == "failed"
        (left,) = await service.payments_of(session, ORDER)
        assert left.refundable == 10000


async def test_a_refund_that_is_not_ours_changes_nothing(database: Database) -> None:
    payment = await paid(database)
    refund, _ = await give_back(database, payment.id, 100)
    async with database.begin() as session:
        assert await refunds.record_refund(session, told(refund, "succeeded", reference=None), AT) is None
        assert await refunds.record_refund(session, told(refund, "succeeded", reference="42"), AT) is None
        await refunds.record_refund(session, told(refund, "succeeded"), AT)
        by_id = await refunds.record_refund(session, told(refund, "succeeded", reference=None), AT)
        assert by_id is not None
        assert by_id[0].id == refund.id


async def test_i15_a_send_is_counted_before_it_is_made_so_that_a_crash_leaves_it_unknown(database: Database) -> None:
    async with database.begin() as session:
        intent = await service.reserve(session, "checkout", ORDER, wanted(), AT)
        assert (await service.begin_try(session, intent.id, AT))[1] == "send"
    async with database.begin() as session:
        left, step = await service.begin_try(session, intent.id, AT + timedelta(seconds=5))
        assert (left.state, left.tries, step) == ("unknown", 2, "send")
        assert (await service.begin_try(session, intent.id, AT))[1] == "look_up"
        last = await service.last_of_kind(session, "checkout")
        assert last is not None
        assert last.id == intent.id
        assert await service.last_of_kind(session, "checkout", "done") is None
