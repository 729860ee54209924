"""`POST /webhooks/stripe`: prove, keep, commit, say yes. Nothing else happens in the request (I21)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency

from billing.kernel.bodies import LONGEST
from billing.kernel.clock import Clock
from billing.kernel.errors import Malformed
from billing.kernel.web import problem_answers
from webhooks.keeping import Intake
from webhooks.signature import verdict
from webhooks.translate import Head, head_of

REFUSED = "refused"
"""Where in a request's state the letter slot says why it kept nothing, so that nothing is tried a second time."""
_SIGNATURE = b"stripe-signature"


class MailRoom(msgspec.Struct, frozen=True, kw_only=True):
    """What both ways in stand on: the letter slot and the route."""

    intake: Intake
    secrets: tuple[str, ...]
    expects_livemode: bool
    clock: Clock

    def open(self, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> tuple[Head, datetime]:
        """What a genuine body says, and when it came. Raises Malformed where it is not genuine (I29)."""
        found = [value for name, value in headers if name.lower() == _SIGNATURE]
        at = self.clock.now()
        judged = verdict(body, found[0] if len(found) == 1 else None, self.secrets, at)
        if judged != "genuine":
            raise Malformed("The signature of this body is not valid.", code="signature_invalid", verdict=judged)
        return head_of(body, expects_livemode=self.expects_livemode), at


class Received(msgspec.Struct, frozen=True):
    """The event is kept, and will be handled."""

    received: bool = True


@post(
    "/stripe",
    status_code=200,
    operation_id="receiveStripeEvent",
    summary="An event from Stripe",
    request_max_body_size=LONGEST,
    responses=problem_answers(400, 413, 503),
)
async def receive(
    request: Request[Any, Any, Any],
    mail_room: NamedDependency[MailRoom],
) -> Received:
    """Signed over exactly these bytes within 300 s, or refused without a trace (I29). A copy changes nothing."""
    body = await request.body()
    if isinstance(fault := request.scope["state"].get(REFUSED), Exception):
        raise fault
    head, at = mail_room.open(request.scope["headers"], body)
    await mail_room.intake.keep(head, at)
    return Received()


webhooks_router = Router(path="/webhooks", route_handlers=[receive], tags=["Webhooks"])
