"""The hot door: a question about one feature, in its plain form, answered before the router when nobody need be waited
for. Anything else is passed on untouched to the typed route, which answers the same, by test.

Plain: GET or HEAD, nothing escaped or said twice, no `at`, not `consistency=strong`; the key, its limit and the facts
are at hand in this process. Whatever is wrong with a question is told by the typed route alone.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import datetime
from time import perf_counter
from typing import Any, Final

import structlog

from billing.kernel import logs, metrics
from billing.kernel.clock import Clock
from billing.kernel.door import dressed
from billing.kernel.errors import BillingError
from billing.kernel.keys import KeyRing
from billing.kernel.limits import ASK, Limiter
from billing.kernel.web import QUESTIONS, limit_headers, request_id_of
from entitlements import answers
from entitlements.answers import Sealed
from entitlements.decision import decide_by_facts, free_decision, free_reason
from entitlements.facts import Facts
from entitlements.features import FeatureList
from entitlements.questions import Question, plain
from entitlements.telling import JSON, reply

Scope = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

ROUTE: Final = "/v1/accounts/{account}/entitlements/{feature}"
"""The template of the typed route, by which requests are counted."""
_PARTS: Final = 6
_HEARD: Final = frozenset({b"authorization", b"x-request-id", b"if-none-match"})
_METHODS: Final = frozenset({"GET", "HEAD"})

log = structlog.get_logger(__name__)


class HotDoor:
    """Stands before the door of an application, which is `app`."""

    def __init__(
        self, app: App, *, features: FeatureList, facts: Facts, clock: Clock, key_ring: KeyRing, limiter: Limiter
    ) -> None:
        self._app = app
        self._features = features
        self._facts = facts
        self._clock = clock
        self._key_ring = key_ring
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        heard = heard_in(scope["headers"], _HEARD)
        told = None if heard is None else self._told(scope, heard)
        if told is None or heard is None:
            await self._app(scope, receive, send)
            return
        sealed, more = told
        status, headers, body = reply(sealed, JSON, heard.get(b"if-none-match"))
        method, request_id = scope["method"], request_id_of(heard.get(b"x-request-id"))
        try:
            await send({"type": "http.response.start", "status": status, "headers": dressed(headers, request_id, more)})
            await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body, "more_body": False})
        finally:
            took = perf_counter() - started
            metrics.request(method, ROUTE, status, took)
            logs.request(request_id, method, ROUTE, status, took)

    def _told(self, scope: Scope, heard: dict[bytes, str]) -> tuple[Sealed, Iterable[tuple[bytes, bytes]]] | None:
        """The answer and the headers of its limit; None: the typed route must answer."""
        parts = scope["path"].split("/")
        if len(parts) != _PARTS or parts[4] != "entitlements" or parts[2] != "accounts" or parts[1] != "v1":
            return None
        if parts[0] or b"%" in scope.get("raw_path", b"%"):
            return None
        question = plain(parts[3], scope["query_string"])
        authorization = heard.get(b"authorization")
        if question is None or authorization is None:
            return None
        at = self._clock.now()
        caller = self._key_ring.at_hand(authorization, at)
        if caller is None or not caller.may("entitlements:read"):
            return None
        try:
            sealed = self._decided(question, parts[5], at)
        except BillingError:
            return None
        except Exception:  # nothing is sent yet: the typed route answers, and tells what is wrong
            log.exception("hot_door_failed")
            return None
        remaining = ASK if sealed is None else self._limiter.at_hand(QUESTIONS, caller.key_id)
        if sealed is None or remaining == ASK:
            return None
        return sealed, () if remaining is None else limit_headers(QUESTIONS, remaining)

    def _decided(self, question: Question, feature: str, at: datetime) -> Sealed | None:
        free = free_reason(self._features, feature, question.channel)
        if free is not None:
            decision = free_decision(question.pupil, feature, free)
        else:
            known = self._facts.at_hand(question.account)
            if known is None or known.stale:
                return None
            decision = decide_by_facts(known.of(question.pupil), feature, at, at)
        return answers.one(question.account, question.channel, decision, at, at)


def heard_in(headers: Iterable[tuple[bytes, bytes]], wanted: frozenset[bytes]) -> dict[bytes, str] | None:
    """The headers that make a difference; None where one of them is said twice."""
    heard: dict[bytes, str] = {}
    for name, value in headers:
        if name in wanted:
            if name in heard:
                return None
            heard[name] = value.decode("latin-1")
    return heard
