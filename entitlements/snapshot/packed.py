"""Facts as bytes: what was packed is told again exactly, to the microsecond; what does not fit is refused, never bent.

    pupils (1)
    each pupil   flags (1)  bytes of the reference (1)  blocks (1)  grants (1)  reference
    each block   feature (1)  since (8)
    each grant   head (1)  origin (1)  features (4)  since (8)  until (8)  what the origin needs

Instants are microseconds since 1970, features bits of a mask by their numbers in a `Names`. A reference that is a UUID
takes 16 bytes. An origin is one of our public ids, then its letters take 20 bytes, or any other text.
"""

import struct
from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64, unhexlify
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from re import compile as pattern
from typing import Final, cast, get_args

from entitlements.facts import NO_SPAN, AccountFacts, EndReason, Grant, Holding, Only, PupilFacts, Source, Span
from entitlements.snapshot.names import Names, Torn, Unfit

_SOURCES: Final = cast("tuple[Source, ...]", get_args(Source))
_REASONS: Final[tuple[EndReason | None, ...]] = (None, *get_args(EndReason))
_SOURCE_NUMBER: Final = {source: number for number, source in enumerate(_SOURCES)}
_REASON_NUMBER: Final = {reason: number << 4 for number, reason in enumerate(_REASONS)}
_BOUND, _ENDS = 8, 128
_HEADS: Final[tuple[tuple[Source, bool, EndReason | None, bool], ...]] = tuple(
    (_SOURCES[head & 7 if head & 7 < len(_SOURCES) else 0], head & _BOUND == _BOUND, reason, head & _ENDS == _ENDS)
    for head in range(256)
    for reason in [_REASONS[head >> 4 & 7 if head >> 4 & 7 < len(_REASONS) else 0]]
)
"""What a head says: source, bound, reason of the end, whether there is an end."""
_PENDING, _UUID = 1, 2

_KINDS: Final = ("trl_", "sub_", "grt_", "spn_", "ord_")
_KIND_NUMBER: Final = {kind.encode(): number for number, kind in enumerate(_KINDS, 1)}
_LETTERS: Final = b"0123456789abcdefghjkmnpqrstvwxyz"
_AS_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
_TO_BASE64: Final = bytes(_AS_BASE64[_LETTERS.index(each)] if each in _LETTERS else ord("!") for each in range(256))
"""What is no letter of ours is none of theirs either, and is missed in what is decoded."""
_FROM_BASE64: Final = bytes.maketrans(_AS_BASE64, _LETTERS)
_ID: Final = 30
_ID_LETTERS: Final = 26
_UUID_LETTERS: Final = 36
_PACKED_ID: Final = 20
_LONGEST_REF: Final = 64

