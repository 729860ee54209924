"""MJML into the HTML that is committed: ``python -m tests.pages.compile_letters`` after a change of a source."""

import sys
from pathlib import Path

import mrml

TEMPLATES = Path(__file__).parents[2] / "billing" / "notices" / "templates"


def compiled(source: Path) -> str:
    """The HTML of one MJML file; a warning of the compiler is a ValueError, a foreign font is never asked for."""
    result = mrml.to_html(source.read_text(encoding="utf-8"), render_options=mrml.RenderOptions(fonts={}))
    if result.warnings:
        raise ValueError(f"{source.name}: {result.warnings}")
    return result.content.replace("><", ">\n<") + "\n"


def main() -> None:
    """Compile all of them in place."""
    for source in sorted(TEMPLATES.glob("*.mjml")):
        source.with_suffix(".html").write_text(compiled(source), encoding="utf-8")
        sys.stdout.write(f"{source.stem}.html\n")


if __name__ == "__main__":
    main()
