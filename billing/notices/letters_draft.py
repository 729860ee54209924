"""A letter as a row of plain blocks: written once, set twice, so that HTML and plain text cannot differ."""

import hashlib
from typing import Final, Literal

from msgspec import Struct

from billing.kernel.pages import Seller, render, unbroken
from billing.kernel.speech import Speech

Category = Literal["service"]
Kind = Literal["lead", "text", "heading", "list", "facts", "button", "quiet"]

PLAIN_TEXT: Final = "text/plain; charset=utf-8"
_WHOLE: Final = 'style="white-space:nowrap"'


class Block(Struct, frozen=True, kw_only=True):
    """One piece of a letter; which fields count depends on the kind."""

    kind: Kind
    text: str = ""
    url: str = ""
    items: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()


class Attachment(Struct, frozen=True, kw_only=True):
    """A file of a letter. `sha256` is what the order froze (R46)."""

    name: str
    media_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        """The hash of the very bytes that go out, in hex."""
        return hashlib.sha256(self.content).hexdigest()


class Draft(Struct, frozen=True, kw_only=True):
    """A letter before it is set: what it says, why it comes. All of ours are service messages: no adverts (R23). Its
    title is its subject too, unless it has one of its own."""

    title: str
    subject: str | None = None
    blocks: tuple[Block, ...]
    why: str
    attachments: tuple[Attachment, ...] = ()
    category: Category = "service"


class Written(Struct, frozen=True, kw_only=True):
    """A letter ready for the mailer: both parts always, and its language for the headers."""

    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...]
    language: str
    category: Category


def lead(text: str) -> Block:
    """The sentence that matters most."""
    return Block(kind="lead", text=text)


def text(*sentences: str) -> Block:
    """A paragraph."""
    return Block(kind="text", text=" ".join(sentences))


def quiet(*sentences: str) -> Block:
    """A paragraph that may be skipped."""
    return Block(kind="quiet", text=" ".join(sentences))


def heading(words: str) -> Block:
    """A heading below the title."""
    return Block(kind="heading", text=words)


def listed(*items: str) -> Block:
    """A list."""
    return Block(kind="list", items=items)


def facts(*pairs: tuple[str, str]) -> Block:
    """Names and their values."""
    return Block(kind="facts", pairs=pairs)


def button(words: str, url: str) -> Block:
    """The way on; plain text shows the whole address."""
    return Block(kind="button", text=words, url=url)


def plain_file(name: str, content: str) -> Attachment:
    """A text file in UTF-8, its bytes exactly those of the text."""
    return Attachment(name=name, media_type=PLAIN_TEXT, content=content.encode())


def set_letter(draft: Draft, seller: Seller, speech: Speech) -> Written:
    """Both parts of the letter from the same blocks."""
    about = {"draft": draft, "seller": seller}
    return Written(
        subject=draft.subject or draft.title,
        text=render("notices/letter.txt", speech, **about),
        html=unbroken(render("notices/letter.html", speech, **about), speech, _WHOLE),
        attachments=draft.attachments,
        language=speech.locale,
        category=draft.category,
    )
