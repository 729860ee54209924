"""A file of accounts and their pupils, read a line at a time: NDJSON, or CSV with a header.

A line is good, or it is told everything that is wrong with it; the fields and their limits are those of the routes.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from billing.accounts.routes import AccountIn
from billing.accounts.rules import address_faults
from billing.kernel.bodies import check_text, faults_in
from billing.kernel.errors import Fault, Invalid, Malformed
from billing.kernel.ids import Ref

LONGEST_LINE: Final = 16_384
KINDS: Final[Mapping[str, str]] = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_MARK: Final = b"\xef\xbb\xbf"
_TRUTHS: Final[Mapping[str, bool]] = {"true": True, "false": False}


class Line(AccountIn, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one line tells: an account as `PUT /v1/accounts/{account}` takes it and, where `pupil` is given, a pupil as
    `PUT /v1/accounts/{account}/pupils/{pupil}` does."""

    account: Ref
    pupil: Ref | None = None
    school: Ref | None = None


FIELDS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(Line))


class Read(msgspec.Struct, frozen=True):
    """One line: its number (a row of a table may take several: the first), the last line and the first byte after it,
    and what it tells, or what is wrong with it."""

    number: int
    last: int
    end: int
    told: Line | tuple[Fault, ...]


class Start(msgspec.Struct, frozen=True):
    """How much of a file is done: lines, and bytes."""

    number: int = 0
    end: int = 0


def kind_of(path: Path) -> str:
    """How a file is written, by the end of its name. Raises Invalid."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise Invalid(f"A file of accounts ends in {', '.join(KINDS)}.")
    return kind


def read_lines(file: BinaryIO, kind: str, start: Start = Start()) -> Iterator[Read]:  # noqa: B008 - frozen
    """Every line that holds something, from where a run before has stopped. Raises Invalid for a CSV whose header is
    not one."""
    return _csv(file, start) if kind == "csv" else _ndjson(file, start)


def _ndjson(file: BinaryIO, start: Start) -> Iterator[Read]:
    file.seek(start.end)
    number, end = start.number, start.end
    for raw, size in _physical(file):
        number += 1
        end += size
        body = (raw.removeprefix(_MARK) if number == 1 else raw).strip()
        if size > LONGEST_LINE:
            yield Read(number, number, end, _too_long())
        elif body:
            yield Read(number, number, end, told_in(body))


def _physical(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Lines as they stand in the file, and their sizes; one that is too long is passed over a piece at a time."""
    while raw := file.readline(LONGEST_LINE + 1):
        size, piece = len(raw), raw
        while size > LONGEST_LINE and not piece.endswith(b"\n") and (piece := file.readline(LONGEST_LINE)):
            size += len(piece)
        yield raw, size


def told_in(body: bytes) -> Line | tuple[Fault, ...]:
    """One JSON document. A key given twice shows by its quotes: there are more than the keys and texts read need."""
    try:
        plain = msgspec.json.decode(body)
        needed = 2 * (len(plain) + list(map(type, plain.values())).count(str))
        if b"\\" in body or body.count(b'"') != needed:
            check_text(body)
        line = msgspec.convert(plain, Line)
    except Malformed as fault:
        return fault.faults
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError, RecursionError):
        return _faults_in(body)
    return _faults_of(line) or line


def _faults_in(body: bytes) -> tuple[Fault, ...]:
    try:
        check_text(body)
    except Malformed as fault:
        return fault.faults
    return faults_in(body, Line)


def _faults_of(line: Line) -> tuple[Fault, ...]:
    """What a rule refuses in a line that can be read."""
    faults = address_faults(line.email, line.guardian_email)
    if line.age_band == "under_13" and line.guardian_email is None:
        faults += (Fault("/guardian_email", "guardian_email_required", "Required for under_13"),)
    if line.school is not None and line.pupil is None:
        faults += (Fault("/school", "invalid", "A school is a pupil's, and this line names none"),)
    return faults


def _csv(file: BinaryIO, start: Start) -> Iterator[Read]:
    head = file.readline(LONGEST_LINE).removeprefix(_MARK).decode("utf-8", "replace").strip()
    mark = ";" if ";" in head else ","
    names = next(csv.reader([head], delimiter=mark), [])
    _check_header(names)
    number = max(start.number, 1)
    end = file.seek(max(start.end, file.tell()))
    source = _Texts(file)
    rows = csv.reader(source, delimiter=mark, strict=True)
    while True:
        first = number + source.lines + 1
        try:
            cells = next(rows, None)
            if cells is None:
                return
            told = _told_in_cells(names, cells) if any(cells) else None
        except csv.Error as fault:
            told = (Fault("", "not_csv", str(fault)),)
        if source.is_too_long():
            told = _too_long()
        if told is not None:
            yield Read(first, number + source.lines, end + source.size, told)


class _Texts:
    """The lines of a file as text for the CSV reader, counted; bytes that are not UTF-8 can still be told from text."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._long = False
        self.lines = self.size = 0

    def __iter__(self) -> Iterator[str]:
        for raw, size in _physical(self._file):
            self.lines += 1
            self.size += size
            self._long |= size > LONGEST_LINE
            yield '""' if self._long else raw.decode("utf-8", "surrogateescape")

    def is_too_long(self) -> bool:
        """Whether a line since the last question was too long."""
        was, self._long = self._long, False
        return was


def _check_header(names: list[str]) -> None:
    required = [field.encode_name for field in msgspec.structs.fields(Line) if field.required]
    faults = [Fault(name[:64], "unknown_field", "There is no such column") for name in names if name not in FIELDS]
    faults += [Fault(name, "missing", "This column is required") for name in required if name not in names]
    faults += [Fault(name, "repeated", "Given more than once") for name in FIELDS if names.count(name) > 1]
    if faults:
        told = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults)
        raise Invalid(f"The first line must name the columns. {told}", faults=tuple(faults))


def _told_in_cells(names: list[str], cells: list[str]) -> Line | tuple[Fault, ...]:
    """A row; an empty cell is a field that is not given."""
    if len(cells) != len(names):
        return (Fault("", "invalid", f"{len(cells)} cells under {len(names)} columns"),)
    texts = "".join(cells)
    if not texts.isascii() and any("\ud800" <= letter <= "\udfff" for letter in texts):
        return (Fault("", "not_utf8", "A cell is not UTF-8"),)
    if "\0" in texts:
        return (Fault("", "nul", "U+0000 cannot be stored"),)
    given: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
    if (truth := _TRUTHS.get(given.get("email_confirmed", ""))) is not None:
        given["email_confirmed"] = truth
    try:
        line = msgspec.convert(given, Line)
    except msgspec.ValidationError:
        return faults_in(msgspec.json.encode(given), Line)
    return _faults_of(line) or line


def _too_long() -> tuple[Fault, ...]:
    return (Fault("", "too_long", f"A line has at most {LONGEST_LINE} bytes"),)
