"""Settings become services. The only place that chooses adapters: which clock, which provider, which mailer."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from billing.cases import tasks as cases
from billing.catalog.service import load as load_catalogue
from billing.catalog.values import Catalogue
from billing.checkout import renewing_tasks as renewals
from billing.checkout import tasks as checkout
from billing.finance.openid import OidcSettings, OpenIdClient
from billing.invariants import tasks as invariants
from billing.invoices.service import on_refund, on_waived
from billing.kernel import idempotency, outbox
from billing.kernel.attendance import Attendance
from billing.kernel.clock import Clock, clock_of
from billing.kernel.db import Database
from billing.kernel.keys import KeyRing
from billing.kernel.limits import Limiter
from billing.kernel.pages import Seller
from billing.kernel.peers import Proxies
from billing.kernel.settings import Settings
from billing.kernel.web_pages import Site
from billing.kernel.work import Doorbell, Work
from billing.ledger import tasks as ledger
from billing.notices import tasks as notices
from billing.notices.compose_desk import Desk
from billing.notices.mailer import SmtpMailer
from billing.notices.renewing import consumers
from billing.notices.sending import PostOffice
from billing.payments.gateway import Gateway
from billing.payments.stripe_gateway import StripeGateway
from billing.privacy import tasks as privacy
from billing.reconciliation import tasks as reconciliation
from billing.subscriptions import tasks as subscriptions
from billing.trials import tasks as trials
from billing.withdrawals import tasks as withdrawals
from billing.withdrawals.aftermath import on_right_ended
from entitlements import tasks as entitlements
from entitlements.waking import Waker
from webhooks import outgoing_tasks as outgoing
from webhooks import tasks as webhooks
from webhooks.outgoing_post import Post

_CHECKOUT_PAGE = "https://checkout.stripe.com"
_CARD_PAGE = "https://billing.stripe.com"


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one process of the product stands on."""

    settings: Settings
    clock: Clock
    database: Database
    catalogue: Catalogue
    gateway: Gateway
    key_ring: KeyRing
    limiter: Limiter
    site: Site
    openid: OpenIdClient
    works: tuple[Work, ...]
    attendance: Attendance | None

    async def close(self) -> None:
        """Give all connections back."""
        if self.attendance is not None:
            await self.attendance.close()
        await self.gateway.close()
        await self.limiter.close()
        await self.database.close()


def build(settings: Settings, doorbell: Doorbell | None = None, *, clock: Clock | None = None) -> Services:
    """The services of this process. Raises BadCatalogue. Opens nothing: connections are made when first used."""
    catalogue = load_catalogue(Path(settings.catalog) if settings.catalog else None)
    clock = clock or clock_of(settings.clock_file)
    database = Database(settings.database_url.value, pool_size=settings.pool_size, doorbell=doorbell)
    Waker(database)
    gateway = StripeGateway(
        settings.stripe_api_key.value, settings.stripe_api_base, timeout=settings.stripe_timeout_seconds
    )
    seller = Seller(**msgspec.structs.asdict(catalogue.seller))
    site = Site(
        public_url=settings.public_url.rstrip("/"),
        secret=settings.secret_key.value,
        seller=seller,
        payment_origins=_payment_origins(settings),
        proxies=Proxies(settings.trusted_proxies),
    )
    attendance = Attendance(settings.database_url.value) if settings.clock_file else None
    works = _works(settings, database, gateway, catalogue, site)
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        catalogue=catalogue,
        gateway=gateway,
        key_ring=KeyRing(database, clock),
        limiter=Limiter(settings.broker_url.value),
        site=site,
        openid=OpenIdClient(_oidc(settings)),
        works=works if attendance is None else tuple(attendance.attended(work) for work in works),
        attendance=attendance,
    )


def _works(
    settings: Settings, database: Database, gateway: Gateway, catalogue: Catalogue, site: Site
) -> tuple[Work, ...]:
    """All due work of all rooms: what beat rings for, workers do, and the age of which readiness tells."""
    desk = Desk(catalogue=catalogue, seller=site.seller, public_url=site.public_url, secret=site.secret)
    office = PostOffice(
        database,
        SmtpMailer(settings.smtp_url.value),
        desk,
        settings.mail_from,
        per_minute=settings.mail_per_minute,
    )
    return (
        outbox.relay(database, _consumers(catalogue)),
        *notices.works(database, office, catalogue),
        *trials.works(database),
        *(outgoing.told_after(work, database) for work in entitlements.works(database)),
        *webhooks.works(database, gateway),
        *outgoing.works(database, Post(loopback=bool(settings.sandbox_outside)), site.secret),
        *checkout.works(database, gateway),
        *renewals.works(database, gateway, catalogue),
        *withdrawals.works(database, gateway),
        *reconciliation.works(database, gateway),
        *cases.works(database),
        *subscriptions.works(database),
        *ledger.works(database),
        *privacy.works(database),
        *invariants.works(database),
        idempotency.forget_old_keys(database),
    )


def _consumers(catalogue: Catalogue) -> dict[str, tuple[outbox.Consumer, ...]]:
    ours = {
        "subscription.ended": (on_right_ended(catalogue.trial),),
        "refund.succeeded": (on_refund,),
        "refund.waived": (on_waived,),
    }
    wanting: tuple[Mapping[str, tuple[outbox.Consumer, ...]], ...] = (
        consumers(catalogue),
        ours,
        outgoing.consumers(),
    )
    kinds = {kind for each in wanting for kind in each}
    return {kind: tuple(one for each in wanting for one in each.get(kind, ())) for kind in kinds}


def _oidc(settings: Settings) -> OidcSettings:
    return OidcSettings(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.value,
        roles_claim=settings.oidc_roles_claim,
        public_url=settings.public_url.rstrip("/"),
    )


def _payment_origins(settings: Settings) -> tuple[str, ...]:
    """Where our forms may lead: Stripe's pages for paying and for the card, or a stand-in's on this very origin."""
    if settings.sandbox_outside:
        parts = urlsplit(settings.public_url)
        return (f"{parts.scheme}://{parts.netloc}",)
    return (_CHECKOUT_PAGE, _CARD_PAGE)
