"""The same decisions in the words of the OpenFeature Remote Evaluation Protocol (OFREP 0.3): a flag for each feature.

`targetingKey` of the context is the account; `pupil` and `channel` are attributes of it. Others are left alone: an
app's context holds what it likes. A flag's `variant` is our reason, so what refuses is told as well as what allows.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from billing.kernel.bodies import check_text
from billing.kernel.errors import BillingError, Fault, Invalid, Malformed, NotFound
from entitlements.answers import Sealed, origin_of, tag_of
from entitlements.decision import Channel, Decision, earliest_change, free_decision, free_reason
from entitlements.facts import AccountFacts, PupilRequired
from entitlements.features import FeatureList, UnknownFeature
from entitlements.judging import judge
from entitlements.questions import Question, ask

ErrorCode = Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"]

_encoder = msgspec.json.Encoder()
_QUERY: Final = "consistency"
_REVALIDATE: Final = "private, no-cache"
"""Kept by the caller, and asked about again before each use: the protocol polls with `If-None-Match`."""


class TargetingKeyMissing(Malformed):
    """Nobody is asked about."""

    code = "targeting_key_missing"

    def __init__(self) -> None:
        words = "Put the account's reference into `targetingKey` of the context."
        super().__init__(words, faults=(Fault("/context/targetingKey", "missing", words),))


class Flag(msgspec.Struct, frozen=True, gc=False):
    """A decision as a flag. `metadata` holds `channel`, `pupil`, `valid_until` (absent: never), `notice_pending`,
    `free_in_browser`, `reverts_to` and `source`, as in the plain answer."""

    key: str
    value: bool
    reason: Literal["STATIC", "TARGETING_MATCH"]
    variant: str
    metadata: dict[str, str | bool]


class FlagFailure(msgspec.Struct, frozen=True, gc=False):
    """Stands in the place of a flag that cannot be decided; its neighbours are. `code` is our own word for it."""

    key: str
    error_code: ErrorCode = msgspec.field(name="errorCode")
    error_details: str = msgspec.field(name="errorDetails")
    code: str


class Flags(msgspec.Struct, frozen=True, gc=False):
    """All features as flags; `metadata` holds `channel`, `source` and the earliest `valid_until`."""

    flags: tuple[Flag | FlagFailure, ...]
    metadata: dict[str, str]


class OfrepFailure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no answer. `code` is the one that a problem of this API would carry; `key` the flag asked for."""

    error_code: ErrorCode = msgspec.field(name="errorCode")
    error_details: str = msgspec.field(name="errorDetails")
    code: str
    request_id: str
    key: str | None = None


class _Context(msgspec.Struct, frozen=True):
    targeting_key: str | None = msgspec.field(name="targetingKey", default=None)
    channel: str | None = None
    pupil: str | None = None


class _Request(msgspec.Struct, frozen=True):
    context: _Context = _Context()


_decoder = msgspec.json.Decoder(_Request)


def read(body: bytes, query: Iterable[tuple[str, str]]) -> Question:
    """What is asked. Raises TargetingKeyMissing, and Malformed as `questions.ask` does, naming every fault."""
    check_text(body)
    try:
        context = _decoder.decode(body).context
    except msgspec.ValidationError as fault:
        raise Malformed(
            "The context cannot be understood.", faults=(Fault("/context", "invalid", str(fault)),)
        ) from None
    if not context.targeting_key:
        raise TargetingKeyMissing
    told = [("channel", context.channel), ("pupil", context.pupil)]
    others = [(name if name == _QUERY else f"query.{name}", value) for name, value in query]
    return ask(context.targeting_key, [(name, value) for name, value in told if value is not None] + others)


def needs_facts(features: FeatureList, asked: Iterable[str], channel: Channel) -> bool:
    """Whether any of these features cannot be decided without the store (I06). Raises UnknownFeature."""
    return any(free_reason(features, feature, channel) is None for feature in list(asked))


def verdict(
    features: FeatureList, feature: str, question: Question, facts: AccountFacts | BillingError | None, at: datetime
) -> Decision | BillingError:
    """The decision, or why there is none: whatever kept the facts from being read, where they are needed. Raises
    Unavailable where the last facts that were known are not enough."""
    free = free_reason(features, feature, question.channel)
    if free is not None:
        return free_decision(question.pupil, feature, free)
    if isinstance(facts, AccountFacts):
        try:
            return judge(features, facts, facts.of(question.pupil), feature, question.channel, at, at)
        except PupilRequired as fault:
            return fault
    assert facts is not None, "facts are needed"  # noqa: S101 - `needs_facts` said so
    return facts


def flag(decision: Decision, channel: Channel) -> Flag:
    """A decision as a flag."""
    metadata: dict[str, str | bool] = {"channel": channel}
    if decision.pupil is not None:
        metadata["pupil"] = decision.pupil
    if decision.valid_until is not None:
        metadata["valid_until"] = _instant(decision.valid_until)
    metadata["notice_pending"] = decision.notice_pending
    metadata["free_in_browser"] = decision.free_in_browser
    metadata["reverts_to"] = decision.reverts_to
    metadata["source"] = origin_of(decision)
    reason = "STATIC" if decision.reason == "basic" else "TARGETING_MATCH"
    return Flag(decision.feature, decision.allowed, reason, decision.reason, metadata)


def bulk(verdicts: Sequence[tuple[str, Decision | BillingError]], channel: Channel) -> Flags:
    """All verdicts, each in its place."""
    metadata: dict[str, str] = {"channel": channel, "source": origin_of(*(verdict for _, verdict in verdicts))}
    changes_at = earliest_change(verdict for _, verdict in verdicts if isinstance(verdict, Decision))
    if changes_at is not None:
        metadata["valid_until"] = _instant(changes_at)
    return Flags(tuple(_told(key, verdict, channel) for key, verdict in verdicts), metadata)


def sealed(told: Flag | Flags) -> Sealed:
    """An answer with its validator: it holds no instant of its making, so equal answers are equal bytes."""
    body = _encoder.encode(told)
    kept = _REVALIDATE if told.metadata["source"] == "live" else "no-store"
    return Sealed(body, tag_of(body), kept)


def failure(error: BillingError, request_id: str, key: str | None = None) -> OfrepFailure:
    """An error in the protocol's own shape, with all faults in words."""
    return OfrepFailure(code_of(error), _words(error), error.code, request_id, key)


def code_of(error: BillingError) -> ErrorCode:
    """The protocol's word for one of our errors."""
    if isinstance(error, TargetingKeyMissing):
        return "TARGETING_KEY_MISSING"
    if isinstance(error, UnknownFeature):
        return "FLAG_NOT_FOUND"
    if error.code == "malformed_body":
        return "PARSE_ERROR"
    return "INVALID_CONTEXT" if isinstance(error, (Malformed, Invalid, NotFound)) else "GENERAL"


def _told(key: str, verdict: Decision | BillingError, channel: Channel) -> Flag | FlagFailure:
    if isinstance(verdict, Decision):
        return flag(verdict, channel)
    return FlagFailure(key, code_of(verdict), _words(verdict), verdict.code)


def _words(error: BillingError) -> str:
    named = [
        f"{fault.pointer}: {fault.detail}" for fault in error.faults if fault.pointer and fault.detail != error.detail
    ]
    return " ".join((error.detail, *named))


def _instant(at: datetime) -> str:
    return msgspec.to_builtins(at)
