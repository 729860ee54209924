"""From a planned letter to its facts, checked again right before it goes (R25, I20)."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.service import Account, find_accounts, new_confirmation
from billing.activation import service as activation
from billing.checkout import service as checkout
from billing.checkout.documents import Policy, document
from billing.kernel.days import day_of, last_day_before, last_day_of_term
from billing.kernel.ids import parse
from billing.kernel.speech import speak
from billing.notices.answering import answer
from billing.notices.compose_desk import Desk, Told
from billing.notices.compose_endings import ENDINGS, ending_letter
from billing.notices.compose_money import KINDS as MONEY
from billing.notices.compose_money import money_letter
from billing.notices.compose_renewals import KINDS as RENEWALS
from billing.notices.compose_renewals import renewal_letter, renews_on
from billing.notices.letters import (
    ConfirmEmail,
    ConfirmGuardian,
    Letter,
    MoneyReturned,
    OrderConfirmation,
    PaymentFailed,
    Written,
    write,
)
from billing.notices.service import ANSWERS
from billing.notices.tables import LetterRow
from billing.payments import refunds
from billing.subscriptions import service as subscriptions
from billing.subscriptions.rules import LIVE
from entitlements import service as desk


class Sealed(msgspec.Struct, frozen=True):
    """A letter ready to go, and what of it may be kept: everything but the secrets of its links."""

    to: str
    written: Written
    secrets: tuple[str, ...]


class Dropped(Exception):
    """Nothing to say any more; `reason` is kept on the letter (I19)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def compose(session: AsyncSession, desk_: Desk, row: LetterRow, at: datetime) -> Sealed:
    """The letter as it is true now; makes its links. Raises Dropped when there is nothing, or nobody, to say it to."""
    person = (await find_accounts(session, (row.account,))).get(row.account)
    if row.kind in ANSWERS:
        return await _answer(session, desk_, row, person)
    if person is None:
        raise Dropped("erased")
    if not person.is_active and row.kind != "confirm_email":
        raise Dropped("not_confirmed")
    secrets: list[str] = []
    letter = await _COMPOSERS[row.kind](session, desk_, row, person, at, secrets)
    locale = letter_locale(row, person)
    return Sealed(person.address, write(letter, speak(locale)), tuple(secrets))


async def _answer(session: AsyncSession, desk_: Desk, row: LetterRow, person: Account | None) -> Sealed:
    found = await answer(session, row, person, desk_.seller, desk_.public_url, desk_.secret)
    if found is None:
        raise Dropped("no_address")
    return Sealed(found.to, write(found.letter, speak(str(row.facts["locale"]))), found.secrets)


def letter_locale(row: LetterRow, person: Account) -> str:
    """An order speaks the language it was made in; everything else the account's."""
    return str(row.facts.get("locale", person.locale))


async def _confirm(
    session: AsyncSession, desk_: Desk, _: LetterRow, person: Account, at: datetime, secrets: list[str]
) -> Letter:
    if person.is_active or person.confirm_by is None or at >= person.confirm_by:
        raise Dropped("confirmed_already" if person.is_active else "too_late")
    token = await new_confirmation(session, person)
    secrets.append(token)
    url, last = f"{desk_.public_url}/confirm/{token}", last_day_before(person.confirm_by)
    kind = ConfirmGuardian if person.age_band == "under_13" else ConfirmEmail
    return kind(seller=desk_.seller, url=url, valid_until=last)


