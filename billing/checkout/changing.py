"""A pupil more, or another interval: counted by the provider, shown, and charged to the grosz as it was shown.

The instant as of which it is counted is frozen with what was shown, so nothing depends on when the buyer clicks. A
change is made and paid, or not made.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.reading import LEAST_PAYABLE
from billing.catalog.rules import offer_at
from billing.catalog.values import Catalogue
from billing.checkout.renewing import CHANGE, apply_subscription
from billing.kernel import audit
from billing.kernel.days import day_of
from billing.kernel.db import Database
from billing.kernel.ids import new_id, public
from billing.payments import calls
from billing.payments import service as payments
from billing.payments.facts import ProviderRefused
from billing.payments.gateway import Gateway
from billing.payments.gateway_renewals import ChangeRenewal, Interval, ItemPrice, SubscriptionFacts
from billing.subscriptions import consents, periods, renewing, rows, service, wishes
from billing.subscriptions.renewing import CannotChange
from billing.subscriptions.rows import Renewal, RenewalChange

GOOD_FOR: Final = timedelta(minutes=30)
"""How long after it was shown a change may be accepted, on the same Warsaw day: the next charge is counted from it."""

TOO_EARLY: Final = "too_early"
"""Why a change that would owe money is refused: near the period's end it can be had."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What the buyer would like: one pupil more (`pupil`), or another product that renews (`product`, by its key)."""

    pupil: str | None = None
    product: str | None = None


class Yes(msgspec.Struct, frozen=True, kw_only=True):
    """The buyer's own consent to be charged the new price each new interval, from an unticked box: the hash of the
    words beside it, in `locale`, and the version of the terms (R64)."""

    text_hash: str
    version: str
    locale: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A change as it was counted: `amount` is charged at once, in grosz, and `unit_gross` for each of `quantity` pupils
    every `interval` after. `key` is what `make_change` takes, for `GOOD_FOR`."""

    key: UUID
    amount: int
    unit_gross: int
    quantity: int
    interval: str


async def preview(
    database: Database, gateway: Gateway, catalogue: Catalogue, renewal: str, change: Change, at: datetime
) -> Shown:
    """What a change would cost, counted by the provider as of this very second; the charge will be the same to the
    grosz. Raises CannotChange, UnknownRenewal and the provider's errors."""
    at = at.replace(microsecond=0)
    async with database.begin() as session:
        row = await renewing.find(session, renewal, lock=True)
        planned = await _planned(session, row, catalogue, change, at)
        name = row.provider_id or ""
    facts = await gateway.renewals.read_subscription(name)
    wanted = _request(planned, facts, name, at, amount=0, key=f"preview-{planned.id.hex}")
    found = await gateway.renewals.preview_change(wanted)
    if found.amount < LEAST_PAYABLE:
        raise CannotChange(
            "The change would charge too little, or owe you money; it can be made at the period's end.",
            reason=TOO_EARLY,
        )
    async with database.begin() as session:
        planned.amount = found.amount
        session.add(planned)
    return Shown(
        key=planned.id, amount=found.amount, unit_gross=planned.unit_gross, quantity=planned.quantity,
        interval=planned.interval,
    )  # fmt: skip


async def make_change(database: Database, gateway: Gateway, key: UUID, at: datetime, yes: Yes | None = None) -> str:
    """Make a change that was shown, and charge what was shown. Answers `done`; `accepted` while that is not known; or
    `refused` where the bank said no, or the call surely had no effect, and then nothing is changed. Another interval
    needs its own `yes` (R64). Raises CannotChange without it, when it was shown too long ago, or something else was
    changed since."""
    async with database.begin() as session:
        planned = await rows.change(session, key)
        row = await wishes.lock(session, planned.renewal_id)
        await session.refresh(planned)
        if planned.state in {"done", "refused"}:
            return planned.state
        if planned.state == "shown":
            await _accept(session, row, planned, yes, at)
        name = row.provider_id or ""
    facts = await gateway.renewals.read_subscription(name)
    async with database.begin() as session:
        wanted = _request(planned, facts, name, planned.prorated_at, amount=planned.amount, key="")
        intent = await payments.reserve(session, CHANGE, public("rch", key), wanted, at)
    try:
        facts = await calls.set_renewal(database, gateway, intent.id, at, ChangeRenewal)
    except ProviderRefused:
        async with database.begin() as session:
            planned = await rows.change(session, key, lock=True)
            planned.state = "refused"
        return "refused"
    async with database.begin() as session:
        await apply_subscription(session, facts, at)
        return (await rows.change(session, key)).state


