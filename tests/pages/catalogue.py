"""What is said and what the catalogues hold; ``python -m tests.pages.catalogue`` brings the two in step."""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

ROOT = Path(__file__).parents[2] / "billing"
LANGUAGES = ("pl", "uk", "en")
MADE = datetime(2026, 11, 22, tzinfo=UTC)
SPOKEN = {"say": None, "say_many": (1, 2)}

MessageId = str | tuple[str, str]


def spoken() -> dict[MessageId, list[str]]:
    """All message ids with the files that say them."""
    found: dict[MessageId, list[str]] = {}
    for path in sorted(ROOT.rglob("*")):
        if path.suffix not in {".py", ".html", ".txt"}:
            continue
        for message in _said_in(path):
            places = found.setdefault(message, [])
            name = path.relative_to(ROOT.parent).as_posix()
            if name not in places:
                places.append(name)
    return found


def _said_in(path: Path) -> list[MessageId]:
    content = path.read_bytes()
    source = io.BytesIO(content)
    if path.suffix == ".py":
        if b"say(" not in content and b"say_many(" not in content:
            return []
        return [_id(message) for _, message, _, _ in extract("python", source, keywords=SPOKEN)]
    options = {"trimmed": "true", "encoding": "utf-8"}
    return [_id(message) for _, _, message, _ in babel_extract(source, ("_", "ngettext"), [], options)]


def _id(message: object) -> MessageId:
    if isinstance(message, str):
        return message
    assert isinstance(message, tuple | list)
    words = [part for part in message if isinstance(part, str)]
    return (words[0], words[1]) if len(words) > 1 else words[0]


def catalogue_path(language: str) -> Path:
    """Where a language's texts are kept."""
    return ROOT / "locales" / language / "LC_MESSAGES" / "billing.po"


def catalogue(language: str) -> Catalog:
    """The texts of one language, as they are in the file."""
    with catalogue_path(language).open("rb") as source:
        return read_po(source, locale=language)


def written(language: str) -> dict[MessageId, tuple[str, ...]]:
    """All texts of one language by message id, in as many forms as their number asks for."""
    found: dict[MessageId, tuple[str, ...]] = {}
    for message in catalogue(language):
        if message.id:
            string = message.string or ""
            found[_id(message.id)] = (string,) if isinstance(string, str) else tuple(string)
    return found


def main() -> None:
    """Add what is said and not yet there, drop what nobody says; tell what waits for a translator."""
    for language in LANGUAGES:
        fresh = Catalog(
            locale=language,
            project="mobile-addons-billing",
            version="1",
            last_translator="the billing team",
            language_team=language,
            msgid_bugs_address="the billing team",
            fuzzy=False,
        )
        fresh.header_comment = f"# What parents see and read, in {language}."
        fresh.creation_date = fresh.revision_date = MADE
        old = catalogue(language) if catalogue_path(language).exists() else Catalog(locale=language)
        for message, places in sorted(spoken().items(), key=lambda item: str(item[0])):
            known = old.get(message if isinstance(message, str) else message[0])
            fresh.add(message, known.string if known else None, locations=[(place, 0) for place in places])
            if not known or not any(known.string or ()):
                sys.stdout.write(f"{language}: {message}\n")
        with catalogue_path(language).open("wb") as target:
            write_po(target, fresh, width=120, sort_output=True, include_lineno=False)


if __name__ == "__main__":
    main()
