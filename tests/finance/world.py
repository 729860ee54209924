"""A small world for the staff to look at: two parents, a trial, a paid order with a refund, letters and events."""

from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.tables import AccountRow
from billing.activation.tables import ActivationLinkRow
from billing.cases import service as cases
from billing.catalog.service import load
from billing.checkout.tables import ConsentRow, OrderRow
from billing.finance.queries.sql import EVENT
from billing.kernel import audit, outbox
from billing.kernel.ids import new_id, public
from billing.kernel.tokens import token_hash
from billing.ledger import service as ledger
from billing.ledger.service import Sale
from billing.notices.tables import LetterRow
from billing.payments.tables import IntentRow, PaymentRow, RefundRow
from billing.subscriptions import service as subscriptions
from billing.subscriptions.service import Pass
from billing.trials import service as trials
from entitlements import service as desk
from webhooks.inbox import EventRow

CATALOGUE = load()
UNTIL = datetime.fromisoformat("2027-06-30T22:00:00+00:00")
HTML = "<html><head><style>p{color:#222}</style></head><body><p>Zażółć <b>gęślą</b></p></body></html>"
EVIL = "<script>alert(1)</script>"


class World(msgspec.Struct, frozen=True):
    """Public ids of what there is."""

    order: str
    number: str
    trial: str
    right: str
    link: str
    refund: str
    letter: str
    case: str
    event: str = "evt_1Sandbox"
    session: str = "cs_test_a1"
    payment: str = "pi_3Anna"
    charge: str = "ch_3Anna"
    stripe_refund: str = "re_3Anna"


async def make_account(session: AsyncSession, account: str, email: str, at: datetime) -> None:
    await desk.put_account(session, account)
    session.add(
        AccountRow(
            account=account,
            email=email,
            guardian_email=None,
            locale="pl",
            kind="guardian",
            age_band="adult",
            created_at=at,
            confirmed_at=at,
            confirm_by=None,
            first_confirmed_at=at,
            bounced_at=None,
        )
    )
    await session.flush()


async def make_trial(session: AsyncSession, pupil: str, at: datetime) -> str:
    row = await trials.start_trial(
        session,
        pupil=pupil,
        season="2026/27",
        season_ends=date(2027, 6, 30),
        features=CATALOGUE.add_ons,
        policy=CATALOGUE.trial,
        secret="s" * 32,
        at=at,
    )
    return trials.origin(row)


async def make_order(session: AsyncSession, at: datetime, **other: Any) -> OrderRow:
    key = new_id(at)
    facts: dict[str, Any] = {
        "id": key,
        "token_hash": token_hash(str(key)),
        "account": "a-anna",
        "link_id": new_id(at),
        "pupils": ["p1"],
        "product": "mobile-addons-season",
        "product_name": "Dodatki mobilne, Łódź",
        "features": list(CATALOGUE.add_ons),
        "season": "2026/27",
        "since": at,
        "until": UNTIL,
        "first_day": date(2026, 9, 1),
        "last_day": date(2027, 6, 30),
        "sold_until": UNTIL,
        "unit_gross": 4499,
        "total": 4499 * len(other.get("pupils", ["p1"])),
        "currency": "PLN",
        "vat_rate_percent": 23,
        "price_key": "k",
        "locale": "pl",
        "terms_version": "2026-11",
        "terms_hash": "00",
        "start_now": True,
        "blocked_features": [],
        "state": "paid",
        "created_at": at,
        "paid_at": at,
        "checks": 0,
    }
    row = OrderRow(**(facts | other))
    session.add(row)
    await session.flush()
    return row


async def seed(session: AsyncSession, at: datetime) -> World:
    """Everything, committed by the caller."""
    await make_account(session, "a-anna", "Anna.Żak@poczta.example", at)
    await make_account(session, "b-jan", "jan@poczta.example", at)
    await desk.put_link(session, "a-anna", "p1", "sp5", at)
    await desk.put_link(session, "a-anna", "p2", "sp5", at)
    await desk.put_school_blocks(session, "sp5", ["homework"], at)
    trial = await make_trial(session, "p2", at)
    link = new_id(at)
    session.add(
        ActivationLinkRow(
            id=link,
            token_hash=token_hash("link"),
            account="a-anna",
            pupils=["p1"],
            issued_at=at,
            expires_at=at + timedelta(days=14),
            revoked_at=None,
        )
    )
    order = await make_order(session, at, session_id=World.__struct_defaults__[1], link_id=link)
    name = public("ord", order.id)
    right = await _paid(session, order, name, at)
    refund = await _refunded(session, name, at)
    letter = await _letters(session, name, at)
    await _events(session, at)
    audit.record(session, at, "order.goodwill", name, actor="staff:lead", account="a-anna", reason="uprzejmość")
    outbox.put(session, "order.paid", at, order=name)
    await cases.open_case(session, "school_block", right, at, order=name, account="a-anna", school="sp5")
    case = await cases.case_about(session, "school_block", right)
    assert case is not None
    return World(name, str(order.number), trial, right, public("lnk", link), refund, letter, cases.case_id(case))


