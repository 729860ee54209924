"""From facts to the Structs that pages show: the offer behind a link, the truth about an order."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.activation.service import Link
from billing.catalog.rules import next_season, season_of
from billing.catalog.values import Catalogue, Offer
from billing.checkout import pages_messages, rules, service, showing_renewal
from billing.checkout.documents import TERMS_VERSION
from billing.checkout.pages import Choice, Covered, FieldError, OfferPage, OrderPage, OrderState, RefundReason, Renewal
from billing.checkout.rules import Sale
from billing.checkout.showing_renewal import Standing
from billing.checkout.tables import OrderRow
from billing.kernel.days import day_of, last_day_of_term
from billing.kernel.money import vat_of
from billing.kernel.pages import Seller
from billing.kernel.speech import Speech
from billing.payments import refunds
from billing.payments.rules import FINAL, Refund
from billing.subscriptions import service as subscriptions

PLAN = "plan"
"""The word of an offer's address that names what was chosen."""


def last_valid_day(link: Link) -> datetime:
    """An instant of the last day on which the link works."""
    return link.expires_at - timedelta(seconds=1)


def names_of(catalogue: Catalogue, keys: Collection[str], locale: str) -> tuple[str, ...]:
    """Features in the reader's language, in the order of the catalogue."""
    return tuple(feature.names.in_(locale) for feature in catalogue.features if feature.key in keys)


def offer(
    sale: Sale, link: Link, token: str, catalogue: Catalogue, seller: Seller, speech: Speech, *,
    at: datetime, has_changed: bool = False, errors: tuple[FieldError, ...] = (),
) -> OfferPage:  # fmt: skip
    """The order page of a sale that is possible."""
    found = sale.offer
    if found is None:
        raise ValueError("there is nothing to show")
    return OfferPage(
        seller=seller,
        action=f"/activate/{token}/order",
        offer_digest=rules.digest(sale, TERMS_VERSION),
        product_name=found.names.in_(speech.locale),
        features=names_of(catalogue, found.features, speech.locale),
        basic_features=names_of(catalogue, catalogue.basic, speech.locale),
        pupil_count=len(sale.pupils),
        unit_price=found.unit_gross,
        total=sale.total,
        vat_rate_percent=found.vat_rate_percent,
        vat_amount=vat_of(sale.total, found.vat_rate_percent, found.vat_method, found.unit_gross),
        first_day=found.first_day,
        last_day=found.last_day,
        link_valid_until=day_of(last_valid_day(link)),
        terms_version=TERMS_VERSION,
        covered=tuple(Covered(until=right.last_day, source=right.source) for right in sale.covered),
        blocked_features=names_of(catalogue, sale.blocked_features, speech.locale),
        later_first_day=rules.later_first_day(catalogue.order, found, at),
        lowest_30_days=found.lowest_30_days,
        price_changed=has_changed,
        full_refund=catalogue.order.refund_policy == "full",
        methods=found.methods,
        errors=errors,
        button=catalogue.order.button.pl,
        here=f"/activate/{token}{_plan(sale, found)}",
        product=found.product,
        renewal=renewal_of(sale, catalogue),
        choices=_choices(sale, found, token, speech),
    )


def _choices(sale: Sale, found: Offer, token: str, speech: Speech) -> tuple[Choice, ...]:
    """All that the link may be used for."""
    return tuple(
        Choice(
            name=choice.names.in_(speech.locale),
            url=f"/activate/{token}{_plan(sale, choice)}",
            unit_price=choice.unit_gross,
            last_day=choice.last_day,
            interval=choice.interval,
            is_shown=choice.product == found.product,
        )
        for choice in sale.choices
    )


def _plan(sale: Sale, choice: Offer) -> str:
    """What to add to a link's address to see this choice; nothing for the one that is seen without it."""
    return "" if choice.product == sale.choices[0].product else f"?{PLAN}={choice.product}"


def renewal_of(sale: Sale, catalogue: Catalogue) -> Renewal | None:
    """The terms of renewing, of what renews."""
    found = sale.offer
    if found is None or found.interval is None:
        return None
    return Renewal(
        interval=found.interval,
        next_charge_on=found.last_day + timedelta(days=1),
        amount=sale.total,
        notice_days=catalogue.renewal.notice_days(found.interval),
    )


def refused(
    sale: Sale, catalogue: Catalogue, seller: Seller, speech: Speech, at: datetime, here: str
) -> tuple[str, int]:
    """The page that says why nothing can be sold, and its status; `here` is where its language links lead."""
    if sale.refusal == "not_an_adult":
        return pages_messages.ask_parent_page(pages_messages.AskParentPage(seller=seller, here=here), speech), 403
    if sale.refusal == "already_covered":
        covered = tuple(Covered(until=right.last_day, source=right.source) for right in sale.covered)
        return pages_messages.nothing_to_pay_page(
            pages_messages.NothingToPayPage(seller=seller, here=here, covered=covered), speech
        ), 409
    if sale.refusal == "blocked_by_school" and sale.offer is not None:
        names = names_of(catalogue, sale.offer.features, speech.locale)
        page = pages_messages.BlockedPage(seller=seller, here=here, blocked_features=names)
        return pages_messages.blocked_page(page, speech), 409
    if sale.refusal == "sales_closed":
        following = next_season(season_of(day_of(at), catalogue.season), catalogue.season)
        closed = pages_messages.SalesClosedPage(
            seller=seller, here=here, next_first_day=following.first_day, next_last_day=following.last_day
        )
        return pages_messages.sales_closed_page(closed, speech), 409
    return gone(seller, speech, "revoked"), 410


