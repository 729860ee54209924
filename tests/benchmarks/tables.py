"""The tables, in Markdown."""

from pathlib import Path

import msgspec

from tests.benchmarks.place import Row

_TITLES = {
    "answers": (
        "One answer, closed loop",
        "Ratio: the floor's server CPU to one's own in the same round. 1: as cheap as a constant.",
    ),
    "versus": (
        "Against what others would use",
        "Ratio: the second's server CPU a request to the first's in the same round, without databases and with them.",
    ),
    "rates": ("At fixed rates, open loop", "Latency from when a request was due. Ratio: the floor's p99 to one's own."),
    "fresh": ("From a commit to the answer", "Milliseconds until another process answers what was committed."),
    "standing": ("Memory and start", ""),
    "profile": (
        "Where the time goes",
        "Shares of a process's own time under Python's profiler, which charges each call: small functions look dearer.",
    ),
    "bursts": (
        "When everything comes at once",
        "Latency from when a request was due. Ratio: the floor's p99 at the same rate to one's own.",
    ),
    "intake": ("Webhook intake", ""),
    "sweep": ("Sweep and planning of notices", ""),
    "importing": ("Import", ""),
}

_SMALL = 0.1
BEGIN, END = "<!-- tables of make bench -->", "<!-- end of the tables -->"


class Section(msgspec.Struct, frozen=True):
    """One table."""

    name: str
    rows: list[Row]


def render(machine: str, sections: list[Section]) -> str:
    """All tables under a line about the machine."""
    return "\n\n".join([machine, *(_table(section) for section in sections if section.rows)]) + "\n"


def placed(file: Path, text: str) -> str:
    """What the file is to hold: the tables between its marks, or, where it has none, the tables alone."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if BEGIN not in before or END not in before:
        return text
    head, _, rest = before.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}"


def _table(section: Section) -> str:
    title, words = _TITLES.get(section.name, (section.name, ""))
    columns = list(dict.fromkeys(name for row in section.rows for name in row.figures))
    has_ratio = any(row.ratio is not None for row in section.rows)
    has_goal = any(row.goal for row in section.rows)
    head = ["", *(["ratio"] if has_ratio else []), *(["goal"] if has_goal else []), *columns]
    lines = [f"### {title}", "", *([words, ""] if words else []), _line(head), _line(["---"] * len(head))]
    for row in section.rows:
        cells = [row.name]
        cells += (
            ["" if row.ratio is None else f"**{row.ratio:.2f}**" if row.ratio >= _SMALL else f"**{row.ratio:.2g}**"]
            if has_ratio
            else []
        )
        cells += [row.goal and (row.goal if row.goal[0] in "≤≥" else f"≥ {row.goal}")] if has_goal else []
        lines.append(_line([*cells, *(row.figures.get(name, "") for name in columns)]))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
