"""The front desk put together: its ways in, what they are given, and the door. The whole product and the desk alone
(`app`) both take it from here, so that they cannot answer differently."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from litestar import Litestar

from billing.kernel.clock import Clock
from billing.kernel.db import Database
from billing.kernel.door import Door
from billing.kernel.keys import KeyRing
from billing.kernel.limits import Limiter
from billing.kernel.settings import Standing
from billing.kernel.signing import read_keys
from entitlements.facts import Facts
from entitlements.features import FeatureList
from entitlements.hot import HotDoor
from entitlements.hot_batch import HotBatch
from entitlements.means import Means
from entitlements.reader import FactsReader
from entitlements.routes import entitlements_router
from entitlements.routes_changes import changes_router
from entitlements.routes_ofrep import ofrep_router
from entitlements.routes_tokens import signing_keys, tokens_router
from entitlements.snapshot.front import OFF, Snapshot
from entitlements.tokens import Tokens

WAYS_IN: Final[tuple[Any, ...]] = (
    entitlements_router,
    tokens_router,
    signing_keys,
    ofrep_router,
    changes_router,
)


class FrontDesk:
    """What this room stands on in one web process."""

    def __init__(
        self,
        settings: Standing,
        features: FeatureList,
        *,
        database: Database,
        clock: Clock,
        key_ring: KeyRing,
        limiter: Limiter,
    ) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock
        self.limiter = limiter
        self.public_url = settings.public_url.rstrip("/")
        reader = FactsReader(database)
        self._snapshot = None if settings.snapshot == OFF else Snapshot(reader, database, settings.snapshot)
        self.facts: Facts = self._snapshot or reader
        self._means = Means(features, self.facts, clock, key_ring, limiter)
        self._keys = read_keys(settings.signing_keys.value)

    def given(self) -> dict[str, Any]:
        """What handlers ask for by name, beside session, instant, database and clock."""
        return {"features": self._means.features, "facts": self.facts, "keys": self._keys}

    def state(self) -> dict[str, Any]:
        """What the kernel's door and guards, and the routes that answer questions, look up in the application's."""
        tokens = Tokens(self._keys, self.public_url, self.settings.signing_audience)
        return {
            "key_ring": self._means.key_ring,
            "limiter": self.limiter,
            "public_url": self.public_url,
            "means": self._means,
            "tokens": tokens,
        }

    def hang(self, app: Litestar) -> None:
        """Put the doors before the application's router."""
        door = Door(cast("Any", app.asgi_handler), self.public_url)
        hot = HotDoor(HotBatch(door, self._means), self._means)
        app.asgi_handler = cast("Any", hot)

    @asynccontextmanager
    async def open(self, _: Litestar) -> AsyncGenerator[None]:
        """A lifespan of the application: what must run beside the answers."""
        if self._snapshot is None:
            yield
            return
        self._snapshot.open()
        try:
            yield
        finally:
            await self._snapshot.close()
