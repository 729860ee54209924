"""What a caller asks, read from a query or a body. Everything that is wrong with it is named at once, never guessed."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast

import msgspec

from billing.kernel.bodies import faults_in
from billing.kernel.errors import Fault, Malformed
from billing.kernel.ids import REF_PATTERN, Ref
from entitlements.decision import Channel

Consistency = Literal["default", "strong"]
Instant = Annotated[
    datetime,
    msgspec.Meta(tz=True, description="RFC 3339 with a time zone", examples=["2026-11-29T23:00:00Z"]),
]
MOST_CHECKS = 500

_PARAMETERS = frozenset({"channel", "pupil", "at", "consistency"})
_CHANNELS = frozenset({"mobile", "web"})
_CONSISTENCIES = frozenset({"default", "strong"})
_REF = re.compile(REF_PATTERN.removesuffix("$") + r"\Z")
_PLAIN = re.compile(rf"channel=(mobile|web)(?:&pupil=({REF_PATTERN.strip('^$')}))?(&consistency=strong)?\Z".encode())

_REF_LETTERS = b" " + bytes(letter for letter in range(128) if _REF.match(chr(letter)))
_LONGEST_REF = 64


class Question(msgspec.Struct, frozen=True, gc=False):
    """One account is asked about. `pupil` null: none was named; `at` null: now."""

    account: str
    channel: Channel
    pupil: str | None
    at: datetime | None
    consistency: Consistency = "default"

    @property
    def strong(self) -> bool:
        """Whether the database itself must be asked."""
        return self.consistency == "strong"


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One of many questions in a batch. `pupil` may be left out as in a single question."""

    account: Ref
    feature: Annotated[str, msgspec.Meta(max_length=64)]
    pupil: Ref | None = None


class CheckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 500 questions, answered in their order; `compact` answers with booleans only."""

    channel: Channel
    checks: Annotated[list[Check], msgspec.Meta(max_length=MOST_CHECKS)]
    answer: Literal["full", "compact"] = "full"
    at: Instant | None = None
    consistency: Consistency = "default"


class BadCheck(msgspec.Struct, frozen=True, gc=False):
    """A check that cannot be understood; its neighbours are answered all the same."""

    detail: str


class Batch(msgspec.Struct, frozen=True, gc=False):
    """The questions of a batch, with the bad ones in their places."""

    channel: Channel
    checks: list[Check | BadCheck]
    compact: bool
    at: datetime | None
    strong: bool = False


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A CheckRequest of which the checks are looked at one by one."""

    channel: Channel
    checks: Annotated[list[Any], msgspec.Meta(max_length=MOST_CHECKS)]
    answer: Literal["full", "compact"] = "full"
    at: Instant | None = None
    consistency: Consistency = "default"


