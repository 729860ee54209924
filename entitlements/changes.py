"""The change log: whoever writes a fact says in the same statement whose answers it changes, and why.

A write that finds nothing to change says nothing. What is rolled back was never said. Followers of the log are woken
after the commit (`waking`), numbers are given out after it (`numbering`).
"""

from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import RowMapping, String, UpdateBase, bindparam, case, cast, insert, literal, null, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement

from billing.kernel.db import remark, wake
from entitlements.tables import ChangeRow, GrantRow

TOPIC: Final = "entitlements"
"""What a process tells itself after a commit: the `Whom` of every change (`Database.when_committed`)."""

NUMBER: Final = "entitlements.number"
"""The work that gives out numbers; each commit that changed something rings for it."""

Cause = Literal[
    # The caller's own doing: who there is, and who belongs to whom.
    "account_added",
    "account_removed",
    "linked",
    "unlinked",
    "school_changed",
    # A school blocks features, or lets them go again.
    "blocked",
    "unblocked",
    # The app is asked to show a notice, or no longer (R29).
    "notice_changed",
    # Something begins: a trial, a paid right, one that a sponsor or staff gave, days of grace; `right_planned`: later.
    "trial_started",
    "pass_started",
    "right_started",
    "grace_started",
    "right_planned",
    # Its beginning or end is another now.
    "trial_moved",
    "pass_moved",
    "right_moved",
    "grace_moved",
    # The end of the trial was told and holds from now on; it passed untold, and the trial runs on (R21).
    "trial_bound",
    "trial_runs_on",
    # Its time is over.
    "trial_ended",
    "pass_ended",
    "right_ended",
    "grace_ended",
    # It was ended before its time, for this reason.
    "withdrawn",
    "refunded",
    "disputed",
    "payment_failed",
    "sponsorship_ended",
    # It is forgotten, as if it had never been given (R19).
    "right_removed",
    # Nobody has the pupil any more, and its name is forgotten; never told to strangers, as nobody is concerned.
    "pupil_forgotten",
]


class Whom(NamedTuple):
    """Whose answers a change concerns: an account's, one pupil's of an account, a pupil's everywhere, a school's."""

    account: str | None = None
    pupil: str | None = None
    school: str | None = None


WORDS: Final = {"trial": "trial", "paid": "pass", "sponsored": "right", "granted": "right", "grace": "grace"}
"""What a right of each source is called in a cause."""


def named(ending: str) -> ColumnElement[str]:
    """The cause of a grant that is being written: `trial_` or `pass_` … and the ending."""
    word = case(*((GrantRow.source == source, word) for source, word in WORDS.items()), else_="right")
    return cast(word, String) + literal("_" + ending, String)


class Logged:
    """A write together with the log of what it changes, as one statement; made once where its shape never varies.

    The write returns who is concerned under the names `account`, `pupil`, `school`: each is logged once. Without a
    `cause` given it returns that too. A row whose `silent` is true was written, and no answer says anything else.
    """

    def __init__(self, write: UpdateBase, cause: Cause | None = None) -> None:
        done = write.cte("done")
        told = select(
            *(done.c[name] if name in done.c else cast(null(), String) for name in Whom._fields),
            literal(cause, String) if cause else done.c.cause,
            bindparam("b_changed_at", type_=ChangeRow.changed_at.type),
            bindparam("b_effective_at", type_=ChangeRow.effective_at.type),
        ).distinct()
        if "silent" in done.c:
            told = told.where(~done.c.silent)
        log = insert(ChangeRow).from_select([*Whom._fields, "cause", "changed_at", "effective_at"], told).cte("log")
        self.statement = select(done).add_cte(log)
        self.names = tuple(name for name in Whom._fields if name in done.c)


async def written(
    session: AsyncSession,
    write: UpdateBase | Logged,
    cause: Cause | None = None,
    *,
    changed_at: datetime | None = None,
    effective_at: datetime | None = None,
    **values: Any,
) -> list[RowMapping]:
    """Do the write and log what it changed, in one statement; answers the rows that the write returns."""
    logged = write if isinstance(write, Logged) else Logged(write, cause)
    given = {"b_changed_at": changed_at, "b_effective_at": effective_at, **values}
    rows = list((await session.execute(logged.statement, given)).mappings())
    concerned = {Whom(**{name: row[name] for name in logged.names}) for row in rows if not row.get("silent")}
    if concerned:
        remark(session, TOPIC, concerned)
        wake(session, (NUMBER,))
    return rows
