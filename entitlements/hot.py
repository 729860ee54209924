"""The hot door: a question about one feature, in its plain form, answered before the router when nobody need be waited
for but, with `consistency=strong`, the database. Anything else is passed on to the typed route, which answers the same,
by test.

Plain: GET or HEAD, nothing escaped or said twice, no `at`; the key, its limit and the facts are at hand in this
process. Whatever is wrong with a question is told by the typed route alone; it is told what was counted here already,
and that the database did not answer, so that nothing is counted and nobody waited for twice.
"""

from collections.abc import Awaitable, Iterable
from datetime import datetime
from time import perf_counter
from typing import Any, Final

import msgspec
import structlog

from billing.kernel.door import App, Scope, answer_early, dressed
from billing.kernel.errors import BillingError, Unavailable
from billing.kernel.keys import Caller
from billing.kernel.limits import ASK
from billing.kernel.web import QUESTIONS, limit_headers, request_id_of
from entitlements import answers
from entitlements.answers import Sealed
from entitlements.decision import Free, decide_by_facts, free_decision, free_reason, yes_by
from entitlements.facts import AccountFacts
from entitlements.means import Means
from entitlements.questions import Question, plain
from entitlements.telling import JSON, reply

ROUTE: Final = "/v1/accounts/{account}/entitlements/{feature}"
"""The template of the typed route, by which requests are counted."""
_PARTS: Final = 6
_HEARD: Final = frozenset({b"authorization", b"x-request-id", b"if-none-match"})
_METHODS: Final = frozenset({"GET", "HEAD"})

log = structlog.get_logger(__name__)


class _Asked(msgspec.Struct, frozen=True, gc=False):
    question: Question
    feature: str
    caller: Caller
    at: datetime


_Told = tuple[Sealed, Iterable[tuple[bytes, bytes]]]


class HotDoor:
    """Stands before the door of an application, which is `app`."""

    def __init__(self, app: App, means: Means) -> None:
        self._app = app
        self._features = means.features
        self._facts = means.facts
        self._clock = means.clock
        self._key_ring = means.key_ring
        self._limiter = means.limiter

    def __call__(self, scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
        """Answer, or pass on."""
        is_asking = scope["type"] == "http" and scope["method"] in _METHODS
        return (self._answer if is_asking else self._app)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Any, send: Any) -> None:
        started = perf_counter()
        heard = heard_in(scope["headers"], _HEARD)
        asked = None if heard is None else self._asked(scope, heard)
        told = None if asked is None else await self._told(scope, asked)
        if told is None or heard is None:
            await self._app(scope, receive, send)
            return
        sealed, more = told
        status, headers, body = reply(sealed, JSON, heard.get(b"if-none-match"))
        request_id = request_id_of(heard.get(b"x-request-id"))
        headers = dressed(headers, request_id, more)
        await answer_early(send, scope["method"], ROUTE, status, headers, body, request_id, started)

    def _asked(self, scope: Scope, heard: dict[bytes, str]) -> _Asked | None:
        """A question in its plain form, by somebody who is known here."""
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
        return _Asked(question, parts[5], caller, at) if caller and caller.may("entitlements:read") else None

    async def _told(self, scope: Scope, asked: _Asked) -> _Told | None:
        """The answer and the headers of its limit; None: the typed route must answer. What is asked of the database is
        asked only within the limit."""
        remaining = self._limiter.at_hand(QUESTIONS, asked.caller.key_id)
        if remaining == ASK:
            return None
        scope["state"]["counted"] = remaining
        question, facts = asked.question, self._facts
        try:
            free = free_reason(self._features, asked.feature, question.channel)
            sealed = self._sure(asked, free)
            if sealed is None:
                known = None
                if free is None:
                    account = question.account
                    known = await facts.account(account, strong=True) if question.strong else facts.at_hand(account)
                sealed = _sealed(asked, free, known)
        except Unavailable as fault:
            scope["state"]["unavailable"] = fault
            return None
        except BillingError:
            return None
        except Exception:  # nothing is sent yet: the typed route answers, and tells what is wrong
            log.exception("hot_door_failed")
            return None
        if sealed is None:
            return None
        return sealed, () if remaining is None else limit_headers(QUESTIONS, remaining)

    def _sure(self, asked: _Asked, free: Free) -> Sealed | None:
        """A yes by the only right of the account's only pupil, as for most; None: it must be decided."""
        question = asked.question
        if free is not None or question.strong or question.pupil is None:
            return None
        sought = (question.account.encode(),), (question.pupil.encode(),), (asked.feature,)
        (only,) = self._facts.only_at_hand(*sought)
        sure = yes_by(question.pupil, asked.feature, only, asked.at) if only else None
        return answers.one(question.account, question.channel, sure, asked.at, asked.at) if sure else None


def _sealed(asked: _Asked, free: Free, known: AccountFacts | None) -> Sealed | None:
    question, feature, at = asked.question, asked.feature, asked.at
    if free is not None:
        decision = free_decision(question.pupil, feature, free)
    elif known is None or known.stale:
        return None
    else:
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
