"""The whole product but its web server, on a clock that stands until it is moved.

People and backends act through the rooms' own services; due work is done from due instant to due instant.
"""

import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import text

from billing.accounts import service as accounts
from billing.accounts.service import Person
from billing.activation import service as activation
from billing.catalog.rules import season_of
from billing.catalog.values import Catalogue
from billing.checkout import rules as checkout_rules
from billing.checkout import service as checkout
from billing.checkout.placing import Place, place_order
from billing.checkout.service import Accepted
from billing.kernel.clock import FixedClock
from billing.kernel.days import day_of
from billing.kernel.db import Database
from billing.kernel.settings import Secret, Settings
from billing.kernel.work import Work
from billing.notices import service as notices
from billing.notices.compose_desk import Desk
from billing.notices.mailer import Mailer, SmtpMailer
from billing.notices.sending import PostOffice
from billing.notices.tasks import works as notice_works
from billing.payments.gateway import Gateway
from billing.privacy import service as privacy
from billing.sandbox.mailbox import Letter, MailFault, Mode
from billing.sandbox.survey import Survey
from billing.trials import service as trials
from billing.wiring import Services, build
from entitlements import service as desk
from entitlements.decision import Decision, decide
from entitlements.features import FeatureList
from entitlements.reader import FactsReader
from tests.gateway.world import KEY, SECRET, World
from tests.services.mailers import Letterbox
from webhooks import service as inbox
from webhooks.translate import head_of

SENDER = "Mobilne dodatki <dodatki@example.org>"
_SESSION = re.compile(r"/pay/(cs_[A-Za-z0-9_]+)")
_LINK = re.compile(r"/activate/([A-Za-z0-9_-]{32})")
_MOST_PASSES = 500


def settings(database_url: str, stripe_base: str, smtp_port: int) -> Settings:
    """What one process of the product would read from its environment."""
    return Settings(
        database_url=Secret(database_url),
        broker_url=Secret("redis://127.0.0.1:1/0"),
        public_url="http://127.0.0.1:8080",
        stripe_api_key=Secret(KEY),
        stripe_webhook_secrets=Secret(SECRET),
        stripe_api_base=stripe_base,
        stripe_timeout_seconds=5,
        smtp_url=Secret(f"smtp://127.0.0.1:{smtp_port}"),
        mail_from=SENDER,
        oidc_issuer="http://127.0.0.1:1",
        oidc_client_id="billing",
        oidc_client_secret=Secret("s"),
        signing_keys=Secret(""),
        secret_key=Secret("k" * 32),
        pool_size=20,
    )


