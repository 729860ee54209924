"""Reads HTML as a parent's browser would, as far as tests need it: elements in order, and words between them."""

import re
from html.parser import HTMLParser

from msgspec import Struct

SILENT = {"style", "script", "title", "head"}
BLOCKS = {"p", "li", "dt", "dd", "h1", "h2", "h3", "td", "label", "span", "a", "button", "small", "div", "strong"}


class Element(Struct, frozen=True):
    """A start tag with its attributes and the words that come before its end."""

    tag: str
    attributes: dict[str, str]
    place: int


class Reader(HTMLParser):
    """Elements and words in the order of the document."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.words: list[str] = []
        self._silent: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self._silent.append(tag)
        if tag in BLOCKS:
            self.words.append("\n")
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, len("".join(self.words))))

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT and tag in self._silent:
            self._silent.remove(tag)
        if tag in BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)

    @property
    def text(self) -> str:
        """What is shown, as it stands."""
        return "".join(self.words)

    def all(self, tag: str) -> list[Element]:
        """The elements of that name."""
        return [element for element in self.elements if element.tag == tag]


def shown(html: str) -> str:
    """The words of a page or letter with every gap made one space."""
    return squeezed(Reader(html).text)


def squeezed(text: str) -> str:
    """The text with gaps, the no-break ones among them, made one space."""
    return re.sub(r"\s+", " ", text).strip()


def sentences(html: str) -> list[str]:
    """The sentences of a page: pieces of text that end with a full stop, a question mark or an exclamation mark."""
    found: list[str] = []
    for line in Reader(html).text.splitlines():
        words = line.replace(" r.", " r").strip()
        found += [part for part in re.split(r"(?<=[.?!])\s+", words) if part.endswith((".", "?", "!"))]
    return found