async def _paid(session: AsyncSession, order: OrderRow, name: str, at: datetime) -> str:
    for kind in ("start_now", "terms"):
        session.add(
            ConsentRow(id=new_id(at), order_id=order.id, kind=kind, text_hash="0", version="1", given=True, at=at)
        )
    _asked(session, name, at)
    session.add(
        PaymentRow(
            id=new_id(at),
            order_id=name,
            stripe_payment_intent="pi_3Anna",
            stripe_charge="ch_3Anna",
            amount=4499,
            currency="PLN",
            method="blik",
            captured_at=at,
            amount_refunded=1000,
            refund_reserved=1000,
            recorded_at=at,
        )
    )
    sold = Sale(
        payment="pi_3Anna", order=name, gross=4499, unit_gross=4499, vat_rate_percent=23, vat_method="per_document",
        first_day=order.first_day, last_day=order.last_day,
    )  # fmt: skip
    await ledger.book_sale(session, sold, at)
    wanted = Pass(
        pupil="p1",
        account="a-anna",
        product=order.product,
        features=tuple(order.features),
        since=at,
        until=UNTIL,
        order=name,
    )
    begun = await subscriptions.begin_pass(session, wanted, at)
    assert begun is not None
    return subscriptions.subscription_id(begun)


def _asked(session: AsyncSession, name: str, at: datetime) -> None:
    session.add(
        IntentRow(
            id=new_id(at),
            kind="checkout",
            target=name,
            attempt=1,
            key="key-1",
            request={},
            state="done",
            provider_id="cs_test_a1",
            created_at=at,
            sent_at=at,
            resolved_at=at,
        )
    )


async def _refunded(session: AsyncSession, name: str, at: datetime) -> str:
    payment = (await session.scalars(select(PaymentRow))).one()
    refund = new_id(at)
    session.add(
        RefundRow(
            id=refund,
            payment_id=payment.id,
            order_id=name,
            reason="goodwill",
            scope="",
            amount=1000,
            state="failed",
            approved_by="staff:lead",
            due_at=at,
            legal_due_on=date(2026, 9, 15),
            created_at=at,
            stripe_refund="re_3Anna",
            fault="declined",
        )
    )
    await session.flush()
    return public("ref", refund)


async def _letters(session: AsyncSession, name: str, at: datetime) -> str:
    sent, parked = new_id(at), new_id(at)
    common: dict[str, Any] = {"account": "a-anna", "pupils": ["p1"], "due_at": at, "created_at": at, "attachments": {}}
    session.add(
        LetterRow(
            id=sent,
            kind="order_paid",
            about=name,
            facts={"order": name},
            state="handed_over",
            handed_over_at=at,
            subject=f"Dziękujemy za zakup {EVIL}",
            text="Dzień dobry,\nzapłacono 44,99 zł.\n" + EVIL,
            html=HTML,
            **common,
        )
    )
    session.add(
        LetterRow(id=parked, kind="receipt", about="x", facts={}, state="parked", tries=12, fault="550 no", **common)
    )
    await session.flush()
    return public("ntc", sent)


async def _events(session: AsyncSession, at: datetime) -> None:
    for name, state, item in (
        ("evt_1Sandbox", "done", "cs_test_a1"),
        ("evt_2Parked", "parked", "ch_3Anna"),
    ):
        await session.execute(
            insert(EventRow).values(
                id=name,
                type="checkout.session.completed",
                object_id=item,
                livemode=False,
                body=b"{}",
                received_at=at,
                state=state,
                tries=1,
                due_at=at,
                note=None if state == "done" else "amount differs",
            )
        )
    assert EVENT.name == EventRow.__tablename__
    assert {column.name for column in EVENT.columns} <= {column.name for column in EventRow.__table__.columns}
