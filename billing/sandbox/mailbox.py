"""The sandbox's mailbox: a real SMTP server that keeps every letter, and misbehaves when told to."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from aiosmtpd.smtp import SMTP, Envelope, Session

from billing.kernel.days import iso
from billing.kernel.errors import NotFound

Mode = Literal["normal", "refuse", "tempfail", "bounce", "hang_after_data", "close_after_data"]
_LETTER = 25_000_000
_FOR_EVER = 3600.0

_TABLES = """
CREATE TABLE IF NOT EXISTS letters (
  number INTEGER PRIMARY KEY AUTOINCREMENT, recipient TEXT NOT NULL, sender TEXT NOT NULL,
  sent_at TEXT NOT NULL, content BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS letters_to ON letters (lower(recipient));
CREATE TABLE IF NOT EXISTS faults (one INTEGER PRIMARY KEY CHECK (one = 1), setting TEXT NOT NULL);
"""


class MailFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the server misbehaves, and towards whom (``only_to``: a part of the recipient's address; none: all).

    ``refuse``: every recipient 554 5.7.1. ``bounce``: 550 5.1.1, there is no such mailbox. ``tempfail``: 451 4.3.0.
    ``hang_after_data`` and ``close_after_data``: the letter arrives whole and no answer comes back, so that the sender
    cannot know; with ``kept`` false it is lost as well.
    """

    mode: Mode = "normal"
    only_to: Annotated[str, msgspec.Meta(max_length=320)] | None = None
    kept: bool = True

    def concerns(self, recipient: str) -> bool:
        """True when this recipient is treated so."""
        return self.only_to is None or self.only_to.lower() in recipient.lower()


class Attachment(msgspec.Struct, frozen=True):
    """A file that came with a letter; ``size`` in bytes, ``url`` gives them."""

    name: str
    type: str
    size: int
    url: str


class Letter(msgspec.Struct, frozen=True):
    """One letter to one recipient, as it came in at ``sent_at`` by the sandbox's clock."""

    id: str
    to: str
    sender: str = msgspec.field(name="from")
    subject: str
    text: str | None
    html: str | None
    headers: dict[str, str]
    attachments: list[Attachment]
    sent_at: str


class Mailbox:
    """All letters, in one SQLite file. A letter to several recipients is kept once for each."""

    def __init__(self, store: Path, now: Callable[[], datetime]) -> None:
        """``now`` is the sandbox's clock."""
        self._now = now
        self._store = sqlite3.connect(store, isolation_level=None)
        self._store.execute("PRAGMA journal_mode=WAL")
        self._store.executescript(_TABLES)

    def close(self) -> None:
        """Closes the file."""
        self._store.close()

    @property
    def fault(self) -> MailFault:
        """How the server misbehaves at present."""
        row = self._store.execute("SELECT setting FROM faults").fetchone()
        return msgspec.json.decode(row[0], type=MailFault) if row else MailFault()

    @fault.setter
    def fault(self, fault: MailFault) -> None:
        self._store.execute("INSERT OR REPLACE INTO faults VALUES (1, ?)", (msgspec.json.encode(fault).decode(),))

    def keep(self, sender: str, recipients: list[str], content: bytes) -> None:
        """Takes a letter in, for all recipients or none."""
        at = iso(self._now())
        self._store.execute("BEGIN IMMEDIATE")
        self._store.executemany(
            "INSERT INTO letters (recipient, sender, sent_at, content) VALUES (?, ?, ?, ?)",
            [(recipient, sender, at, content) for recipient in recipients],
        )
        self._store.execute("COMMIT")

    def letters(self, to: str | None = None) -> list[Letter]:
        """The letters to one address (case aside) or to all, oldest first."""
        asked = "SELECT * FROM letters WHERE ?1 IS NULL OR lower(recipient) = lower(?1) ORDER BY number"
        return [_letter(row) for row in self._store.execute(asked, (to or None,))]

    def letter(self, letter_id: str) -> Letter:
        """One letter. Raises ``NotFound``."""
        return _letter(self._row(letter_id))

    def attachment(self, letter_id: str, number: str) -> tuple[Attachment, bytes]:
        """One attached file, counted from 1, with its bytes. Raises ``NotFound``."""
        row = self._row(letter_id)
        parts = list(_parse(row[4]).iter_attachments())
        place = next((place for place in range(len(parts)) if number == str(place + 1)), None)
        if place is None:
            raise NotFound("The letter has no such attachment.")
        return _letter(row).attachments[place], _bytes_of(parts[place])

    def _row(self, letter_id: str) -> tuple[Any, ...]:
        kind, _, number = letter_id.partition("_")
        found = None
        if kind == "mail" and number.isascii() and number.isdigit() and len(number) < 18:  # noqa: PLR2004 - SQLite's int
            found = self._store.execute("SELECT * FROM letters WHERE number = ?", (int(number),)).fetchone()
        if found is None:
            raise NotFound("There is no such letter.")
        return found

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Opens the SMTP door on the running event loop; the caller closes it."""
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # below that it names every recipient (I28)
        loop = asyncio.get_running_loop()

        def door() -> SMTP:
            return SMTP(
                _Door(self), data_size_limit=_LETTER, enable_SMTPUTF8=True, hostname="mailbox.sandbox", loop=loop
            )

        return await loop.create_server(door, host, port)


class _Door:
    """aiosmtpd's hooks; it calls them by these names."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's word
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        fault = self._mailbox.fault
        if fault.concerns(address):
            if fault.mode == "refuse":
                return "554 5.7.1 Refused by the sandbox"
            if fault.mode == "bounce":
                return "550 5.1.1 No such mailbox here, says the sandbox"
            if fault.mode == "tempfail":
                return "451 4.3.0 Try again later, says the sandbox"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del session
        fault = self._mailbox.fault
        silent = fault.mode in {"hang_after_data", "close_after_data"} and any(map(fault.concerns, envelope.rcpt_tos))
        if fault.kept or not silent:
            content = envelope.original_content or b""
            self._mailbox.keep(envelope.mail_from or "", list(envelope.rcpt_tos), content)
        if silent:
            if fault.mode == "close_after_data" and isinstance(server.transport, asyncio.Transport):
                server.transport.abort()
            await asyncio.sleep(_FOR_EVER)  # cancelled when the sender goes away
        return "250 2.0.0 Kept in the sandbox's mailbox"


def _parse(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


def _text_of(mail: EmailMessage, kind: str) -> str | None:
    part = mail.get_body((kind,))
    return None if part is None else str(part.get_content()).replace("\r\n", "\n")


def _bytes_of(part: MIMEPart) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else part.as_bytes()


def _letter(row: tuple[Any, ...]) -> Letter:
    number, recipient, sender, sent_at, content = row
    mail = _parse(content)
    sender_header = mail["from"]
    addresses = getattr(sender_header, "addresses", ())
    headers: dict[str, str] = {}
    for name, value in mail.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else str(value)
    files = [
        Attachment(
            part.get_filename() or f"attachment-{place}",
            part.get_content_type(),
            len(_bytes_of(part)),
            f"/sandbox/mailbox/mail_{number}/attachments/{place}",
        )
        for place, part in enumerate(mail.iter_attachments(), start=1)
    ]
    return Letter(
        id=f"mail_{number}",
        to=recipient,
        sender=addresses[0].addr_spec if addresses else sender,
        subject=str(mail["subject"] or ""),
        text=_text_of(mail, "plain"),
        html=_text_of(mail, "html"),
        headers=headers,
        attachments=files,
        sent_at=sent_at,
    )
