"""What renews is opened by the link of its order, on each of its pages (R38, R39, R67)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.catalog.values import Catalogue
from billing.checkout import service, showing, showing_renewal
from billing.checkout.opening import Desk, open_order
from billing.checkout.showing_renewal import Standing
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Html, Site, page, speech_of


class RenewalDesk(Desk, frozen=True):
    """An order whose link is good, and how its renewal stands."""

    found: Standing

    @property
    def renewal(self) -> str:
        """The page of the renewal."""
        return f"{self.here}/renewal"

    def back(self, done: str | None = None) -> str:
        """Its address after a form; it tells the truth, whatever was asked for."""
        told = f"&done={done}" if done else ""
        return f"{self.renewal}?lang={self.speech.locale}{told}"


async def open_renewal(
    request: AnyRequest, session: AsyncSession, token: str, site: Site, catalogue: Catalogue, at: datetime,
    form: Mapping[str, Any] | None = None,
) -> RenewalDesk | Html:  # fmt: skip
    """The renewal behind a link, or the page that helps."""
    desk = await open_order(request, session, token, site, form)
    if not isinstance(desk, Desk):
        return desk
    found = await showing_renewal.standing(session, service.order_id(desk.order), catalogue, at)
    if found is None:
        speech = speech_of(request)
        return page(site, showing.gone(site.seller, speech, "unknown"), speech, 404)
    return RenewalDesk(**msgspec.structs.asdict(desk), found=found)
