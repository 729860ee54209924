"""All accounts at once: rows of one COPY, in the order of the accounts, become the bytes of a fresh shelf.

It says what `reader.FACTS` says, for everybody who has a pupil; what it does not understand at once it leaves to that
statement. Accounts without a pupil are not known here until they change; they ask the database.
"""

import struct
from asyncio import sleep, timeout
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

import asyncpg
from sqlalchemy.engine import Engine

from entitlements.facts import AccountFacts, EndReason, Source
from entitlements.line import Line, server_of
from entitlements.reader import read
from entitlements.snapshot.packed import Unfit, grant_head, micros, pack_block, pack_grant, pack_pupil
from entitlements.snapshot.shelf import Keeper

MANY: Final = 500
"""Accounts that are looked up by one statement."""
SIZE: Final = 300
"""Bytes of address space for each account; memory is taken as it is needed."""
LEAST: Final = 1 << 26

_EVERYBODY: Final = r"""
select coalesce(g.since, '-infinity'), coalesce(g.until, '-infinity'),
       concat_ws(E'\t', l.account, l.pupil, coalesce(p.school, ''),
                 concat_ws(' ', l.notice_pending, g.source, g.bound, g.end_reason),
                 coalesce(g.origin, ''), coalesce(g.features::text, ''))
from entitlement_link l
left join entitlement_pupil p on p.pupil = l.pupil and p.school = any ($1::text[])
left join entitlement_grant g on g.pupil = l.pupil
order by l.account collate "C", l.linked_at, l.pupil, g.id
"""
_BLOCKS: Final = "select school, feature, since from entitlement_block order by school"
_HOW_MANY: Final = "select count(*) from entitlement_account"
_TURN: Final = 500
_PATIENCE: Final = 5.0
_LONGEST: Final = 900.0
"""Seconds that a load may take; a server that has vanished says nothing at all."""
_SIGNATURE: Final = 19
_ROW: Final = struct.Struct(">hiqiqi")
_TO_1970: Final = 946_684_800_000_000
_NEVER: Final = -(1 << 63)
_EVER: Final = (1 << 63) - 1
_FIELDS: Final = 6
_COUNTS: Final = tuple(bytes((number,)) for number in range(256))
_UNKNOWN: Final = -1
_TOO_MANY: Final = 1000
"""Blocks of a school for which a pupil's bytes have no room."""


async def load(engine: Engine, line: Line, new_shelf: Callable[[int, int], Keeper]) -> Keeper:
    """A shelf with everybody on it, as of moments after the call. The event loop goes on meanwhile.

    `new_shelf` makes one for so many accounts and bytes. Raises OSError, and what asyncpg raises.
    """
    settings = {"application_name": "billing-load", "default_transaction_read_only": "on", "work_mem": "256MB",
                "jit": "off", "statement_timeout": "0"}  # fmt: skip
    way: dict[str, Any] = server_of(engine) | {"timeout": _PATIENCE, "server_settings": settings}
    link: Any = await asyncpg.connect(**way)
    is_complete = False
    try:
        async with timeout(_LONGEST):
            accounts = await link.fetchval(_HOW_MANY)
            shelf = new_shelf(accounts, LEAST + accounts * SIZE)
            try:
                await put_all(shelf, line, await _copy(link, shelf))
                is_complete = True
            finally:
                if not is_complete:
                    shelf.close()
                    shelf.path.unlink(missing_ok=True)
    finally:
        link.terminate()
    return shelf


async def _copy(link: Any, shelf: Keeper) -> list[str]:
    """Put everybody on the shelf but those that need a closer look, who are answered."""
    blocks = await link.fetch(_BLOCKS)
    rows = Rows(shelf, blocks)
    schools = list({school for school, *_ in blocks})
    await link.copy_from_query(_EVERYBODY, schools, output=rows.take, format="binary")
    rows.end()
    return rows.odd


async def put_all(shelf: Keeper, line: Line, accounts: list[str]) -> None:
    """Look these accounts up again, as every question does, and put on the shelf what is found."""
    for first in range(0, len(accounts), MANY):
        asked = accounts[first : first + MANY]
        known = await read(line, asked)
        for account in asked:
            facts = known.get(account)
            if isinstance(facts, AccountFacts):
                shelf.put(facts)
            else:
                shelf.drop(account)


