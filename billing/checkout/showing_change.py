"""From what the books say of a renewal to the Structs of the pages that change it."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.rules import interval_end, offers_at
from billing.catalog.values import Catalogue, Offer
from billing.checkout import pages_change as pages
from billing.checkout.changing import Change
from billing.checkout.pages import Interval
from billing.checkout.showing_renewal import Standing
from billing.checkout.tables import OrderRow
from billing.kernel.days import day_of
from billing.kernel.money import VatMethod, vat_of
from billing.kernel.pages import Seller
from billing.subscriptions import renewing
from billing.subscriptions import service as subscriptions
from billing.subscriptions.rows import Renewal, RenewalChange
from entitlements import service as desk


class Changes(msgspec.Struct, frozen=True):
    """What the holder of the order's link may ask for now: other intervals of the same, and the one pupil of the
    account who can be added. Of several pupils a page that names none cannot say which: they are `many`."""

    offers: tuple[Offer, ...] = ()
    pupil: str | None = None
    is_many: bool = False

    def asked(self, product: str, add: str) -> Change | None:
        """What a form asks for, if it may."""
        if add == pages.PUPIL:
            return Change(pupil=self.pupil) if self.pupil is not None else None
        return Change(product=product) if any(offer.product == product for offer in self.offers) else None

    def __bool__(self) -> bool:
        """Whether there is anything to choose from."""
        return bool(self.offers) or self.pupil is not None


async def changes_of(session: AsyncSession, found: Standing, catalogue: Catalogue, at: datetime) -> Changes:
    """What may be changed now; nothing of what is off, paused, past due or over."""
    if not found.view.may_change:
        return Changes()
    row = await renewing.find(session, found.view.renewal)
    offers = tuple(
        offer
        for offer in offers_at(catalogue, at)
        if offer.interval not in {None, row.interval} and set(offer.features) == set(row.features)
    )
    pupils = await _uncovered(session, row, at)
    return Changes(offers, pupils[0] if len(pupils) == 1 else None, len(pupils) > 1)


async def _uncovered(session: AsyncSession, row: Renewal, at: datetime) -> list[str]:
    """Pupils of the account to whom paying would give something."""
    if row.account is None or row.period_end is None:
        return []
    linked = [link.pupil for link in await desk.links_of(session, row.account) if link.pupil not in row.pupils]
    paid = {right.pupil for right in await subscriptions.covering(session, linked, row.features, at, row.period_end)}
    held = await desk.holding_sources(session, linked, at)
    blocked = await desk.blocks_of_pupils(session, linked)

    def gains(pupil: str) -> bool:
        is_held = any(grant.source in {"paid", "sponsored"} for grant in held.get(pupil, ()))
        return pupil not in paid and not is_held and not _all(row.features, blocked.get(pupil, frozenset()))

    return [pupil for pupil in linked if gains(pupil)]


def _all(features: Collection[str], blocked: Collection[str]) -> bool:
    return set(features) <= set(blocked)


def choices(
    found: Standing, changes: Changes, order: OrderRow, name: str, token: str, seller: Seller, locale: str
) -> pages.ChangePage:
    """Step one. `name` is what the product is called in the reader's language."""
    count, interval = found.view.pupils, cast("Interval", found.view.interval)
    offered = [
        pages.ChangeChoice(
            field="product", value=offer.product, name=offer.names.in_(locale), interval=offer.interval or "month",
            pupil_count=count, amount=offer.unit_gross * count,
        )
        for offer in changes.offers
    ]  # fmt: skip
    if changes.pupil is not None:
        more = pages.ChangeChoice(
            field="add", value=pages.PUPIL, name=name, interval=interval, pupil_count=count + 1,
            amount=found.unit_gross * (count + 1),
        )  # fmt: skip
        offered.append(more)
    return pages.ChangePage(
        seller=seller,
        address=f"/orders/{token}/renewal/change",
        back_url=f"/orders/{token}/renewal",
        product_name=name or order.product_name,
        interval=interval,
        pupil_count=count,
        amount=found.unit_gross * count,
        choices=tuple(offered),
        is_many_pupils=changes.is_many,
    )


def confirmation(
    planned: RenewalChange, found: Standing, order: OrderRow, name: str, token: str, seller: Seller, button: str
) -> pages.ConfirmChangePage:
    """Step two, as the change was counted: the charge will be the same to the grosz (I16, R85)."""
    interval = cast("Interval", planned.interval)
    is_pupil, view = planned.pupil is not None, found.view
    next_at = view.next_charge_at if is_pupil else None
    begun = day_of(planned.prorated_at)
    rate, method = order.vat_rate_percent, order.vat_method
    return pages.ConfirmChangePage(
        seller=seller,
        address=f"/orders/{token}/renewal/change",
        back_url=f"/orders/{token}/renewal",
        key=planned.id.hex,
        product_name=name,
        interval=interval,
        pupil_count=planned.quantity,
        unit_price=planned.unit_gross,
        amount=planned.amount,
        vat_rate_percent=rate,
        vat_amount=vat_of(planned.amount, rate, cast("VatMethod", method), planned.amount),
        next_charge_on=day_of(next_at) if next_at else interval_end(begun, interval) + timedelta(days=1),
        next_amount=(view.next_unit if is_pupil and view.next_unit else planned.unit_gross) * planned.quantity,
        is_pupil=is_pupil,
        button=button,
    )
