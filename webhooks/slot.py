"""The letter slot: an event that is rightly signed and can be read is kept before the router, and answered. Anything
else is passed on untouched to the typed route, which answers the same, by test, and alone tells what is wrong.
"""

from collections.abc import Awaitable
from time import perf_counter
from typing import Any, Final

import asyncpg

from billing.kernel.bodies import LONGEST
from billing.kernel.door import App, Message, Receive, Scope, answer_early, dressed, given_again, patient
from billing.kernel.errors import BillingError
from billing.kernel.web import request_id_of
from webhooks.routes import REFUSED, MailRoom

ROUTE: Final = "/webhooks/stripe"
"""The address, which is also the template of the typed route, by which requests are counted."""
_YES: Final = b'{"received":true}'
_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_YES))]


class LetterSlot:
    """Stands before the doors of an application, which are `app`."""

    def __init__(self, app: App, mail_room: MailRoom) -> None:
        self._app = app
        self._mail_room = mail_room

    def __call__(self, scope: Scope, receive: Receive, send: Any) -> Awaitable[None]:
        """Keep the event and say yes, or pass on what was read of the request."""
        is_letter = scope["type"] == "http" and scope["path"] == ROUTE and scope["method"] == "POST"
        return (self._take if is_letter else self._app)(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Any) -> None:
        started = perf_counter()
        headers = dict(scope["headers"])
        read: list[Message] = []
        if not await self._is_kept(scope, headers.get(b"content-length", b"0"), receive, read):
            scope["state"]["started"] = started  # it may have waited for the store
            await self._app(scope, given_again(read, receive), send)
            return
        request_id = request_id_of(headers.get(b"x-request-id", b"").decode("latin-1"))
        await answer_early(send, "POST", ROUTE, 200, dressed(_HEADERS, request_id), _YES, request_id, started)

    async def _is_kept(self, scope: Scope, length: bytes, receive: Receive, read: list[Message]) -> bool:
        """Whether the event is on disk now; `read` is what was taken of the request for it."""
        body = await _body(patient(receive), read) if length.isdigit() and int(length) <= LONGEST else None
        if body is None:
            return False
        try:
            head, at = self._mail_room.open(scope["headers"], body)
            if head.trouble is not None:  # which is told in the log, with the id of the request
                return False
            await self._mail_room.intake.keep(head, at)
        except (BillingError, asyncpg.PostgresError) as fault:
            scope["state"][REFUSED] = fault
            return False
        return True


async def _body(receive: Receive, read: list[Message]) -> bytes | None:
    """The whole body; None where it is too long, or the sender has gone away."""
    size = 0
    while True:
        message = await receive()
        read.append(message)
        if message["type"] != "http.request":
            return None
        size += len(message.get("body", b""))
        if size > LONGEST:
            return None
        if not message.get("more_body", False):
            return b"".join([part.get("body", b"") for part in read])