class Rows:
    """Makes bytes of the rows of the COPY as they come, in pieces of any length."""

    def __init__(self, shelf: Keeper, blocks: list[asyncpg.Record]) -> None:
        self.odd: list[str] = []
        """Accounts that need a closer look."""
        self._shelf = shelf
        self._rest = b""
        self._skip = _SIGNATURE
        self._account = b""
        self._pupil: tuple[bytes, bytes, bool] | None = None
        self._pupils: list[bytes] = []
        self._grants: list[bytes] = []
        self._is_odd = False
        self._heads: dict[bytes, tuple[bool, int | None]] = {}
        self._masks: dict[bytes, int] = {}
        self._blocks: dict[bytes, tuple[int, bytes]] = {b"": (0, b"")}
        for school, feature, since in blocks:
            many, packed = self._blocks.get(school.encode(), (0, b""))
            try:
                block = pack_block(shelf.names.number(feature), micros(since))
            except Unfit:
                many, block = _TOO_MANY, b""
            self._blocks[school.encode()] = many + 1, packed + block

    async def take(self, piece: bytes) -> None:
        """The next piece of the stream."""
        data = self._rest + piece
        if len(data) < self._skip:
            self._rest = data
            return
        place, self._skip = self._skip, 0
        while True:
            since, place = place, self._part(data, place)
            if place == since:
                break
            await sleep(0)
        self._rest = data[place:]

    def end(self) -> None:
        """There are no more rows."""
        self._finish_account()
        self._shelf.publish_names()

    def _part(self, data: bytes, place: int) -> int:
        """Some rows, as many as may be read in one turn of the loop. Answers the place behind them."""
        end, size = len(data), _ROW.size
        for _ in range(_TURN):
            if place + size > end:
                break
            _, _, since, _, until, length = _ROW.unpack_from(data, place)
            stop = place + size + length
            if stop > end:
                break
            self._row(since, until, data[place + size : stop].split(b"\t"))
            place = stop
        return place

    def _row(self, since: int, until: int, fields: list[bytes]) -> None:
        account = fields[0]
        if account != self._account:
            self._finish_account()
            self._account = account
        if len(fields) != _FIELDS or _EVER in (since, until):
            self._is_odd = True
            return
        _, pupil, school, words, origin, features = fields
        pending, head = self._heads.get(words) or self._learn_head(words)
        if self._pupil is None:
            self._pupil = pupil, school, pending
        elif self._pupil[0] != pupil:
            self._finish_pupil()
            self._pupil = pupil, school, pending
        if head is None:
            return
        mask = self._masks.get(features)
        if mask is None:
            mask = self._learn_mask(features)
        if since == _NEVER or mask == 0 or head == _UNKNOWN:
            self._is_odd = True
            return
        ends = None if until == _NEVER else until + _TO_1970
        try:
            self._grants.append(pack_grant(head, origin, mask, since + _TO_1970, ends))
        except (struct.error, OverflowError):
            self._is_odd = True

    def _finish_pupil(self) -> None:
        if self._pupil is None:
            return
        pupil, school, pending = self._pupil
        many, blocks = self._blocks.get(school) or (0, b"")
        grants = self._grants
        try:
            head = pack_pupil(pupil, many, len(grants), pending=pending)
        except struct.error:
            self._is_odd = True
        else:
            self._pupils.append(head + blocks + b"".join(grants))
        self._pupil = None
        self._grants = []

    def _finish_account(self) -> None:
        if not self._account:
            return
        self._finish_pupil()
        pupils = self._pupils
        if self._is_odd or len(pupils) >= len(_COUNTS):
            self.odd.append(str(self._account, "utf-8"))
        else:
            self._shelf.put_packed(self._account, _COUNTS[len(pupils)] + b"".join(pupils))
        self._pupils = []
        self._is_odd = False

    def _learn_head(self, words: bytes) -> tuple[bool, int | None]:
        """What stands in the fourth field of a row: `f`, or with a grant `t paid t withdrawn`."""
        pending, *grant = str(words, "utf-8").split(" ")
        head = None
        if grant:
            reason = cast("EndReason | None", grant[2] if len(grant) > 2 else None)  # noqa: PLR2004 - the third word
            try:
                head = grant_head(cast("Source", grant[0]), reason, bound=grant[1] == "t")
            except KeyError:
                head = _UNKNOWN
        self._heads[words] = pending == "t", head
        return self._heads[words]

    def _learn_mask(self, features: bytes) -> int:
        """The bits of an array's text; 0 for one that is not plain."""
        names = str(features, "utf-8").strip("{}").split(",")
        mask = 0
        if not any('"' in name or name == "NULL" for name in names):
            with suppress(Unfit):
                mask = self._shelf.names.mask(names)
        self._masks[features] = mask
        return mask
