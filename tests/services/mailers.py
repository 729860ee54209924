"""Real mailers around the real one, that break at a point the test names; and where letters end up."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from billing.notices.letters_draft import Written
from billing.notices.mailer import DeliveryUnknown, Envelope, Mailer
from billing.sandbox.mailbox import Letter, MailFault


class Letterbox(Protocol):
    """Where the letters of a house end up, and how it misbehaves."""

    @property
    def fault(self) -> MailFault: ...

    @fault.setter
    def fault(self, fault: MailFault) -> None: ...

    def letters(self, to: str | None = None) -> list[Letter]:
        """Those to one address, or all, oldest first."""
        ...


class NoLetters:
    """A letterbox where nobody sends letters."""

    def __init__(self) -> None:
        self.fault = MailFault()

    def letters(self, to: str | None = None) -> list[Letter]:
        return []


class Died(BaseException):
    """The process is gone: nothing catches this."""


class Breaking:
    """Hands the n-th letters over for real, and then loses the answer, or the process."""

    def __init__(self, inner: Mailer, at_call: dict[int, type[BaseException]]) -> None:
        self.inner = inner
        self.at_call = at_call
        self.calls: list[Envelope] = []

    async def send(self, envelope: Envelope, written: Written) -> str:
        self.calls.append(envelope)
        answer = await self.inner.send(envelope, written)
        fault = self.at_call.get(len(self.calls))
        if fault is not None:
            raise fault(str(len(self.calls)))
        return answer


class Meanwhile:
    """Hands letters over for real; while the first is with the server, something else happens, and so with the next."""

    def __init__(self, inner: Mailer, *deeds: Callable[[], Awaitable[object]]) -> None:
        self.inner = inner
        self.deeds = list(deeds)
        self.first = ""

    async def send(self, envelope: Envelope, written: Written) -> str:
        try:
            return await self.inner.send(envelope, written)
        finally:
            self.first = self.first or envelope.to
            if self.deeds:
                await self.deeds.pop(0)()


__all__ = ("Breaking", "DeliveryUnknown", "Died", "Meanwhile")
