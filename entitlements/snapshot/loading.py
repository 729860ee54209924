"""All accounts at once: rows of a COPY, in the order of the accounts, become the bytes of a fresh shelf.

They come in two halves: the database joins and sorts the second while the first is packed here. They say what
`reader.FACTS` says, for everybody who has a pupil; what is not understood at once is left to that statement. Accounts
without a pupil are not known here until they change; they ask the database.
"""

import struct
from asyncio import Event, create_task, sleep, timeout, wait
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, cast

import asyncpg
from sqlalchemy.engine import Engine

from billing.kernel.line import Line, server_of
from entitlements.facts import AccountFacts, EndReason, Source
from entitlements.reader import read
from entitlements.snapshot.keeper import Keeper
from entitlements.snapshot.names import Unfit
from entitlements.snapshot.packed import Alike, grant_head, micros, pack_block, pack_grant, pack_pupil

MANY: Final = 500
"""Accounts that are looked up by one statement."""
SIZE: Final = 300
"""Bytes of address space for each account; memory is taken as it is needed."""
LEAST: Final = 1 << 26

_EVERYBODY: Final = r"""
select coalesce(since, '-infinity'), coalesce(until, '-infinity'),
       concat_ws(E'\t', account, pupil, coalesce(origin, ''), concat_ws(' ', notice_pending, source, bound, end_reason),
                 coalesce(school, ''), coalesce(features::text, ''))
from (
    select l.account, l.pupil, l.notice_pending, p.school,
           g.source, g.bound, g.end_reason, g.origin, g.features, g.since, g.until
    from entitlement_link l
    left join entitlement_pupil p on p.pupil = l.pupil and p.school = any ($1::text[])
    left join entitlement_grant g on g.pupil = l.pupil
    where (l.account < $2) = $3
    order by l.account collate "C", l.linked_at, l.pupil, g.id
    offset 0
) everybody
"""
"""What is sent is made behind the sorting, while the rows before are packed: without `offset` it is made before."""
_BLOCKS: Final = "select school, feature, since from entitlement_block order by school"
_HOW_MANY: Final = "select count(*) from entitlement_account"
_MIDDLE: Final = "select account from entitlement_account order by account offset $1 limit 1"
_TURN: Final = 200
"""Rows that are read before whoever else has something to do may: half a millisecond."""
_PATIENCE: Final = 5.0
_LONGEST: Final = 900.0
"""Seconds that a load may take; a server that has vanished says nothing at all."""
_SIGNATURE: Final = 19
_ROW: Final = struct.Struct(">hiqiqi")
_TO_1970: Final = 946_684_800_000_000
_NEVER: Final = -(1 << 63)
_FIELDS: Final = 3
_ALONE: Final = 6
_ODD: Final = (Unfit, ValueError, KeyError, IndexError, OverflowError, struct.error)
"""What rows raise that do not fit, or that cannot be read at once."""
_pupil = itemgetter(1)


async def load(engine: Engine, line: Line, new_shelf: Callable[[int, int], Keeper]) -> Keeper:
    """A shelf with everybody on it, as of moments after the call. The event loop goes on meanwhile.

    `new_shelf` makes one for so many accounts and bytes. Raises OSError, and what asyncpg raises.
    """
    is_complete = False
    async with _connected(engine) as link, _connected(engine) as other, timeout(_LONGEST):
        accounts = await link.fetchval(_HOW_MANY)
        shelf = new_shelf(accounts, LEAST + accounts * SIZE)
        try:
            await put_all(shelf, line, await _copy(link, other, accounts, shelf))
            is_complete = True
        finally:
            if not is_complete:
                shelf.close()
                shelf.path.unlink(missing_ok=True)
    return shelf


@asynccontextmanager
async def _connected(engine: Engine) -> AsyncGenerator[Any]:
    settings = {"application_name": "billing-load", "default_transaction_read_only": "on", "work_mem": "192MB",
                "jit": "off", "max_parallel_workers_per_gather": "0", "statement_timeout": "0"}  # fmt: skip
    way: dict[str, Any] = server_of(engine) | {"timeout": _PATIENCE, "server_settings": settings}
    link: Any = await asyncpg.connect(**way)
    try:
        yield link
    finally:
        link.terminate()


