"""From what the books say of a renewal to the Structs that its pages show."""

from datetime import date, datetime, timedelta
from typing import cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Catalogue
from billing.checkout.pages import FieldError, Interval, RenewalLine
from billing.checkout.pages_renewal import Done, PricePage, RenewalPage, RenewalState, Rise
from billing.checkout.tables import OrderRow
from billing.kernel.days import day_of
from billing.kernel.pages import Seller
from billing.subscriptions import charges, renewing
from billing.subscriptions.renewing import RenewalView
from billing.subscriptions.renewing_rules import Charge
from billing.subscriptions.rules import LIVE

_SHOWS: dict[Done, tuple[RenewalState, ...]] = {
    "off": ("off",),
    "on": ("on",),
    "pause": ("paused",),
    "resume": ("on",),
    "price": ("on", "past_due"),
    "change": ("on",),
}
"""In which states a page may say that something was just done: never against the truth."""


class Standing(msgspec.Struct, frozen=True):
    """A renewal with what it means now; `charge` is the next one, if there will be any."""

    view: RenewalView
    unit_gross: int
    charge_at: datetime | None
    grace_until: datetime | None
    customer: str | None
    charge: Charge | None = None

    @property
    def state(self) -> RenewalState:
        """How it stands, in one word for people."""
        if self.view.state not in LIVE:
            return "ended"
        if self.view.is_paused:
            return "paused"
        if self.view.reason is not None:
            return "off"
        return "past_due" if self.view.state == "past_due" else "on"

    @property
    def active_until(self) -> date | None:
        """The last day with access from morning to night, as the offer counts them: the next charge comes on the day
        after. A payment that is awaited, or was refused for good, leaves the days of grace."""
        has_grace = self.state == "past_due" or self.view.reason == "payment_failed"
        until = (self.grace_until if has_grace else None) or self.view.paid_until
        return day_of(until) - timedelta(days=1) if until else None

    @property
    def next_charge_on(self) -> date | None:
        """The day of the next charge, if any will come."""
        return day_of(self.charge.at) if self.charge is not None and self.state == "on" else None

    @property
    def next_amount(self) -> int:
        """What the next charge will be for all pupils; 0 where none will come."""
        return 0 if self.charge is None else self.charge.unit_due * self.view.pupils

    @property
    def rise(self) -> Rise | None:
        """A higher price that waits for a yes (R66)."""
        unit, at = self.view.needs_consent, self.charge_at
        if unit is None or at is None:
            return None
        count = self.view.pupils
        return Rise(old_amount=self.unit_gross * count, new_amount=unit * count, charge_on=day_of(at))


async def standing(session: AsyncSession, order: str, catalogue: Catalogue, at: datetime) -> Standing | None:
    """How the renewal of an order stands; None when nothing of it renews, or nothing is paid yet."""
    row = await renewing.of_order(session, order)
    if row is None or row.state == "new":
        return None
    view = await renewing.view(session, row, catalogue, at)
    found = Standing(view, row.unit_gross, row.charge_at, row.grace_until, row.provider_customer)
    charge = charges.charge_of(row, catalogue)
    if charge is None or charge.at <= at or found.state not in {"on", "past_due"}:
        return found
    return msgspec.structs.replace(found, charge=charge)


def line_of(found: Standing, token: str) -> RenewalLine:
    """What the order's own page says of it, and the way to its controls."""
    return RenewalLine(
        url=f"/orders/{token}/renewal",
        state=found.state,
        next_charge_on=found.next_charge_on,
        next_amount=found.next_amount,
    )


def renewal(
    found: Standing, order: OrderRow, token: str, seller: Seller, done: str | None, *, may_change: bool = False,
    has_changed: bool = False,
) -> RenewalPage:  # fmt: skip
    """The page of a renewal with the controls that make sense now; `has_changed`: a change was just made."""
    view, state = found.view, found.state
    is_true = done in _SHOWS and state in _SHOWS[done] and not (done == "price" and found.rise)
    is_true = is_true and (done != "change" or has_changed)
    return RenewalPage(
        seller=seller,
        address=f"/orders/{token}/renewal",
        order_url=f"/orders/{token}",
        order_number=str(order.number),
        product_name=order.product_name,
        pupil_count=found.view.pupils,
        interval=cast("Interval", found.view.interval),
        state=state,
        active_until=found.active_until,
        next_charge_on=found.next_charge_on,
        next_amount=found.next_amount,
        off_reason=view.reason,
        rise=found.rise if state != "ended" else None,
        may_turn_off=view.may_turn_off,
        may_turn_on=view.may_turn_on,
        may_pause=view.may_pause,
        may_resume=view.may_resume,
        change_url=f"/orders/{token}/renewal/change" if may_change else None,
        may_change_card=state != "ended" and found.customer is not None,
        done=cast("Done", done) if is_true else None,
    )


def price(
    found: Standing, rise: Rise, order: OrderRow, token: str, seller: Seller, errors: tuple[FieldError, ...] = ()
) -> PricePage:
    """The question whether a higher price is agreed to."""
    return PricePage(
        seller=seller,
        address=f"/orders/{token}/renewal/price",
        back_url=f"/orders/{token}/renewal",
        product_name=order.product_name,
        pupil_count=found.view.pupils,
        interval=cast("Interval", found.view.interval),
        rise=rise,
        shown=str(rise.new_amount),
        errors=errors,
    )
