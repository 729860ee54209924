"""Handing a letter to a mail server over SMTP, and saying exactly what came of it (three outcomes, I18)."""

import asyncio
import re
import smtplib
import ssl
from collections.abc import Set as AbstractSet
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from typing import Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from billing.notices.letters_draft import Written

_TIMEOUT = 20
_STATUS = re.compile(rb"(\d\.\d{1,3}\.\d{1,3})(?:\s|$)")
_NO_SUCH_MAILBOX = frozenset({b"5.1.1", b"5.1.2", b"5.1.3", b"5.1.6", b"5.1.10", b"5.2.1"})
"""What says that an address cannot be reached (RFC 3463, RFC 7505). Any other refusal may be for a reason of ours: no
login, a sender that is not known, a quota, a policy."""
_BARE = frozenset({550, 551, 553})
"""The same, of a recipient, where a server gives no status."""


class Undelivered(Exception):
    """The server surely did not take it. `is_permanent`: this address cannot be reached (R29); else try again."""

    def __init__(self, answer: str, *, is_permanent: bool) -> None:
        super().__init__(answer)
        self.answer = answer
        self.is_permanent = is_permanent


class DeliveryUnknown(Exception):
    """The connection was lost after the final dot: nobody can say whether it was taken."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes to whom, under which `Message-ID`; the same letter has the same one at every try."""

    sender: str
    to: str
    message_id: str


class Mailer(Protocol):
    """Takes a letter; answers what the server said. Raises Undelivered, DeliveryUnknown."""

    async def send(self, envelope: Envelope, written: Written) -> str:
        """Hand one letter over. Never called with a transaction open."""
        ...


def message_of(envelope: Envelope, written: Written) -> EmailMessage:
    """The letter as it travels: plain text first, HTML beside it, attachments last."""
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["From"] = envelope.sender
    message["To"] = envelope.to
    message["Subject"] = written.subject
    message["Message-ID"] = f"<{envelope.message_id}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = written.language
    message.set_content(written.text)
    message.add_alternative(written.html, subtype="html")
    for attachment in written.attachments:
        main, _, sub = attachment.media_type.partition(";")[0].partition("/")
        message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.name)
    return message


class SmtpMailer:
    """One connection a letter, to the relay named by `smtp://user:password@host:port` (`smtps://` for TLS at once)."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    async def send(self, envelope: Envelope, written: Written) -> str:
        """Hand one letter over, in a thread."""
        return await asyncio.to_thread(self._send, envelope, message_of(envelope, written))

    def _send(self, envelope: Envelope, message: EmailMessage) -> str:
        try:
            link = self._connect()
            try:
                self._accepted(link.mail(_plain(envelope.sender)), told=frozenset())
                self._accepted(link.rcpt(envelope.to), told=_NO_SUCH_MAILBOX, bare=_BARE)
                answer = self._data(link, message)
                _leave(link)
                return answer
            finally:
                link.close()
        except (OSError, smtplib.SMTPException) as fault:
            raise Undelivered(type(fault).__name__, is_permanent=False) from fault

    def _connect(self) -> smtplib.SMTP:
        host, port = self._url.hostname or "localhost", self._url.port
        if self._url.scheme == "smtps":
            context = ssl.create_default_context()
            link: smtplib.SMTP = smtplib.SMTP_SSL(host, port or 465, timeout=_TIMEOUT, context=context)
        else:
            link = smtplib.SMTP(host, port or 25, timeout=_TIMEOUT)
        link.ehlo_or_helo_if_needed()
        if self._url.scheme == "smtp" and link.has_extn("starttls"):
            link.starttls(context=ssl.create_default_context())
            link.ehlo()
        if self._url.username:
            link.login(unquote(self._url.username), unquote(self._url.password or ""))
        return link

    async def greet(self) -> str:
        """What the relay says to us once it has let us in. Raises OSError, smtplib.SMTPException."""
        return await asyncio.to_thread(self._greet)

    def _greet(self) -> str:
        link = self._connect()
        try:
            code, words = link.noop()
            return f"{code} {words.decode('ascii', 'replace')}"
        finally:
            link.close()

    def _data(self, link: smtplib.SMTP, message: EmailMessage) -> str:
        """From the final dot on, a lost connection leaves us in doubt."""
        raw = message.as_bytes()
        link.putcmd("data")
        code, answer = link.getreply()
        if code != 354:  # noqa: PLR2004 - "start mail input", RFC 5321
            self._accepted((code, answer), told=frozenset())
        try:
            link.send(_dotted(raw))
            code, answer = link.getreply()
        except (OSError, smtplib.SMTPException) as fault:
            raise DeliveryUnknown(type(fault).__name__) from fault
        return self._accepted((code, answer), told=_NO_SUCH_MAILBOX)

    @staticmethod
    def _accepted(reply: tuple[int, bytes], *, told: AbstractSet[bytes], bare: AbstractSet[int] = frozenset()) -> str:
        """The answer to a step. `told` and `bare` are what says at this step that the address cannot be reached."""
        code, words = reply
        answer = f"{code} {words.decode('ascii', 'replace')}"[:300]
        if not 200 <= code < 300:  # noqa: PLR2004 - RFC 5321
            status = _STATUS.match(words)
            is_permanent = status[1] in told if status else code in bare
            raise Undelivered(answer, is_permanent=is_permanent)
        return answer


def _leave(link: smtplib.SMTP) -> None:
    """Say good-bye. Whatever is answered to that says nothing of the letter."""
    with suppress(OSError, smtplib.SMTPException):
        link.docmd("QUIT")


def _plain(sender: str) -> str:
    """The bare address of `Name <address>`."""
    return sender.rpartition("<")[2].rstrip(">").strip()


def _dotted(raw: bytes) -> bytes:
    """CRLF line ends, dots doubled, and the final dot (RFC 5321, 4.5.2)."""
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    body = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    return (body if body.endswith(b"\r\n") else body + b"\r\n") + b".\r\n"