async def _confirmation(
    session: AsyncSession, desk_: Desk, row: LetterRow, _: Account, at: datetime, secrets: list[str]
) -> Letter:
    order = await checkout.read_order(session, row.facts["order"])
    held = await subscriptions.of_order(session, checkout.order_id(order))
    if not held or order.paid_at is None:
        raise Dropped("nothing_bought")
    if order.withdrawn_at is not None:
        raise Dropped("withdrawn")
    token = checkout.order_token(desk_.secret, order)
    secrets.append(token)
    total = order.unit_gross * len(held)
    policy = Policy(full_refund=desk_.catalogue.order.refund_policy == "full")
    speech = speak(order.locale)
    terms = document("terms", desk_.seller, speech, policy, order.terms_version)
    form = document("withdrawal_form", desk_.seller, speech, policy)
    return OrderConfirmation(
        seller=desk_.seller,
        order_number=str(order.number),
        product_name=order.product_name,
        pupil_count=len(held),
        first_day=day_of(held[0].since),
        last_day=order.last_day,
        total=total,
        vat_rate_percent=order.vat_rate_percent,
        vat_amount=order.vat_in(total),
        paid_at=order.paid_at,
        start_now=order.start_now,
        withdrawal_last_day=last_day_of_term(day_of(order.paid_at), desk_.catalogue.order.withdrawal_days),
        order_url=f"{desk_.public_url}/orders/{token}",
        terms_version=order.terms_version,
        terms_text=terms.text,
        form_text=form.text,
        full_refund=policy.full_refund,
        renews_on=await renews_on(session, row.facts["order"], desk_.catalogue, at),
    )


async def _failed(
    session: AsyncSession, desk_: Desk, row: LetterRow, _: Account, at: datetime, secrets: list[str]
) -> Letter:
    order = await checkout.read_order(session, row.facts["order"])
    if order.state != "failed" or order.account is None:
        raise Dropped("paid_since")
    if order.withdrawn_at is not None:
        raise Dropped("withdrawn")
    link = await activation.issue(session, order.account, order.pupils, at, days=desk_.catalogue.order.link_days)
    secrets.append(link.token)
    url = f"{desk_.public_url}/activate/{link.token}"
    return PaymentFailed(seller=desk_.seller, order_number=str(order.number), url=url)


async def _returned(
    session: AsyncSession, desk_: Desk, row: LetterRow, _: Account, at: datetime, _secrets: list[str]
) -> Letter:
    order = await checkout.read_order(session, row.facts["order"])
    refund = await refunds.read_refund(session, parse("ref", row.facts["refund"]))
    holding = await desk.holding_sources(session, order.pupils, at)
    paid = [grant.until for grants in holding.values() for grant in grants if grant.source == "paid" and grant.until]
    return MoneyReturned(
        seller=desk_.seller,
        reason=refund.reason,
        amount=refund.amount,
        order_number=str(order.number),
        active_until=last_day_before(min(paid)) if paid else None,
        ended_at=None if paid else await _ended_by_refund(session, row.facts["order"]),
    )


async def _ended_by_refund(session: AsyncSession, order: str) -> datetime | None:
    """When giving all of the money back ended what the order gave; None where nothing was, or something stands."""
    held = await subscriptions.of_order(session, order)
    if any(right.state in LIVE for right in held):
        return None
    return max((right.ended_at for right in held if right.state == "refunded" and right.ended_at), default=None)


_Judge = Callable[[AsyncSession, Desk, LetterRow, Account, datetime], Awaitable[Told | str]]
_Composer = Callable[[AsyncSession, Desk, LetterRow, Account, datetime, list[str]], Awaitable[Any]]


def _judged(judge: _Judge) -> _Composer:
    """What composes letters of which another module judges whether they hold, or for which reason they are dropped."""

    async def compose_judged(
        session: AsyncSession, desk_: Desk, row: LetterRow, person: Account, at: datetime, secrets: list[str]
    ) -> Letter:
        told = await judge(session, desk_, row, person, at)
        if isinstance(told, str):
            raise Dropped(told)
        secrets.extend(told.secrets)
        return told.letter

    return compose_judged


_COMPOSERS: dict[str, _Composer] = {
    "confirm_email": _confirm,
    **dict.fromkeys(ENDINGS, _judged(ending_letter)),
    "order_confirmation": _confirmation,
    "payment_failed": _failed,
    "money_returned": _returned,
    **dict.fromkeys(RENEWALS, _judged(renewal_letter)),
    **dict.fromkeys(MONEY, _judged(money_letter)),
}
