"""A house that sells what renews, and what its people do about it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from billing.activation import service as activation
from billing.catalog.service import load as load_catalogue
from billing.checkout import rules as checkout_rules
from billing.checkout import service as checkout
from billing.checkout.consents import Accepted
from billing.checkout.placing import place_order
from billing.kernel.clock import FixedClock
from billing.sandbox.mailbox import Mailbox
from billing.subscriptions import charges, consents, renewing
from billing.subscriptions.renewing import RenewalView
from billing.subscriptions.tables import RenewalRow
from billing.wiring import build
from tests.gateway.world import World
from tests.renewing.selling import MONTHLY, catalogue_text
from tests.services.house import House, settings


def catalogue_file(folder: Path, *, dearer_from: str | None = None, blik: bool = False) -> Path:
    """The catalogue with the renewing products switched on; from a day on, if named, one grosz dearer."""
    path = folder / "catalog.toml"
    path.write_text(catalogue_text(dearer_from=dearer_from, dearer=600, blik=blik), encoding="utf-8")
    return path


class RenewingHouse(House):
    """`House`, with the monthly product on sale."""

    async def subscribe(self, account: str, *pupils: str, method: str = "card", product: str = MONTHLY) -> RenewalRow:
        """From the link to the bank, with the consent to renewing."""
        token = await self.token(account, *pupils)
        url = await self.begin(token, product)
        await self.pay(url, method)
        await self.settle()
        return await self.row()

    async def begin(self, token: str, product: str = MONTHLY) -> str:
        shown = await self.offer_of(token, product)
        accepted = Accepted(
            start_now=True, start_now_hash="s" * 64, terms_hash="t" * 64, terms_version="2026-11", locale="pl",
            renewal_hash="r" * 64,
        )  # fmt: skip
        return await place_order(
            self.database, self.services.gateway, self.catalogue, self.place, token=token, shown=shown,
            accepted=accepted, at=self.now, product=product,
        )  # fmt: skip

    async def offer_of(self, token: str, product: str) -> str:
        async with self.database.begin() as session:
            link = await activation.find(session, token, self.now)
            sale = await checkout.what_is_for_sale(
                session, link.account, link.pupils, self.catalogue, self.now, product
            )
        assert sale.refusal is None, sale.refusal
        return checkout_rules.digest(sale, "2026-11")

    async def row(self, number: int = 0) -> RenewalRow:
        """A renewal as it stands, in the order of their making."""
        async with self.database.begin() as session:
            return await session.get_one(RenewalRow, (await self._keys())[number])

    async def _keys(self) -> list[Any]:
        return [row[0] for row in await self.rows("select id from renewal order by id")]

    async def view(self, number: int = 0) -> RenewalView:
        row = await self.row(number)
        async with self.database.begin() as session:
            return await renewing.view(session, row, self.catalogue, self.now)

    async def act(self, act: str, number: int = 0, **given: Any) -> None:
        """What a person does on the page, and what follows from it."""
        await self.press(act, (await self._keys())[number], **given)
        await self.settle()

    async def press(self, act: str, key: UUID, **given: Any) -> None:
        """One click on the page of a renewal, named by its key; nothing follows yet."""
        async with self.database.begin() as session:
            row = await session.get_one(RenewalRow, key, with_for_update=True)
            if act == "turn_off":
                await renewing.turn_off(session, row, self.now, actor="buyer", **given)
            else:
                await getattr(renewing, act)(session, row, self.catalogue, self.now, actor="buyer")

    async def agree(self, unit_gross: int, number: int = 0) -> None:
        """A yes to a higher price."""
        row = await self.row(number)
        async with self.database.begin() as session:
            consents.agree(
                session, order_id=row.order_id, unit_gross=unit_gross, interval=row.interval, text_hash="c" * 64,
                version="2026-11", locale="pl", channel="renewal_page", at=self.now,
            )  # fmt: skip
            await session.flush()
            locked = await renewing.find(session, renewing.renewal_id(row), lock=True)
            await renewing.agreed_again(session, locked, self.catalogue, self.now, actor="buyer")
        await self.settle()

    async def tell(self) -> None:
        """As the letters room does when the mail server has taken the letter of the last days."""
        async with self.database.begin() as session:
            for charge in await charges.charges_ahead(session, self.catalogue, self.now + timedelta(days=60), 50):
                await charges.told(session, charge.key, charge.charge_at, 7, charge.unit_gross, self.now)

    async def live_until(self, to: datetime, *, tells: bool = True) -> None:
        """Pass time; eight days before each charge its letter is handed over. Days on which nothing of ours can happen
        are passed in one step, as if the workers had slept."""
        while True:
            charge = await self.one(
                "select min(charge_at) from renewal where charge_at > :at "
                "and state in ('active', 'past_due', 'paused')",
                at=self.now,
            )
            if tells and charge is not None and self.now < (telling := charge - timedelta(days=8)) < to:
                await self._jump(telling)
                await self.tell()
            elif tells and charge is not None:
                await self.tell()
            quiet = to if charge is None else charge - timedelta(days=3, hours=1)
            await self._jump(min(to, quiet))
            if charge is None or to <= charge:
                break
            await self.advance(min(to, charge + timedelta(hours=3)))
        await self.advance(to)

    async def _jump(self, to: datetime) -> None:
        if to > self.now:
            self.stand_at(to)
            await self.settle()

    async def subscription(self, number: int = 0) -> Any:
        """How it stands at Stripe."""
        return await self.world.client.v1.subscriptions.retrieve_async((await self.row(number)).provider_id)

    async def outcome(self, outcome: str, number: int = 0) -> None:
        """What the bank will say from now on."""
        name = (await self.row(number)).provider_id
        await self.world.control(f"subscriptions/{name}/next_payment", {"outcome": outcome})

    async def states(self) -> list[tuple[str, str]]:
        """The rights: of whom, and how they stand."""
        return [tuple(row) for row in await self.rows("select pupil, state from subscription order by created_at")]

    def use_catalogue(self, path: Path) -> None:
        """The seller changes the catalogue and starts the services anew."""
        self.catalogue = load_catalogue(path)
        made = msgspec.structs.replace(self.services.settings, catalog=str(path))
        self.works = build(made, clock=self.clock).works


def build_renewing(
    database_url: str, world: World, mailbox: Mailbox, smtp_port: int, clock: FixedClock, catalogue: Path
) -> RenewingHouse:
    """A house with this catalogue."""
    made = msgspec.structs.replace(settings(database_url, world.base, smtp_port), catalog=str(catalogue))
    return RenewingHouse(build(made, clock=clock), world, mailbox, smtp_port, clock)