_IS_UUID: Final = pattern(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_PUPIL: Final = struct.Struct("<BBBB")
_BLOCK: Final = struct.Struct("<Bq")
_GRANT: Final = struct.Struct("<BBIqq")
_FIRST_PUPIL: Final = struct.Struct("<BBBBB")
_SPAN: Final = struct.Struct("<2xIqq")
_LEAST: Final = _FIRST_PUPIL.size + _SPAN.size
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ODD: Final = (struct.error, OverflowError, UnicodeEncodeError, TypeError, KeyError, AttributeError)
"""What values raise that no rule of ours lets into the database, such as an instant that is infinite."""
_GARBLED: Final = (struct.error, IndexError, OverflowError, UnicodeDecodeError)
"""What bytes raise that were never packed."""
_HOUR: Final = 3_600_000_000
_MICRO: Final = timedelta(microseconds=1)


def pack(facts: AccountFacts, names: Names) -> bytes:
    """The bytes of an account's facts. Raises Unfit."""
    try:
        parts = [len(facts.pupils).to_bytes(1, "little")]
        for pupil in facts.pupils:
            ref, blocks, grants = pupil.pupil.encode(), pupil.blocks, pupil.grants
            parts.append(pack_pupil(ref, len(blocks), len(grants), pending=pupil.notice_pending))
            parts += [pack_block(names.number(name), micros(since)) for name, since in blocks.items()]
            parts += [_packed_grant(grant, names) for grant in grants]
    except _ODD as fault:
        raise Unfit(str(fault)) from fault
    return b"".join(parts)


def pack_pupil(ref: bytes, blocks: int, grants: int, *, pending: bool) -> bytes:
    """The head of a pupil. Raises struct.error where a number is too big."""
    flags = _PENDING if pending else 0
    if len(ref) == _UUID_LETTERS and _IS_UUID(ref):
        return _PUPIL.pack(flags | _UUID, 16, blocks, grants) + unhexlify(ref.replace(b"-", b""))
    return _PUPIL.pack(flags, len(ref), blocks, grants) + ref


def pack_block(feature: int, since: int) -> bytes:
    """A block by the number of its feature, since an instant in microseconds."""
    return _BLOCK.pack(feature, since)


def grant_head(source: Source, reason: EndReason | None, *, bound: bool) -> int:
    """What `pack_grant` must know of a grant that is the same for many."""
    return _SOURCE_NUMBER[source] | _REASON_NUMBER[reason] | (_BOUND if bound else 0)


def pack_grant(head: int, origin: bytes, mask: int, since: int, until: int | None) -> bytes:
    """A grant; `mask` as of `Names`, instants in microseconds. Raises struct.error, OverflowError: one is too big."""
    if until is None:
        until = 0
    else:
        head |= _ENDS
    kind, packed = _pack_origin(origin)
    return _GRANT.pack(head, kind, mask, since, until) + packed


def _pack_origin(origin: bytes) -> tuple[int, bytes]:
    """What kind of public id it is, or 0, and what else is needed. Raises OverflowError for a text that is too long."""
    kind = _KIND_NUMBER.get(origin[:4])
    if kind is not None and len(origin) == _ID:
        try:
            packed = a2b_base64(origin[4:].translate(_TO_BASE64) + b"AA")
        except NotBase64:
            packed = b""
        if len(packed) > _PACKED_ID:
            return kind, packed[:_PACKED_ID]
    return 0, len(origin).to_bytes(1, "little") + origin


class Alike:
    """Pupils that have all in common but their references, and the origins and instants of their grants.

    `head` and `mask` as `pack_grant` takes them; no head: they have no grant.
    """

    def __init__(self, head: int | None, mask: int, blocks: Sequence[bytes], *, pending: bool) -> None:
        self.head = head
        self.mask = mask
        self.pending = pending
        self.many_blocks = len(blocks)
        self.blocks = b"".join(blocks)
        self._ends = (head or 0) | _ENDS
        flags = _PENDING if pending else 0
        self._leads = [b"\1" + _PUPIL.pack(flags, size, len(blocks), 1) for size in range(_LONGEST_REF + 1)]
        self._lead_of_uuid = b"\1" + _PUPIL.pack(flags | _UUID, 16, len(blocks), 1)

    def pack_alone(self, ref: bytes, origin: bytes, since: int, until: int) -> bytes:
        """What `pack` makes of an account that has such a pupil and no other, with one grant that ends: most have.

        Raises struct.error, OverflowError, IndexError: something is too big.
        """
        kind, packed = _pack_origin(origin)
        grant = _GRANT.pack(self._ends, kind, self.mask, since, until)
        if len(ref) == _UUID_LETTERS and _IS_UUID(ref):
            return self._lead_of_uuid + unhexlify(ref.replace(b"-", b"")) + self.blocks + grant + packed
        return self._leads[len(ref)] + ref + self.blocks + grant + packed


def unpack(account: str, packed: bytes, names: Names) -> AccountFacts:
    """The facts that were packed. Raises Torn for bytes that are none."""
    try:
        pupils: list[PupilFacts] = []
        place = 1
        for _ in range(packed[0]):
            pupil, place = _pupil(packed, place, names)
            pupils.append(pupil)
    except _GARBLED as fault:
        raise Torn(str(fault)) from fault
    if place != len(packed):
        raise Torn("too many bytes")
    return AccountFacts(account, tuple(pupils))


def spans(held: Iterable[bytes], pupils: Iterable[bytes], masks: Iterable[int]) -> list[Span]:
    """Of each account the span of its only pupil's only right, where this is the pupil meant (nothing: whoever it is),
    the right gives a feature of the mask, and no school blocks anything. All else is NO_SPAN, and told by `unpack`.

    What stands behind an account's bytes does not matter. Raises Torn.
    """
    found: list[Span] = []
    place_of, first_grant = _place_of_only, _SPAN.unpack_from
    try:
        for packed, pupil, mask in zip(held, pupils, masks, strict=True):
            span = NO_SPAN
            if place := place_of(packed, pupil):
                features, since, until = first_grant(packed, place)
                if features & mask:
                    span = since, until
            found.append(span)
    except struct.error as fault:
        raise Torn(str(fault)) from fault
    return found


def only(held: Iterable[bytes], pupils: Iterable[bytes], masks: Iterable[int], names: Names) -> list[Only | None]:
    """The rights themselves of `spans`, where they have an end. Raises Torn."""
    try:
        return [_only(*each, names) for each in zip(held, pupils, masks, strict=True)]
    except _GARBLED as fault:
        raise Torn(str(fault)) from fault


def _only(packed: bytes, pupil: bytes, mask: int, names: Names) -> Only | None:
    place = _place_of_only(packed, pupil)
    if not place:
        return None
    head, kind, features, since, until = _GRANT.unpack_from(packed, place)
    if not features & mask or not head & _ENDS:
        return None
    origin, _ = _origin(packed, kind, place + _GRANT.size)
    right = Holding(_HEADS[head][0], origin, instant(since), names.ends.get(until) or _end(until, names))
    return right, packed[1] & _PENDING == _PENDING


def _place_of_only(packed: bytes, pupil: bytes) -> int:
    """Where the only right of an account's only pupil lies; 0: there is no such, another pupil is meant, or a school
    blocks something. Raises struct.error."""
    if len(packed) < _LEAST:
        return 0
    many, flags, size, blocks, grants = _FIRST_PUPIL.unpack_from(packed)
    if not many == grants == 1 or blocks:
        return 0
    place = _FIRST_PUPIL.size + size
    ref = packed[_FIRST_PUPIL.size : place]
    return place if not pupil or pupil == (ref if flags < _UUID else _uuid(ref).encode()) else 0


def micros(at: datetime) -> int:
    """An instant in microseconds since 1970."""
    return (at - _EPOCH) // _MICRO


def instant(micros: int) -> datetime:
    """The instant of so many microseconds since 1970."""
    return _EPOCH + timedelta(0, 0, micros)


def _packed_grant(grant: Grant, names: Names) -> bytes:
    until = None if grant.until is None else micros(grant.until)
    head = grant_head(grant.source, grant.end_reason, bound=grant.bound)
    return pack_grant(head, grant.origin.encode(), names.mask(grant.features), micros(grant.since), until)


def _pupil(packed: bytes, place: int, names: Names) -> tuple[PupilFacts, int]:
    flags, size, many_blocks, many_grants = _PUPIL.unpack_from(packed, place)
    place += 4
    ref = packed[place : place + size]
    place += size
    blocks: dict[str, datetime] = {}
    for _ in range(many_blocks):
        number, since = _BLOCK.unpack_from(packed, place)
        blocks[names.known[number]] = instant(since)
        place += 9
    grants: list[Grant] = []
    for _ in range(many_grants):
        head, kind, mask, since, until = _GRANT.unpack_from(packed, place)
        place += 22
        origin, place = _origin(packed, kind, place)
        source, is_bound, reason, has_end = _HEADS[head]
        ends = (names.ends.get(until) or _end(until, names)) if has_end else None
        features = names.sets.get(mask) or names.of(mask)
        grants.append(Grant(source, origin, features, _EPOCH + timedelta(0, 0, since), ends, is_bound, reason))
    name = _uuid(ref) if flags & _UUID else str(ref, "utf-8")
    return PupilFacts(name, tuple(grants), blocks, flags & _PENDING == _PENDING), place


def _origin(packed: bytes, kind: int, place: int) -> tuple[str, int]:
    """An origin and the place behind it."""
    if kind:
        letters = b2a_base64(packed[place : place + _PACKED_ID]).translate(_FROM_BASE64)
        return _KINDS[kind - 1] + str(letters[:_ID_LETTERS], "ascii"), place + _PACKED_ID
    end = place + 1 + packed[place]
    return str(packed[place + 1 : end], "utf-8"), end


def _end(until: int, names: Names) -> datetime:
    """An instant; those on the hour, at which seasons and trials end, are kept: there are few of them."""
    at = _EPOCH + timedelta(0, 0, until)
    if until % _HOUR == 0:
        names.ends[until] = at
    return at


def _uuid(ref: bytes) -> str:
    text = ref.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
