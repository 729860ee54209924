"""Terms, privacy, accessibility, help and the model withdrawal form: versioned texts, one file for each language.

The same text is shown as a page, attached to the confirmation and hashed on the order, so all three agree (R45, R46).
"""

import hashlib
import re
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct

from billing.kernel.pages import Page, Seller, render, show
from billing.kernel.speech import Speech

DocumentName = Literal["terms", "withdrawal_form", "privacy", "accessibility", "help"]
Overlap = Literal["refund_unused", "keep", "none"]

TERMS_VERSION: Final = "2026-11"
VERSIONS: Final = MappingProxyType(
    {
        "terms": TERMS_VERSION,
        "withdrawal_form": TERMS_VERSION,
        "privacy": "2026-11",
        "accessibility": "2026-11",
        "help": "2026-11",
    }
)
PATHS: Final[MappingProxyType[str, DocumentName]] = MappingProxyType(
    {"/regulamin": "terms", "/prywatnosc": "privacy", "/dostepnosc": "accessibility", "/pomoc": "help"}
)

_TEMPLATES: Final = Path(__file__).parent / "templates"
_PARAGRAPHS: Final = re.compile(r"\n\s*\n")


class Policy(Struct, frozen=True, kw_only=True):
    """The settings that the terms must tell: what goes back on withdrawal (R74) and when a sponsor pays (R95)."""

    full_refund: bool = True
    overlap: Overlap = "refund_unused"


class Document(Struct, frozen=True, kw_only=True):
    """One text in one language. `sha256` is that of the UTF-8 bytes."""

    name: DocumentName
    version: str
    language: str
    title: str
    text: str

    @property
    def sha256(self) -> str:
        """What an order keeps of it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Piece(Struct, frozen=True, kw_only=True):
    """A heading, a paragraph or a list of a document."""

    kind: Literal["heading", "text", "bullets", "steps"]
    lines: tuple[str, ...]


class DocumentPage(Page, frozen=True, kw_only=True):
    """A document as a page; an older version on request."""

    name: DocumentName
    version: str | None = None
    policy: Policy = Policy()


def document(
    name: DocumentName, seller: Seller, speech: Speech, policy: Policy | None = None, version: str | None = None
) -> Document:
    """The text with the seller's facts filled in; a version that was never in force is a LookupError.

    Where a language is missing, the Polish text, which prevails anyway, takes its place (R124).
    """
    wanted = version or VERSIONS[name]
    if wanted not in versions(name):
        raise LookupError(f"{name} has no version {wanted!r}")
    language = speech.locale if (_TEMPLATES / name / wanted / f"{speech.locale}.txt").exists() else "pl"
    facts = {"seller": seller, "policy": policy or Policy(), "version": wanted}
    text = render(f"checkout/{name}/{wanted}/{language}.txt", speech, **facts).strip() + "\n"
    title = text.partition("\n")[0].removeprefix("# ")
    return Document(name=name, version=wanted, language=language, title=title, text=text)


def versions(name: DocumentName) -> tuple[str, ...]:
    """All versions kept, oldest first."""
    return tuple(sorted(place.name for place in (_TEMPLATES / name).iterdir() if place.is_dir()))


def document_page(page: DocumentPage, speech: Speech) -> str:
    """The document set as a page, in its own language."""
    found = document(page.name, page.seller, speech, page.policy, page.version)
    return show("checkout/document.html", page, speech, document=found, pieces=pieces(found.text))


def pieces(text: str) -> tuple[Piece, ...]:
    """The text taken apart: ``##`` headings, ``-`` bullets, ``1.`` steps; the title line is left out."""
    found: list[Piece] = []
    for paragraph in _PARAGRAPHS.split(text.strip())[1:]:
        lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
        if lines[0].startswith("## "):
            found.append(Piece(kind="heading", lines=(lines[0][3:],)))
        elif lines[0].startswith("- "):
            found.append(Piece(kind="bullets", lines=tuple(line.removeprefix("- ") for line in lines)))
        elif re.match(r"\d+\. ", lines[0]):
            found.append(Piece(kind="steps", lines=tuple(re.sub(r"^\d+\. ", "", line) for line in lines)))
        else:
            found.append(Piece(kind="text", lines=(" ".join(lines),)))
    return tuple(found)