class House:
    """The services with a clock, a mailbox and a stand-in Stripe around them."""

    def __init__(self, services: Services, world: World, mailbox: Letterbox, smtp_port: int, clock: FixedClock) -> None:
        self.services = services
        self.world = world
        self.mailbox = mailbox
        self.smtp_port = smtp_port
        self.clock = clock
        self.works: tuple[Work, ...] = services.works
        self.catalogue: Catalogue = services.catalogue
        self._taken = 0
        self._features = FeatureList(basic=frozenset(self.catalogue.basic), add_ons=frozenset(self.catalogue.add_ons))
        self._reader = FactsReader(self.database)
        self._survey = Survey(self.database)

    # What it stands on

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def place(self) -> Place:
        site = self.services.site
        return Place(public_url=site.public_url, secret=site.secret)

    def office(
        self, mailer: Mailer | None = None, database: Database | None = None, *, per_minute: int = 600
    ) -> PostOffice:
        """A post office as a worker process has one; with another mailer where the test says so."""
        site = self.services.site
        table = Desk(catalogue=self.catalogue, seller=site.seller, public_url=site.public_url, secret=site.secret)
        return PostOffice(database or self.database, mailer or self.smtp(), table, SENDER, per_minute=per_minute)

    def smtp(self) -> SmtpMailer:
        return SmtpMailer(f"smtp://127.0.0.1:{self.smtp_port}")

    def use_mailer(self, mailer: Mailer, *, per_minute: int = 600) -> None:
        """From now on letters leave by this mailer, so many a minute to one domain."""
        office = self.office(mailer, per_minute=per_minute)
        fresh = {work.name: work for work in notice_works(self.database, office, self.catalogue)}
        self.works = tuple(fresh.get(work.name, work) for work in self.works)

    # Time

    def stand_at(self, at: datetime) -> None:
        """Move the clock without doing anything."""
        self.clock.move(at)
        self.world.hands.at = at

    async def _instants(self, without: Collection[str]) -> list[tuple[Work, datetime]]:
        """When each kind of work is, or becomes, due."""
        return await self._survey.of(work for work in self.works if work.name not in without)

    async def settle(self, *, without: Collection[str] = ()) -> datetime | None:
        """Do all that is due now, until nothing is; answers when something will be."""
        for _ in range(_MOST_PASSES):
            done = await self.take_events()
            known = await self._instants(without)
            due = [work for work, at in known if at <= self.now]
            for work in due:
                done += await work.run(self.now)
            if not done and not due:
                return min((at for at in (*(at for _, at in known), self.world.standin.next_due()) if at), default=None)
        raise AssertionError("something stays due whatever is done")

    async def advance(self, to: datetime, *, without: Collection[str] = ()) -> None:
        """Pass time up to `to`; everything that falls due on the way runs at its time."""
        while (at := await self.settle(without=without)) is not None and at <= to:
            self.stand_at(max(at, self.now + timedelta(milliseconds=1)))
        self.stand_at(max(to, self.now))
        await self.settle(without=without)

    # Stripe

    async def take_events(self) -> int:
        """Let Stripe deliver what it has to deliver now, and keep what arrived."""
        await self.world.standin.deliver_due()
        fresh = self.world.receiver.letters[self._taken :]
        self._taken += len(fresh)
        for letter in fresh:
            await self.keep_event(letter.body)
        return len(fresh)

    async def keep_event(self, body: bytes) -> bool:
        async with self.database.begin() as session:
            return await inbox.keep(session, head_of(body, expects_livemode=False), self.now)

    async def pay(self, url: str, method: str = "blik", outcome: str = "succeeded", expect: int = 200) -> None:
        """A person on Stripe's page."""
        found = _SESSION.search(url)
        assert found, url
        await self.world.control(f"sessions/{found[1]}/pay", {"method": method, "outcome": outcome}, expect)

    async def settle_payment(self, url: str, outcome: str) -> None:
        found = _SESSION.search(url)
        assert found, url
        await self.world.control(f"sessions/{found[1]}/settle", {"outcome": outcome})

    # People

    async def register(self, account: str, **changes: Any) -> None:
        person = Person(
            email=f"{account}@rodzice.example", locale="pl", kind="guardian", age_band="adult", guardian_email=None,
            email_confirmed=True,
        )  # fmt: skip
        async with self.database.begin() as session:
            await accounts.put_account(session, account, msgspec.structs.replace(person, **changes), self.now)

    async def link(self, account: str, pupil: str, school: str | None = None) -> None:
        """As the backend's PUT does it: the link, and the trial of the season if it has not been yet."""
        season = season_of(day_of(self.now), self.catalogue.season)
        async with self.database.begin() as session:
            await desk.put_link(session, account, pupil, school, self.now)
            await trials.start_trial(
                session, pupil=pupil, season=season.label, season_ends=season.last_day,
                features=self.catalogue.add_ons, policy=self.catalogue.trial, secret=self.services.site.secret,
                at=self.now,
            )  # fmt: skip

    async def unlink(self, account: str, pupil: str) -> None:
        async with self.database.begin() as session:
            await desk.drop_link(session, account, pupil)
            await trials.unlinked(session, pupil)

    async def erase(self, account: str) -> tuple[privacy.Kept, ...]:
        async with self.database.begin() as session:
            return await privacy.erase(session, account, self.now, reason="asked")

    async def family(self, account: str, *pupils: str, **person: Any) -> None:
        await self.register(account, **person)
        for pupil in pupils:
            await self.link(account, pupil)

    async def shown(self, account: str) -> None:
        """The app shows everything that mail could not bring."""
        async with self.database.begin() as session:
            for row in await notices.notices_of(session, account):
                if row.state == "bounced":
                    await notices.shown(session, notices.letter_id(row), self.catalogue.trial, self.now)

    # Buying

    async def token(self, account: str, *pupils: str) -> str:
        async with self.database.begin() as session:
            return (await activation.issue(session, account, pupils, self.now, days=14)).token

    async def click(
        self, token: str, *, shown: str | None = None, gateway: Gateway | None = None, database: Database | None = None,
        **given: Any,
    ) -> str:  # fmt: skip
        """The button on the offer's page, read just before; answers where the buyer is sent."""
        accepted = Accepted(
            start_now=True, start_now_hash="s" * 64, terms_hash="t" * 64, terms_version="2026-11", locale="pl"
        )
        accepted = msgspec.structs.replace(accepted, **given)
        if shown is None:
            shown = await self.offer(token, accepted.terms_version)
        return await place_order(
            database or self.database, gateway or self.services.gateway, self.catalogue, self.place, token=token,
            shown=shown, accepted=accepted, at=self.now,
        )  # fmt: skip

    async def offer(self, token: str, terms_version: str = "2026-11") -> str:
        """The mark of what the page shows now."""
        async with self.database.begin() as session:
            link = await activation.find(session, token, self.now)
            sale = await checkout.what_is_for_sale(session, link.account, link.pupils, self.catalogue, self.now)
        return checkout_rules.digest(sale, terms_version)

    async def buy(self, account: str, *pupils: str, method: str = "blik", outcome: str = "succeeded") -> str:
        """From the link to the bank; answers the address of the pay page."""
        url = await self.click(await self.token(account, *pupils))
        await self.pay(url, method, outcome)
        await self.settle()
        return url

    # Looking

    async def rows(self, query: str, **values: Any) -> list[Any]:
        async with self.database.begin() as session:
            return list(await session.execute(text(query), values))

    async def rows_changed(self, statement: str, **values: Any) -> None:
        """Bend a fact that only the calendar would bring about."""
        async with self.database.begin() as session:
            await session.execute(text(statement), values)

    async def one(self, query: str, **values: Any) -> Any:
        (row,) = await self.rows(query, **values)
        return row[0]

    async def answer(self, account: str, pupil: str, at: datetime | None = None) -> Decision:
        """What the app is told about messages on the phone."""
        facts = await self._reader.account(account)
        assert facts is not None
        return decide(self._features, facts.of(pupil), "messages", "mobile", at or self.now, self.now)

    def letters(self, account: str | None = None) -> list[Letter]:
        return self.mailbox.letters(None if account is None else f"{account}@rodzice.example")

    def misbehave(self, mode: Mode = "normal", only_to: str | None = None, *, kept: bool = True) -> None:
        """How the mail server treats what it is given from now on."""
        self.mailbox.fault = MailFault(mode=mode, only_to=only_to, kept=kept)


def token_in(letter: Letter) -> str:
    """The token of the link in a letter."""
    found = _LINK.search(letter.text or "")
    assert found, letter.subject
    return found[1]


def spread(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Rows as plain tuples."""
    return [tuple(row) for row in rows]


def build_house(database_url: str, world: World, mailbox: Letterbox, smtp_port: int, clock: FixedClock) -> House:
    """A house on this database; closing its services is the caller's."""
    return House(build(settings(database_url, world.base, smtp_port), clock=clock), world, mailbox, smtp_port, clock)
