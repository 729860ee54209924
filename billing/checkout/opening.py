"""An order's pages are opened by the token of its link, in this room and in those above it (R38, R39)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from billing.checkout import service, showing
from billing.checkout.service import Order
from billing.kernel.speech import Speech
from billing.kernel.web import AnyRequest
from billing.kernel.web_pages import Html, Site, page, speech_of, wrong_link


class Desk(msgspec.Struct, frozen=True):
    """An order whose link is good, and all that is needed to show its pages."""

    order: Order
    token: str
    site: Site
    speech: Speech

    @property
    def here(self) -> str:
        """The order's own page."""
        return f"/orders/{self.token}"

    def answer(self, html: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Html:
        """A page as the answer."""
        return page(self.site, html, self.speech, status, headers)


async def open_order(
    request: AnyRequest, session: AsyncSession, token: str, site: Site, form: Mapping[str, Any] | None = None
) -> Desk | Html:
    """The order behind a link, or the page that helps; guesses are counted. `form` is what was posted, if anything."""
    row = await service.find_order(session, token)
    if row is None:
        return await wrong_link(request, site, lambda speech: showing.gone(site.seller, speech, "unknown"))
    return Desk(row, token, site, speech_of(request, row.locale, form))
