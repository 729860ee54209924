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

    def and_then(self, later: "Seen", last: int) -> "Seen":
        """What this view tells, and of a later one the transactions up to `last`: a part of what is new, to do at once.
        What was looked at stays so, also where an earlier transaction is only now over."""
        beyond = max(self.beyond, min(later.beyond, last + 1))
        open_still = {xid for xid in self.running if xid > last or not later.tells(xid)}
        running = open_still.union(xid for xid in later.running if self.beyond <= xid < beyond)
        return Seen(min([*running, beyond]), beyond, frozenset(running))

    def is_before(self, other: "Seen") -> bool:
        """Whether this is a view of an earlier time. If what is seen is ahead of the present, the rows were moved to
        another server, where transactions are counted anew."""
        return self.beyond < other.beyond