async def _copy(link: Any, other: Any, accounts: int, shelf: Keeper) -> list[str]:
    """Put everybody on the shelf but those that need a closer look, who are answered. The `other` connection begins
    when the first rows of this one are there, and waits with its own until all of those were read."""
    blocks = await link.fetch(_BLOCKS)
    rows = Rows(shelf, blocks)
    question = _EVERYBODY, list({school for school, *_ in blocks}), await link.fetchval(_MIDDLE, accounts // 2) or ""
    is_coming, is_over = Event(), Event()

    async def take(piece: bytes) -> None:
        is_coming.set()
        await rows.take(piece)

    async def take_later(piece: bytes) -> None:
        await is_over.wait()
        await rows.take(piece)

    async def second() -> None:
        await is_coming.wait()
        await other.copy_from_query(*question, False, output=take_later, format="binary")

    later = create_task(second())
    try:
        await link.copy_from_query(*question, True, output=take, format="binary")
        rows.begin()
        is_coming.set()
        is_over.set()
        await later
    finally:
        later.cancel()
        await wait({later})
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
        self._row: list[Any] = []
        self._alike: dict[bytes, Alike] = {}
        self._blocks: dict[bytes, list[bytes] | None] = {b"": []}
        for school, feature, since in blocks:
            packed = self._blocks.setdefault(school.encode(), [])
            try:
                block = pack_block(shelf.names.number(feature), micros(since))
            except Unfit:
                self._blocks[school.encode()] = None
            else:
                if packed is not None:
                    packed.append(block)

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

    def begin(self) -> None:
        """Another stream follows, of other accounts."""
        self._rest, self._skip = b"", _SIGNATURE

    def end(self) -> None:
        """There are no more rows."""
        if self._row:
            self._put([self._row])
        self._shelf.publish_names()

    def _part(self, data: bytes, place: int) -> int:
        """Some rows, as many as may be read in one turn of the loop. Answers the place behind them."""
        size, read = _ROW.size, _ROW.unpack_from
        stop = len(data)
        rows = [self._row] if self._row else []
        account = self._row[0] if self._row else b""
        for _ in range(_TURN):
            begin = place + size
            if begin > stop:
                break
            _, _, since, _, until, length = read(data, place)
            end = begin + length
            if end > stop:
                break
            row: list[Any] = data[begin:end].split(b"\t", _FIELDS)
            row += since, until
            if row[0] != account:
                account = row[0]
                rows.append(row)
            else:
                rows[-1].append(row)
            place = end
        self._row = rows.pop() if rows else []
        self._put(rows)
        return place

    def _put(self, rows: list[list[Any]]) -> None:
        """The first row of each account, behind which stand the others of that account."""
        names, told = list[bytes](), list[bytes]()
        known = self._alike
        for row in rows:
            try:
                account, pupil, origin, same, since, until = row[:_ALONE]
                alike = known.get(same) or self._learn(same)
                if len(row) == _ALONE and alike.head is not None and since != _NEVER != until:
                    packed = alike.pack_alone(pupil, origin, since + _TO_1970, until + _TO_1970)
                else:
                    packed = self._pack([row[:_ALONE], *row[_ALONE:]])
            except _ODD:
                self.odd.append(str(row[0], "utf-8"))
            else:
                names.append(account)
                told.append(packed)
        self._shelf.put_many(names, told)

    def _pack(self, rows: list[Any]) -> bytes:
        """What `packed.pack` makes of an account with these rows. Raises one of _ODD."""
        pupils = list[bytes]()
        for pupil, of_pupil in groupby(rows, key=_pupil):
            grants = list[bytes]()
            alike = None
            for _, _, origin, same, since, until in of_pupil:
                alike = self._alike.get(same) or self._learn(same)
                if alike.head is None:
                    continue
                if since == _NEVER:
                    raise Unfit("without a beginning")
                ends = None if until == _NEVER else until + _TO_1970
                grants.append(pack_grant(alike.head, origin, alike.mask, since + _TO_1970, ends))
            if alike is not None:
                head = pack_pupil(pupil, alike.many_blocks, len(grants), pending=alike.pending)
                pupils.append(head + alike.blocks + b"".join(grants))
        return bytes((len(pupils),)) + b"".join(pupils)

    def _learn(self, same: bytes) -> Alike:
        """What stands in the last fields of a row: such as `f paid t withdrawn`, a school that blocks, features.

        Raises one of _ODD.
        """
        words, school, features = same.split(b"\t")
        pending, *grant = str(words, "utf-8").split(" ")
        head, mask = None, 0
        if grant:
            reason = cast("EndReason | None", grant[2] if len(grant) > 2 else None)  # noqa: PLR2004 - the third word
            head = grant_head(cast("Source", grant[0]), reason, bound=grant[1] == "t")
            mask = self._mask(features)
        blocks = self._blocks[school]
        if blocks is None:
            raise Unfit("blocks")
        self._alike[same] = Alike(head, mask, blocks, pending=pending == "t")
        return self._alike[same]

    def _mask(self, features: bytes) -> int:
        """The bits of an array's text. Raises Unfit for one that is not plain."""
        names = str(features, "utf-8").strip("{}").split(",")
        if any('"' in name or name == "NULL" for name in names):
            raise Unfit("features")
        return self._shelf.names.mask(names)