class PlainCheck(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A Check whose references were not looked at yet."""

    account: str
    feature: Annotated[str, msgspec.Meta(max_length=64)]
    pupil: str | None = None


class _PlainRequest(msgspec.Struct, forbid_unknown_fields=True):
    channel: Channel
    checks: list[PlainCheck]
    answer: Literal["full", "compact"] | msgspec.UnsetType = msgspec.UNSET
    consistency: Literal["default"] | msgspec.UnsetType = msgspec.UNSET


class PlainBatch(msgspec.Struct, frozen=True):
    """A batch in its plainest form; its references once more as bytes, none for a pupil who is not named."""

    channel: Channel
    checks: list[PlainCheck]
    accounts: list[bytes]
    pupils: list[bytes]
    compact: bool


_whole = msgspec.json.Decoder(CheckRequest)
_plain = msgspec.json.Decoder(_PlainRequest)
_envelope = msgspec.json.Decoder(_Envelope)


def plain(account: str, query: bytes) -> Question | None:
    """What `ask` says of a question in its plainest form: a channel, a pupil or none, strong or not; None: `ask` it."""
    cut = _PLAIN.match(query)
    if cut is None or not _REF.match(account):
        return None
    channel, pupil, strong = cut.groups()
    return Question(
        account,
        "mobile" if channel == b"mobile" else "web",
        pupil.decode() if pupil else None,
        None,
        "strong" if strong else "default",
    )


def plain_many(body: bytes) -> PlainBatch | None:
    """What `check_text` and `ask_many` make of a batch in its plainest form; None: use those.

    Plain: nothing escaped, no `at`, nothing strong, nothing wrong. Outside strings a colon stands for a member, so with
    no more colons than the members that were read and their references account for, no key is there twice.
    """
    if not body.isascii() or b"\\" in body:
        return None
    try:
        request = _plain.decode(body)
    except msgspec.DecodeError:
        return None
    checks = request.checks
    many = len(checks)
    named = [check.pupil for check in checks]
    unnamed = named.count(None)
    texts = " ".join([check.account for check in checks] + [pupil or "" for pupil in named]).encode()
    refs = texts.split(b" ")
    accounts, pupils = refs[:many], refs[many:]
    members = (
        2 + (request.answer is not msgspec.UNSET) + (request.consistency is not msgspec.UNSET) + 3 * many - unnamed
    )
    if (
        not 0 < many <= MOST_CHECKS
        or len(refs) != 2 * many
        or texts.translate(None, _REF_LETTERS)
        or len(max(refs, key=len)) > _LONGEST_REF
        or b"" in accounts
        or pupils.count(b"") != unnamed
        or body.count(b":") != members + texts.count(b":")
    ):
        return None
    return PlainBatch(request.channel, checks, accounts, pupils, request.answer == "compact")


def plain_pairs(query: bytes) -> list[tuple[str, str]] | None:
    """The pairs of a query in which nothing is escaped and nothing said twice; None for any other."""
    if not query.isascii() or b"%" in query or b"+" in query:
        return None
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.decode().split("&") if part)]
    return pairs if len({name for name, _ in pairs}) == len(pairs) else None


def ask(account: str, query: Iterable[tuple[str, str]]) -> Question:
    """Read a question from its path and query.

    Raises Malformed naming every fault; without a channel its code is `channel_required`.
    """
    faults = [Fault("account", "invalid", "Not a reference")] if not _REF.match(account) else []
    given = _unique(query, _PARAMETERS, faults)
    channel, pupil = given.get("channel"), given.get("pupil")
    if channel is not None and channel not in _CHANNELS:
        faults.append(Fault("channel", "invalid", "Neither mobile nor web"))
    if pupil is not None and not _REF.match(pupil):
        faults.append(Fault("pupil", "invalid", "Not a reference"))
    consistency = _consistency(given, faults)
    at = _instant(given.get("at"), faults)
    if channel is None:
        raise _channel_missing("channel", faults)
    if faults:
        raise Malformed("The question cannot be understood; `errors` names every fault.", faults=tuple(faults))
    return Question(account, cast("Channel", channel), pupil, at, consistency)


def ask_many(body: bytes, query: Iterable[tuple[str, str]]) -> Batch:
    """Read a batch; a bad check stays in its place as a BadCheck. Raises Malformed naming every other fault."""
    faults: list[Fault] = []
    consistency = _consistency(_unique(query, frozenset({"consistency"}), faults), faults)
    checks: list[Check | BadCheck]
    try:
        request = _whole.decode(body)
        checks = [*request.checks]
    except msgspec.DecodeError:
        request = _open(body, faults)
        checks = [_check(item) for item in request.checks]
    at = None if request.at is None else _in_utc(request.at, "/at", faults)
    if faults:
        raise Malformed("The batch cannot be understood.", faults=tuple(faults))
    strong = "strong" in {consistency, request.consistency}
    return Batch(request.channel, checks, request.answer == "compact", at, strong)


def _open(body: bytes, others: list[Fault]) -> _Envelope:
    try:
        return _envelope.decode(body)
    except msgspec.DecodeError as fault:
        faults = others + (_body_faults(body) or [Fault("", "invalid", str(fault))])
    missing = [fault for fault in faults if fault.pointer == "/channel" and fault.code == "missing"]
    if missing:
        raise _channel_missing("/channel", [fault for fault in faults if fault not in missing])
    raise Malformed("The batch cannot be understood; `errors` names every fault.", faults=tuple(faults))


def _body_faults(body: bytes) -> list[Fault]:
    try:
        return list(faults_in(body, _Envelope))
    except ValueError as fault:
        return [Fault("", "not_json", str(fault))]


def _check(item: Any) -> Check | BadCheck:
    try:
        return msgspec.convert(item, Check)
    except msgspec.ValidationError as fault:
        return BadCheck(str(fault))


def _unique(query: Iterable[tuple[str, str]], known: frozenset[str], faults: list[Fault]) -> dict[str, str]:
    pairs = list(query)
    given = dict(pairs)
    if len(given) == len(pairs) and given.keys() <= known:
        return given
    for name, times in Counter(name for name, _ in pairs).items():
        if name not in known:
            faults.append(Fault(name[:64], "unknown_parameter", "There is no such parameter"))
        elif times > 1:
            faults.append(Fault(name, "repeated", "Given more than once"))
    return given


def _consistency(given: dict[str, str], faults: list[Fault]) -> Consistency:
    asked = given.get("consistency", "default")
    if asked not in _CONSISTENCIES:
        faults.append(Fault("consistency", "invalid", "Neither default nor strong"))
    return cast("Consistency", asked)


def _channel_missing(pointer: str, others: list[Fault]) -> Malformed:
    words = "Say for which channel you ask: mobile or web. It is never guessed."
    return Malformed(words, code="channel_required", faults=(Fault(pointer, "channel_required", words), *others))


def _instant(text: str | None, faults: list[Fault]) -> datetime | None:
    if text is None:
        return None
    try:
        at = msgspec.convert(text, Instant)
    except msgspec.ValidationError:
        faults.append(Fault("at", "invalid", "Not RFC 3339 with a time zone, such as 2026-11-29T23:00:00Z"))
        return None
    return _in_utc(at, "at", faults)


def _in_utc(at: datetime, pointer: str, faults: list[Fault]) -> datetime | None:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        faults.append(Fault(pointer, "invalid", "Outside the years 1 to 9999"))
        return None
