"""`billing import accounts FILE`: every line does what `PUT` of its account, and then of its pupil, would do.

Lines are gathered into batches of ten thousand. A batch is one transaction: its lines, and a note in the audit of how
far the file is done. A run that was broken off goes on behind the last note; a file that is done changes nothing.
Lines that contradict each other (one account with two addresses, one pupil with two schools) never share a batch, so
the last of them wins, as it would by PUT.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.arriving import foresee_accounts, put_accounts
from billing.kernel import audit
from billing.kernel.audit import AuditRow
from billing.kernel.clock import Clock
from billing.kernel.db import Database
from billing.kernel.errors import Fault
from billing.kernel.ids import new_id, public
from billing.kernel.staging import stage
from billing.kernel.tokens import pseudonym
from billing.trials.arriving import Terms, begin_trials, foresee_trials, season_at
from billing.trials.lines import Line, Read, Start, kind_of, read_lines
from entitlements import arriving as desk

BATCH: Final = 10_000
ACTION: Final = "import.batch"
_PIECE: Final = 1 << 20

_MADE_BY: Final = (
    text(
        """
    create temporary table if not exists arriving (
        account text, email text, guardian_email text, locale text, kind text, age_band text, is_confirmed boolean,
        address text, is_first boolean, pupil text, school text, trial uuid, origin text, pupil_hash bytea
    ) on commit delete rows
    """
    ),
    text("truncate arriving"),
)
_COLUMNS: Final = ("account", "email", "guardian_email", "locale", "kind", "age_band", "is_confirmed", "address",
                   "is_first", "pupil", "school", "trial", "origin", "pupil_hash")  # fmt: skip


class Tally(msgspec.Struct, kw_only=True):
    """What has come of a file so far; `end` is the byte behind the last line."""

    lines: int = 0
    failed: int = 0
    accounts_added: int = 0
    accounts_changed: int = 0
    links_added: int = 0
    trials_begun: int = 0
    number: int = 0
    end: int = 0
    is_done: bool = False


class Failure(msgspec.Struct, frozen=True):
    """A line of the failures file: which line of the import could not be taken, and everything that is wrong."""

    line: int
    errors: tuple[Fault, ...]


class Batch:
    """Lines of which no two contradict each other."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.failures: list[Failure] = []
        self.start = Start()
        self._people: dict[str, tuple[Any, ...]] = {}
        self._schools: dict[str, str | None] = {}

    def takes(self, read: Read) -> bool:
        """Put a line in; False, and nothing done, when the batch is full or says otherwise."""
        line = read.told
        if len(self.lines) + len(self.failures) >= BATCH:
            return False
        if isinstance(line, Line):
            if not self._fits(line):
                return False
            self.lines.append(line)
        else:
            self.failures.append(Failure(read.number, line))
        self.start = Start(read.last, read.end)
        return True

    def _fits(self, line: Line) -> bool:
        person = (line.email, line.guardian_email, line.locale, line.kind, line.age_band, line.email_confirmed)
        if self._people.setdefault(line.account, person) != person:
            return False
        if line.pupil is not None:
            had = self._schools.setdefault(line.pupil, line.school)
            if line.school is not None and had != line.school:
                return False
        return True

    def rows(self, season: str, secret: str, at: datetime) -> Iterator[tuple[Any, ...]]:
        """The lines as the temporary table takes them, in the order of their accounts; each pupil's first carries the
        trial that begins if the season has seen none."""
        accounts: set[str] = set()
        pupils: set[str] = set()
        purpose = f"trial:{season}"
        for line in sorted(self.lines, key=_account):
            is_first = line.account not in accounts
            accounts.add(line.account)
            person = self._people[line.account]
            to = line.guardian_email if line.age_band == "under_13" else line.email
            trial: tuple[Any, ...] = (None, None, None)
            if line.pupil is not None and line.pupil not in pupils:
                pupils.add(line.pupil)
                key = new_id(at)
                trial = (key, public("trl", key), pseudonym(secret, purpose, line.pupil))
            yield (line.account, *person, to, is_first, line.pupil, line.school, *trial)


def _account(line: Line) -> str:
    return line.account


def batches(lines: Iterable[Read]) -> Iterator[Batch]:
    """The lines in their order, in batches as large as may be."""
    batch = Batch()
    for line in lines:
        if not batch.takes(line):
            yield batch
            batch = Batch()
            batch.takes(line)
    if batch.start.number:
        yield batch


