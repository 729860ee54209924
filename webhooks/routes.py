"""`POST /webhooks/stripe`: prove, keep, commit, say yes. Nothing else happens in the request (I21)."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Router, post
from litestar.di import NamedDependency

from billing.kernel.bodies import LONGEST
from billing.kernel.db import Database
from billing.kernel.errors import Malformed
from billing.kernel.web import problem_answers
from webhooks import service
from webhooks.signature import verdict
from webhooks.translate import head_of

_SIGNATURE = b"stripe-signature"


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
    database: NamedDependency[Database],
    webhook_secrets: NamedDependency[tuple[str, ...]],
    expects_livemode: NamedDependency[bool],
    at: NamedDependency[datetime],
) -> Received:
    """Signed over exactly these bytes within 300 s, or refused without a trace (I29). A copy changes nothing."""
    body = await request.body()
    found = [value for name, value in request.scope["headers"] if name.lower() == _SIGNATURE]
    judged = verdict(body, found[0] if len(found) == 1 else None, webhook_secrets, at)
    if judged != "genuine":
        raise Malformed("The signature of this body is not valid.", code="signature_invalid", verdict=judged)
    head = head_of(body, expects_livemode=expects_livemode)
    async with database.begin() as session:
        await service.keep(session, head, at)
    return Received()


webhooks_router = Router(path="/webhooks", route_handlers=[receive], tags=["Webhooks"])
