"""`POST /webhooks/stripe`: prove, keep, commit, say yes. Nothing else happens in the request (I21)."""

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
from webhooks.translate import head_of

_SIGNATURE = b"stripe-signature"


class MailRoom(msgspec.Struct, frozen=True, kw_only=True):
    """What the route stands on, given to it as one thing: the framework puts several together for each request anew."""

    intake: Intake
    secrets: tuple[str, ...]
    expects_livemode: bool
    clock: Clock


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
    found = [value for name, value in request.scope["headers"] if name.lower() == _SIGNATURE]
    at = mail_room.clock.now()
    judged = verdict(body, found[0] if len(found) == 1 else None, mail_room.secrets, at)
    if judged != "genuine":
        raise Malformed("The signature of this body is not valid.", code="signature_invalid", verdict=judged)
    head = head_of(body, expects_livemode=mail_room.expects_livemode)
    await mail_room.intake.keep(head, at)
    return Received()


webhooks_router = Router(path="/webhooks", route_handlers=[receive], tags=["Webhooks"])