def gone(seller: Seller, speech: Speech, reason: pages_messages.GoneReason, until: datetime | None = None) -> str:
    """The helpful page of a link that opens nothing any more (R35)."""
    day = day_of(until - timedelta(seconds=1)) if until else None
    return pages_messages.gone_page(pages_messages.GonePage(seller=seller, reason=reason, active_until=day), speech)


async def paid_until(session: AsyncSession, link: Link) -> datetime | None:
    """Until when what was bought through this very link is paid; None when nothing was."""
    query = select(OrderRow.until).where(OrderRow.link_id == link.id, OrderRow.state == "paid")
    return await session.scalar(query.order_by(OrderRow.until.desc()).limit(1))


async def order(
    session: AsyncSession, row: OrderRow, token: str, catalogue: Catalogue, seller: Seller, at: datetime, *,
    has_turned_back: bool,
) -> OrderPage:  # fmt: skip
    """The truth about an order, as the database has it; showing it grants nothing (R55)."""
    given_back = await refunds.refunds_of(session, service.order_id(row))
    counting = [refund for refund in given_back if refund.state not in FINAL]
    held = await subscriptions.of_order(session, service.order_id(row))
    in_force = [right for right in held if subscriptions.is_in_force(right, at)]
    returned = sum(refund.amount for refund in counting)
    state = _state(
        row, returned=returned, is_payable=service.payable_url(row, at) is not None, has_turned_back=has_turned_back
    )
    renews = await showing_renewal.standing(session, service.order_id(row), catalogue, at)
    withdraw_by = _withdraw_by(row, catalogue, at) if in_force or row.state == "pending" else None
    return OrderPage(
        seller=seller,
        order_number=str(row.number),
        state=state,
        product_name=row.product_name,
        pupil_count=len(row.pupils),
        total=row.total,
        first_day=day_of(min(right.since for right in in_force)) if in_force else None,
        last_day=_last_day(row, renews) if in_force else None,
        refunded=returned or None,
        refund_reason=_reason(row, counting),
        refund_done=bool(counting) and all(refund.state == "succeeded" for refund in counting),
        check_url=f"/orders/{token}",
        pay_again_url=service.payable_url(row, at) if state == "open" else None,
        withdrawal_url=f"/orders/{token}/withdrawal" if withdraw_by else None,
        withdrawal_last_day=withdraw_by,
        invoice_url=f"/orders/{token}/invoice" if row.total and state in {"paid", "part_refunded"} else None,
        withdrawn_at=row.withdrawn_at,
        renewal=showing_renewal.line_of(renews, token) if renews else None,
        full_refund=catalogue.order.refund_policy == "full",
    )


def _last_day(row: OrderRow, renews: Standing | None) -> date:
    """The last day that is paid for: of the order, or of what has renewed since."""
    return (renews.active_until if renews else None) or row.last_day


def _withdraw_by(row: OrderRow, catalogue: Catalogue, at: datetime) -> date | None:
    """The last day of the control that withdraws, for as long as it may be used: to 23:59:59 of that day (R69, R72)."""
    last = last_day_of_term(day_of(row.paid_at or row.created_at), catalogue.order.withdrawal_days)
    return last if row.withdrawn_at is None and day_of(at) <= last else None


def _reason(row: OrderRow, counting: Sequence[Refund]) -> RefundReason | None:
    """Why money goes back; of several reasons, the buyer's own."""
    reasons: list[RefundReason] = [refund.reason for refund in counting]
    if row.withdrawn_at is not None and "withdrawal" in reasons:
        return "withdrawal"
    return reasons[0] if reasons else None


def _state(row: OrderRow, *, returned: int, is_payable: bool, has_turned_back: bool) -> OrderState:
    """Somebody who comes back from the payment page has paid, as far as we can tell, and waits for the bank: never is
    that parent asked to pay again (R55). Only who turned back there, by the page's own way, is shown the way to pay."""
    if row.state == "paid" and returned:
        return "refunded" if returned >= row.total else "part_refunded"
    if row.state == "incomplete":
        if not is_payable and row.session_id is not None:
            return "expired"
        return "open" if is_payable and has_turned_back else "waiting"
    shown: dict[str, OrderState] = {"pending": "waiting", "paid": "paid", "failed": "failed", "expired": "expired"}
    return shown[row.state]
