"""Where a newcomer begins: what there is to open, and buttons that let time pass."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Final

from litestar import Response, Router, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect

from billing.kernel.days import WARSAW
from billing.sandbox.moves import target
from billing.sandbox.web import page

PLACE: Final = "/sandbox"
STEPS: Final = (("PT1H", "an hour"), ("P1D", "a day"), ("P7D", "a week"), ("P30D", "30 days"))
"""How far the buttons go, as ISO 8601 durations, and what they say."""


def front_router(now: Callable[[], datetime], advance: Callable[[datetime], Awaitable[object]]) -> Router:
    """The page, and what its buttons do: as POST /sandbox/clock, from a form."""

    @get("/")
    async def front() -> Response[str]:
        return page("front.html", now=now().astimezone(WARSAW), steps=STEPS)

    @post("/wait", status_code=303)
    async def wait(data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]) -> Redirect:
        await advance(target(now(), data.get("advance"), None))
        return Redirect(PLACE, status_code=303)

    return Router(PLACE, route_handlers=[front, wait])
