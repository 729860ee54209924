"""The hot door of batches: many questions in their plainest form, answered before the router when nobody need be waited
for. Anything else is passed on with its body to the typed route, which answers the same, by test.

Plain: `questions.plain_many`, no query, every feature is known; the key, its limit and the facts of each account are at
hand in this process. Most pupils have one right: for those, nothing is unpacked but its span.
"""

from collections.abc import Iterable
from datetime import datetime
from time import perf_counter
from typing import Any, Final

import msgspec
import structlog

from billing.kernel.bodies import LONGEST
from billing.kernel.door import App, Message, Receive, Scope, answer_early, dressed, given_again, patient
from billing.kernel.errors import BillingError
from billing.kernel.limits import ASK
from billing.kernel.web import QUESTIONS, limit_headers, request_id_of
from entitlements.answers import CheckResults, CompactResults
from entitlements.batch import Verdict, compact, full
from entitlements.decision import Free, decide_by_facts, free_decision, free_reason, yes_by, yes_until
from entitlements.hot import heard_in
from entitlements.means import Means
from entitlements.questions import PlainBatch, PlainCheck, plain_many
from entitlements.snapshot.packed import instant, micros
from entitlements.telling import kept_by_nobody

ROUTE: Final = "/v1/entitlements/check"
_HEARD: Final = frozenset({b"authorization", b"x-request-id", b"content-type", b"content-length", b"content-encoding"})
_KINDS: Final = frozenset({"application/json", "application/json; charset=utf-8"})

log = structlog.get_logger(__name__)


class NotAtHand(Exception):
    """Somebody must be waited for."""


class HotBatch:
    """Stands before the door of an application, which is `app`."""

    def __init__(self, app: App, means: Means) -> None:
        self._app = app
        self._features = means.features
        self._facts = means.facts
        self._clock = means.clock
        self._key_ring = means.key_ring
        self._limiter = means.limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Any) -> None:
        """Answer, or pass on."""
        heard = _heard(scope)
        if heard is None:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        messages = await _taken(patient(receive))
        told = self._told(messages, heard[b"authorization"])
        if told is None:
            await self._app(scope, given_again(messages, receive), send)
            return
        body, more = told
        request_id = request_id_of(heard.get(b"x-request-id"))
        headers = dressed(kept_by_nobody(body), request_id, more)
        await answer_early(send, "POST", ROUTE, 200, headers, body, request_id, started)

    def _told(self, messages: list[Message], authorization: str) -> tuple[bytes, Iterable[tuple[bytes, bytes]]] | None:
        """The answer and the headers of its limit; None: the typed route must answer."""
        at = self._clock.now()
        caller = self._key_ring.at_hand(authorization, at)
        if caller is None or not caller.may("entitlements:read") or messages[-1]["type"] != "http.request":
            return None
        batch = plain_many(b"".join([message.get("body", b"") for message in messages]))
        if batch is None:
            return None
        try:
            body = msgspec.json.encode(self._answer(batch, at))
        except (NotAtHand, BillingError):
            return None
        except Exception:  # nothing is sent yet: the typed route answers, and tells what is wrong
            log.exception("hot_batch_failed")
            return None
        remaining = self._limiter.at_hand(QUESTIONS, caller.key_id)
        if remaining == ASK:
            return None
        return body, () if remaining is None else limit_headers(QUESTIONS, remaining)

    def _answer(self, batch: PlainBatch, at: datetime) -> CompactResults | CheckResults:
        features = [check.feature for check in batch.checks]
        free: dict[str, Free] = {
            feature: free_reason(self._features, feature, batch.channel) for feature in {*features}
        }
        if not batch.compact:
            return full(batch, self._verdicts(batch, features, free, at), at)
        untils = [0] * len(features)
        if None in free.values():
            untils = yes_until(self._facts.spans_at_hand(batch.accounts, batch.pupils, features), micros(at))
        if any(free.values()):
            untils = [0 if free[feature] else until for feature, until in zip(features, untils, strict=True)]
        return self._compact(batch, untils, free, at)

    def _verdicts(self, batch: PlainBatch, features: list[str], free: dict[str, Free], at: datetime) -> list[Verdict]:
        if None not in free.values():
            return [self._verdict(check, free, at) for check in batch.checks]
        verdicts: list[Verdict] = []
        found = self._facts.only_at_hand(batch.accounts, batch.pupils, features)
        for check, only in zip(batch.checks, found, strict=True):
            pupil, feature = check.pupil, check.feature
            sure = yes_by(pupil, feature, only, at) if only and pupil and free[feature] is None else None
            verdicts.append(sure or self._verdict(check, free, at))
        return verdicts

    def _compact(self, batch: PlainBatch, untils: list[int], free: dict[str, Free], at: datetime) -> CompactResults:
        """One yes after the other where it is sure until when; what is not is decided."""
        sure = [until for until in untils if until]
        changes_at = instant(min(sure)) if sure else None
        if len(sure) == len(untils):
            return CompactResults(at, changes_at, "live", [True] * len(untils))
        pairs = zip(batch.checks, untils, strict=True)
        others = compact([self._verdict(check, free, at) for check, until in pairs if not until], at)
        if others.valid_until is not None and (changes_at is None or others.valid_until < changes_at):
            changes_at = others.valid_until
        told = iter(others.allowed)
        return CompactResults(at, changes_at, others.source, [True if until else next(told) for until in untils])

    def _verdict(self, check: PlainCheck, free: dict[str, Free], at: datetime) -> Verdict:
        reason = free[check.feature]
        if reason is not None:
            return free_decision(check.pupil, check.feature, reason)
        known = self._facts.at_hand(check.account)
        if known is None or known.stale:
            raise NotAtHand
        try:
            return decide_by_facts(known.of(check.pupil), check.feature, at, at)
        except BillingError as fault:
            return fault


def _heard(scope: Scope) -> dict[bytes, str] | None:
    """The headers that make a difference; None where it is no plain batch."""
    if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != ROUTE or scope["query_string"]:
        return None
    heard = heard_in(scope["headers"], _HEARD)
    if heard is None or b"authorization" not in heard or b"content-encoding" in heard:
        return None
    length = heard.get(b"content-length", "")
    is_small = length.isdecimal() and int(length) <= LONGEST
    return heard if is_small and heard.get(b"content-type") in _KINDS else None


async def _taken(receive: Receive) -> list[Message]:
    """The body as the server gives it."""
    messages: list[Message] = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages
