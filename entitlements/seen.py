"""Which transactions have been looked at: PostgreSQL's own snapshots as plain values (`pg_current_snapshot()`).

Rows commit out of order, so no number of a row tells what is new. What is visible now and was not visible in the
snapshot of the last look is new; nothing is ever new twice, and nobody waits for a transaction that is held open.
"""

import msgspec


class Seen(msgspec.Struct, frozen=True):
    """Transactions below `least` are over, those from `beyond` on had not begun, of those between `running` were open.

    >>> Seen.read("10:14:10,12").tells(11), Seen.read("10:14:10,12").tells(12)
    (True, False)
    """

    least: int
    beyond: int
    running: frozenset[int] = frozenset()

    @classmethod
    def read(cls, text: str) -> "Seen":
        """From PostgreSQL's own writing, `xmin:xmax:running`."""
        least, beyond, running = text.split(":")
        return cls(int(least), int(beyond), frozenset(int(xid) for xid in running.split(",") if xid))

    def __str__(self) -> str:
        return f"{self.least}:{self.beyond}:{','.join(str(xid) for xid in sorted(self.running))}"

    def tells(self, xid: int) -> bool:
        """Whether what this transaction committed is visible."""
        return xid < self.beyond and xid not in self.running

    def up_to(self, xid: int) -> "Seen":
        """The same, of transactions no later than this one: a part of what is new, to be done at once."""
        beyond = min(self.beyond, xid + 1)
        running = frozenset(each for each in self.running if each < beyond)
        return Seen(min([*running, beyond]), beyond, running)

    def is_before(self, other: "Seen") -> bool:
        """Whether this is a view of an earlier time. If what is seen is ahead of the present, the rows were moved to
        another server, where transactions are counted anew."""
        return self.beyond < other.beyond