async def _planned(
    session: AsyncSession, row: Renewal, catalogue: Catalogue, change: Change, at: datetime
) -> RenewalChange:
    """What the change comes to. Raises CannotChange where it may not be."""
    if not (await renewing.view(session, row, catalogue, at)).may_change or row.pushed != row.revision:
        raise CannotChange("It cannot be changed now.", state=row.state)
    if (change.pupil is None) == (change.product is None):
        raise CannotChange("Change one thing at a time.")
    product, name, interval, unit = row.product, row.product_name, row.interval, row.unit_gross
    if change.product is not None:
        offer = offer_at(catalogue, change.product, at)
        if offer.interval in {None, row.interval} or set(offer.features) != set(row.features):
            raise CannotChange("That is not another interval of the same.")
        product, name, interval, unit = offer.product, offer.names.in_("pl"), offer.interval or "", offer.unit_gross
    else:
        await _check_pupil(session, row, change.pupil or "", at)
    return RenewalChange(
        id=new_id(at), renewal_id=row.id, pupil=change.pupil, product=product, product_name=name, interval=interval,
        unit_gross=unit, quantity=len(row.pupils) + (change.pupil is not None), amount=0, prorated_at=at,
        state="shown", created_at=at,
    )  # fmt: skip


async def _check_pupil(session: AsyncSession, row: Renewal, pupil: str, at: datetime) -> None:
    if pupil in row.pupils or row.period_end is None:
        raise CannotChange("This pupil is in it already.")
    if await service.covering(session, (pupil,), row.features, at, row.period_end):
        raise CannotChange("This pupil has the full version already.", reason="covered")


async def _accept(session: AsyncSession, row: Renewal, planned: RenewalChange, yes: Yes | None, at: datetime) -> None:
    stands = await periods.standing_of(session, row, at)
    is_same = (row.period_end or at) > at and planned.quantity == len(row.pupils) + (planned.pupil is not None)
    is_fresh = at - planned.created_at <= GOOD_FOR and day_of(at) == day_of(planned.created_at)
    if not is_fresh or not is_same or stands.state != "active" or row.pushed != row.revision:
        raise CannotChange("It was shown too long ago; look again.", state=stands.state)
    if planned.pupil is not None:
        await _check_pupil(session, row, planned.pupil, at)
    elif yes is None:
        raise CannotChange("Another interval needs a consent of its own.", reason="no_consent")
    else:
        consents.agree(
            session, order_id=row.order_id, unit_gross=planned.unit_gross, interval=planned.interval,
            text_hash=yes.text_hash, version=yes.version, locale=yes.locale, channel="renewal_page", at=at,
        )  # fmt: skip
    planned.state = "accepted"
    row.check_at = at
    audit.record(
        session, at, "renewal.change_accepted", wishes.renewal_id(row), account=row.account, amount=planned.amount
    )
    await session.flush()


def _request(
    planned: RenewalChange, facts: SubscriptionFacts, name: str, at: datetime, *, amount: int, key: str
) -> ChangeRenewal:
    interval: Interval = "year" if planned.interval == "year" else "month"
    price = ItemPrice(
        item_id=facts.item_id, provider_product=facts.provider_product, unit_amount=planned.unit_gross,
        interval=interval, quantity=planned.quantity,
    )  # fmt: skip
    return ChangeRenewal(key=key, reference="", subscription_id=name, price=price, prorated_at=at, amount=amount)
