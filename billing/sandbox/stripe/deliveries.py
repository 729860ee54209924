"""Sending events: signed, tried again for three days, spoilt on demand."""

import hashlib
import hmac
import json
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import httpx2

from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.store import Store

MODES = ("normal", "drop", "duplicate", "reorder", "hold")
_LATER = (15, 300, 1800, 7200, 18000, 36000)
_THEN = 43200
GIVE_UP = 3 * 86400
"""No try begins later than this many seconds after the event (reliability 1.1)."""
_GOOD = 2
"""Any 2xx is a receipt."""
_WAIT = 10.0
"""Seconds of real time an endpoint has for its answer."""


def signature(body: bytes, secret: str, stamp: int) -> str:
    """``Stripe-Signature`` of a body: HMAC-SHA256 over ``stamp.body``."""
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


def next_try(born: float, at: float, attempts: int) -> float | None:
    """When to try again after so many attempts, or None when three days are over."""
    # Whole microseconds: a clock set to this very instant must find the delivery due.
    again = round(at + (_LATER[attempts - 1] if attempts <= len(_LATER) else _THEN), 6)
    return again if again <= born + GIVE_UP else None


class Postman:
    """Sends what is due. One at a time, in order, so that *normal* means in order."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._tls: ssl.SSLContext | None = None

    def next_due(self) -> float | None:
        """The earliest instant at which something is to be sent; None while deliveries are held."""
        if self._store.setting("webhooks", "normal") == "hold":
            return None
        row = self._store.one("SELECT min(due) FROM deliveries WHERE due IS NOT NULL")
        return None if row[0] is None else float(row[0])

    async def send_due(self) -> int:
        """One round: everything due now is sent (or dropped) once. Answers how many."""
        mode = str(self._store.setting("webhooks", "normal"))
        if mode == "hold":
            return 0
        rows = self._store.rows(
            "SELECT d.seq, d.event, d.endpoint, d.mode, d.attempts, d.born, e.body FROM deliveries d "
            "JOIN events e ON e.id = d.event WHERE d.due <= ? ORDER BY d.seq LIMIT 500",
            self._now().timestamp(),
        )
        if mode == "reorder":
            rows.reverse()
        if not rows:
            return 0
        self._tls = self._tls or ssl.create_default_context()
        async with httpx2.AsyncClient(verify=self._tls, trust_env=False, timeout=_WAIT) as client:
            for row in rows:
                await self._send(client, row, mode)
        return len(rows)

    async def _send(self, client: httpx2.AsyncClient, row: Any, mode: str) -> None:
        seq, event, endpoint_id, first_mode, attempts, born, text = row
        if mode == "drop":
            self._store.run("UPDATE deliveries SET state = 'dropped', due = NULL WHERE seq = ?", seq)
            return
        endpoint = self._store.get(endpoint_id)
        if endpoint is None or endpoint["status"] != "enabled":
            self._store.run("UPDATE deliveries SET state = 'failed', due = NULL WHERE seq = ?", seq)
            return
        copies = 2 if attempts == 0 and "duplicate" in (mode, first_mode) else 1
        status = 0
        for _ in range(copies):
            status = await self._post(client, endpoint, self._body(text, event))
        self._note(seq, status, attempts + 1, born)

    def _body(self, text: str, event: str) -> bytes:
        query = "SELECT count(*) FROM deliveries WHERE event = ? AND state = 'pending'"
        waiting = int(self._store.one(query, event)[0])
        return json.dumps({**cast("Json", json.loads(text)), "pending_webhooks": waiting}).encode()

    async def _post(self, client: httpx2.AsyncClient, endpoint: Json, body: bytes) -> int:
        """The status of the answer; 0 when there was none."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(body, str(endpoint["_secret"]), int(self._now().timestamp())),
        }
        try:
            answer = await client.post(str(endpoint["url"]), content=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return 0
        return answer.status_code

    def _note(self, seq: int, status: int, attempts: int, born: float) -> None:
        at = self._now().timestamp()
        good = status // 100 == _GOOD
        again = None if good else next_try(born, at, attempts)
        state = "succeeded" if good else "pending" if again is not None else "failed"
        self._store.run(
            "UPDATE deliveries SET state = ?, attempts = ?, due = ?, last_status = ?, last_at = ? WHERE seq = ?",
            state,
            attempts,
            again,
            status,
            at,
            seq,
        )
