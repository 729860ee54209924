"""What staff typed into a form, read field by field; every fault is named at once. Pure."""

import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import Final

_MONEY: Final = re.compile(r"^(\d{1,6})(?:[.,](\d{2}))?(?: ?(?:zł|PLN))?$")
_LONGEST: Final = 2_000


class Form:
    """The fields of one form. Reading a field that is wrong notes its fault (a key of the words) and goes on; whoever
    reads asks `faults` before using what was read."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = {name: value.replace("\0", "").strip() for name, value in fields.items()}
        self.faults: dict[str, str] = {}

    def text(self, name: str, *, required: bool = True, longest: int = _LONGEST) -> str:
        """A text; cut nowhere, refused when too long."""
        found = self._fields.get(name, "")
        if (required and not found) or len(found) > longest:
            self.faults[name] = "field_missing"
        return found

    def choice(self, name: str, among: Collection[str]) -> str:
        """One of several words."""
        found = self._fields.get(name, "")
        if found not in among:
            self.faults[name] = "field_not_a_choice"
        return found

    def day(self, name: str, *, latest: date) -> date:
        """A day, not after `latest`."""
        try:
            found = date.fromisoformat(self._fields.get(name, ""))
        except ValueError:
            self.faults[name] = "field_not_a_day"
            return latest
        if found > latest:
            self.faults[name] = "field_in_future"
        return found

    def grosz(self, name: str) -> int:
        """An amount as people write it (`44,99`), in grosz."""
        found = _MONEY.match(self._fields.get(name, "").replace("\u00a0", " "))
        if found is None or int(found[1]) == int(found[2] or 0) == 0:
            self.faults[name] = "field_not_money"
            return 0
        return int(found[1]) * 100 + int(found[2] or 0)
