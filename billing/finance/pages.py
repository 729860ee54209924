"""The staff's pages: one frame, dense tables, Warsaw time throughout, no script at all."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from billing.finance.rules import Route, navigation
from billing.finance.service import Staff
from billing.finance.words import TONGUES, Tongue, Words
from billing.kernel.days import WARSAW, day_of, last_day_before
from billing.kernel.ids import public
from billing.kernel.pages import render
from billing.kernel.speech import Speech, speak

STATIC: Final = Path(__file__).parent / "static"
STYLE: Final = "finance.css"

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-src 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
        # Not no-referrer: under it a browser sends `Origin: null` with our own forms (Fetch, 3.2).
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    }
)
LETTER_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **HEADERS,
        "Content-Security-Policy": (
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
            "frame-ancestors 'self'; base-uri 'none'"
        ),
    }
)
"""For a letter as it was sent, shown within our own page: it may style itself and do nothing else."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What every page has: its language, who looks (None: nobody is logged in), and where the language links lead."""

    tongue: Tongue
    staff: Staff | None
    path: str
    query: str = ""
    done: str | None = None
    """What this person has just done: a key of the words."""

    @property
    def speech(self) -> Speech:
        """The house's way to say money in this language."""
        return speak(self.tongue)

    @property
    def nav(self) -> tuple[Route, ...]:
        """The sections this person may open."""
        return () if self.staff is None else navigation(self.staff.role)

    def in_tongue(self, code: str) -> str:
        """The address of the same page in another language."""
        return f"{self.path}?{self.query}&lang={code}" if self.query else f"{self.path}?lang={code}"


class Shape:
    """How values stand in a table: ISO days and minutes of Warsaw, money as people write it."""

    def __init__(self, speech: Speech) -> None:
        self.money = speech.money
        self.public = public

    def day(self, at: datetime | date | None) -> str:
        """The Warsaw day: 2026-11-30."""
        if isinstance(at, datetime):
            at = day_of(at)
        return "–" if at is None else at.isoformat()

    def when(self, at: datetime | None) -> str:
        """The Warsaw day and minute: 2026-11-30 08:05."""
        return "–" if at is None else at.astimezone(WARSAW).strftime("%Y-%m-%d %H:%M")

    def last_day(self, until: datetime | None) -> str:
        """The last Warsaw day before an end."""
        return "–" if until is None else last_day_before(until).isoformat()


def show(template: str, frame: Frame, **facts: Any) -> str:
    """A page in the staff's frame."""
    return render(
        f"finance/{template}",
        frame.speech,
        frame=frame,
        w=Words(frame.tongue),
        shape=Shape(frame.speech),
        tongues=TONGUES,
        style_url=style_url(),
        **facts,
    )


def message(frame: Frame, title: str, sentences: tuple[str, ...] = (), way_on: tuple[str, str] | None = None) -> str:
    """A page that says one thing; `title` is a key of the words, `way_on` an address and the key of its name."""
    return show("message.html", frame, title=title, sentences=sentences, way_on=way_on)


@cache
def style_url() -> str:
    """Where the style sheet is served; the address changes with the content."""
    digest = hashlib.sha256((STATIC / STYLE).read_bytes()).hexdigest()
    return f"/finance/static/{STYLE}?v={digest[:12]}"
