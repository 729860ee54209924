"""The door of ``/v1``: who asks, under which key, what is answered, and what is written down of it."""

import base64
import binascii
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from billing.sandbox.stripe import (
    balance,
    catalogue,
    clocks,
    customers,
    disputes,
    errors,
    events,
    forms,
    intents,
    invoice_calls,
    mandates,
    params,
    pausing,
    portal,
    refunds,
    sessions,
    subscription_calls,
)
from billing.sandbox.stripe.books import API_VERSION, Asking, Books, new_id
from billing.sandbox.stripe.errors import Json, StripeError
from billing.sandbox.stripe.expand import expand
from billing.sandbox.stripe.operations import Operation
from billing.sandbox.stripe.store import Store

_MONEY = (balance, catalogue, customers, disputes, events, intents, mandates, portal, refunds, sessions)
_TIME = (clocks, invoice_calls, pausing, subscription_calls)
OPERATIONS: list[Operation] = [row for room in (*_MONEY, *_TIME) for row in room.OPERATIONS]
LONGEST_KEY = 255
KEY_LIFE = 24 * 3600
"""Answers are kept under their key for this many seconds of the stand-in's clock (reliability 1.2)."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What came over the wire; ``path`` begins with ``/v1/``, header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; ``lost`` means that nobody will ever read it."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    lost: bool = False


LOST = Answer(0, b"", {}, lost=True)


class Api:
    """Answers one request in one transaction at one instant."""

    def __init__(self, store: Store, now: Callable[[], datetime], public_base: str) -> None:
        self._store = store
        self._now = now
        self._public_base = public_base

    def answer(self, request: Request) -> Answer:
        """The answer, written down in the request log together with everything it changed."""
        fault = str(self._store.setting("api", "normal"))
        request_id = new_id("req", 14)
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        books = Books(self._store, self._now(), self._public_base, Asking(request_id, key))
        form: Json = {}
        replayed = False
        with self._store.transaction():
            self._store.run("DELETE FROM answers WHERE at < ?", books.instant - KEY_LIFE)
            try:
                form = _form(request)
                if fault == "timeout_before":
                    self._write_down(books, request, form, None, None)
                    return LOST
                status, body, replayed = self._decide(books, request, form, fault)
            except StripeError as refusal:
                status, body = refusal.status, json.dumps(refusal.envelope(request_id))
            self._write_down(books, request, form, status, None if fault == "timeout_after" else body)
        if fault == "timeout_after":
            return LOST
        return Answer(status, body.encode(), _headers(request_id, key, replayed=replayed))

    def _decide(self, books: Books, request: Request, form: Json, fault: str) -> tuple[int, str, bool]:
        """Status, body and whether it is a replay."""
        _authorize(request.headers)
        _check_version(request.headers)
        _maybe_refuse(fault)
        operation, names = _find(request)
        kept = self._kept(books, request, form)
        if kept is not None:
            return (*kept, True)
        status, body, stored = self._execute(books, operation, names, form, fault)
        if stored and books.asking.key:
            self._store.run(
                "INSERT INTO answers (key, fingerprint, status, body, at) VALUES (?, ?, ?, ?, ?)",
                books.asking.key,
                _fingerprint(request, form),
                status,
                body,
                books.instant,
            )
        return status, body, False

    def _kept(self, books: Books, request: Request, form: Json) -> tuple[int, str] | None:
        key = books.asking.key
        if key is None:
            return None
        if not 1 <= len(key) <= LONGEST_KEY:
            raise errors.invalid("Idempotency keys must be between 1 and 255 characters long.")
        row = self._store.one("SELECT fingerprint, status, body FROM answers WHERE key = ?", key)
        if row is None:
            return None
        if row[0] != _fingerprint(request, form):
            raise errors.key_reused(key)
        return int(row[1]), str(row[2])

    def _execute(
        self, books: Books, operation: Operation, names: Mapping[str, str], form: Json, fault: str
    ) -> tuple[int, str, bool]:
        self._store.run("SAVEPOINT work")
        try:
            _maybe_break(fault, operation)
            given = params.read(form, operation.rules, operation.required)
            paths = cast("list[str]", given.pop("expand", []))
            body = expand(books, operation.run(books, given, names), paths)
        except StripeError as refusal:
            if not refusal.keeps:
                self._store.run("ROLLBACK TO work")
            return refusal.status, json.dumps(refusal.envelope(str(books.asking.request_id))), refusal.stored
        except Exception:  # noqa: BLE001 - a bug of ours must look like a 500 of theirs, and be logged
            self._store.run("ROLLBACK TO work")
            _log.exception("the stand-in failed on %s %s", operation.method, operation.path)
            return 500, json.dumps(errors.server_error().envelope(str(books.asking.request_id))), True
        finally:
            self._store.run("RELEASE work")
        return 200, json.dumps(body), True

    def _write_down(self, books: Books, request: Request, form: Json, status: int | None, answer: str | None) -> None:
        self._store.run(
            "INSERT INTO requests (id, method, path, form, key, status, answered, at, answer) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            str(books.asking.request_id),
            request.method,
            request.path,
            json.dumps(form),
            books.asking.key,
            status,
            answer is not None,
            books.instant,
            answer,
        )


def _maybe_refuse(fault: str) -> None:
    if fault == "unauthorized":
        raise errors.unauthorized("sk_test_rotated")
    if fault == "forbidden":
        raise errors.forbidden()
    if fault == "rate_limit":
        raise errors.rate_limited()


def _maybe_break(fault: str, operation: Operation) -> None:
    if fault == "error_500":
        raise errors.server_error()
    if fault == "no_balance" and (operation.method, operation.path) == ("POST", "/v1/refunds"):
        raise errors.refused("Insufficient funds in your Stripe balance.", code="balance_insufficient")


def _form(request: Request) -> Json:
    if request.method != "POST" and not (request.method == "DELETE" and request.body):
        return forms.decode(request.query)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if request.body and kind != "application/x-www-form-urlencoded":
        raise errors.invalid(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded)."
        )
    try:
        return forms.decode(request.body.decode())
    except UnicodeDecodeError as fault:
        raise errors.invalid("Invalid request: the body is not UTF-8.") from fault


def _authorize(headers: Mapping[str, str]) -> None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    key = value.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = "invalid"
    if not key.startswith(("sk_test_", "rk_test_")):
        raise errors.unauthorized(key)


def _check_version(headers: Mapping[str, str]) -> None:
    asked = headers.get("stripe-version", API_VERSION)
    if asked != API_VERSION:
        raise errors.invalid(f"Invalid Stripe API version: {asked}")


def _find(request: Request) -> tuple[Operation, dict[str, Any]]:
    for operation in OPERATIONS:
        match = operation.pattern.match(request.path) if operation.method == request.method else None
        if match is not None:
            return operation, match.groupdict()
    raise errors.not_found(request.method, request.path)


def _fingerprint(request: Request, form: Json) -> str:
    said = json.dumps([request.method, request.path, form], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _headers(request_id: str, key: str | None, *, replayed: bool) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Cache-Control": "no-cache, no-store",
        "Request-Id": request_id,
        "Stripe-Version": API_VERSION,
    }
    if key:
        headers["Idempotency-Key"] = key
    if replayed:
        headers |= {"Idempotent-Replayed": "true"}
    return headers