async def run(
    database: Database, clock: Clock, terms: Terms, path: Path, failures: Path, tick: Callable[[Tally], None]
) -> Tally:
    """Import a file from where it stands; bad lines go to `failures`, each named with all that is wrong with it.
    `tick` is told after each batch. Raises Invalid for a file that is no import."""
    kind, name = kind_of(path), await _name_of(path)
    async with database.begin() as session:
        tally = await _tally_of(session, name)
    if tally.is_done:
        return tally
    with path.open("rb") as file, failures.open("ab+") as bad:
        _cut_back(bad, tally.number)
        for batch in batches(read_lines(file, kind, Start(tally.number, tally.end))):
            _write(bad, batch.failures)
            at = clock.now()
            async with database.begin() as session:
                await take(session, batch, terms, tally, at)
                audit.record(session, at, ACTION, name, actor="operator", **msgspec.to_builtins(tally))
            tick(tally)
    tally.is_done = True
    async with database.begin() as session:
        audit.record(session, clock.now(), ACTION, name, actor="operator", **msgspec.to_builtins(tally))
    return tally


async def foresee(
    database: Database, clock: Clock, terms: Terms, path: Path, failures: Path, tick: Callable[[Tally], None]
) -> Tally:
    """What `run` would do with the whole file; only `failures` is written. An account or pupil that two batches speak
    of is counted in both. Raises Invalid."""
    kind, tally = kind_of(path), Tally()
    with path.open("rb") as file, failures.open("ab+") as bad:
        _cut_back(bad, 0)
        for batch in batches(read_lines(file, kind)):
            _write(bad, batch.failures)
            at = clock.now()
            async with database.begin() as session:
                await _stage(session, batch, terms, at)
                added, changed = await foresee_accounts(session)
                links, begun = await desk.foresee_links(session), await foresee_trials(session, terms, at)
                _count(tally, batch, (added, changed, links, begun))
            tick(tally)
    return tally


async def take(session: AsyncSession, batch: Batch, terms: Terms, tally: Tally, at: datetime) -> None:
    """One batch, in the caller's transaction; what came of it is added to the tally."""
    await _stage(session, batch, terms, at)
    await desk.put_accounts(session)
    added, changed = await put_accounts(session, at)
    links = begun = 0
    if any(line.pupil is not None for line in batch.lines):
        links = await desk.put_links(session, at)
        begun = await begin_trials(session, terms, at)
    _count(tally, batch, (added, changed, links, begun))


async def _stage(session: AsyncSession, batch: Batch, terms: Terms, at: datetime) -> None:
    rows = batch.rows(season_at(terms, at), terms.secret, at)
    await stage(session, _MADE_BY, "arriving", _COLUMNS, rows)


def _count(tally: Tally, batch: Batch, done: tuple[int, int, int, int]) -> None:
    tally.lines += len(batch.lines)
    tally.failed += len(batch.failures)
    tally.accounts_added += done[0]
    tally.accounts_changed += done[1]
    tally.links_added += done[2]
    tally.trials_begun += done[3]
    tally.number, tally.end = batch.start.number, batch.start.end


async def _name_of(path: Path) -> str:
    """A file is known by its bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return f"import:{digest.hexdigest()}"


async def _tally_of(session: AsyncSession, name: str) -> Tally:
    """How far a file is done, by its last note."""
    notes = select(AuditRow.facts).where(AuditRow.subject == name, AuditRow.action == ACTION)
    found = await session.scalar(notes.order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(1))
    return Tally() if found is None else msgspec.convert(found, Tally)


def _write(bad: BinaryIO, failures: list[Failure]) -> None:
    """Before the commit of their batch, so that none is lost; what a broken-off batch has left is cut off again."""
    bad.writelines(msgspec.json.encode(failure) + b"\n" for failure in failures)
    bad.flush()


def _cut_back(bad: BinaryIO, number: int) -> None:
    """Keep what is told of the lines up to `number`; of a line half written, nothing."""
    bad.seek(0)
    kept = 0
    for raw in bad:
        try:
            failure = msgspec.json.decode(raw, type=Failure)
        except msgspec.DecodeError:
            break
        if failure.line > number:
            break
        kept += len(raw)
    bad.truncate(kept)
    bad.seek(kept)
