"""Asking every night whether all that must hold holds; what does not is said aloud, and mended by people."""

from datetime import datetime

import structlog

from billing.invariants import service
from billing.kernel.db import Database
from billing.kernel.work import Work

log = structlog.get_logger(__name__)


def works(database: Database) -> tuple[Work, ...]:
    """The nightly audit."""

    async def run(at: datetime) -> int:
        async with database.begin() as session:
            findings = await service.ask_of_the_night(session, at)
        for finding in service.broken(findings or ()):
            log.error("invariant_broken", number=finding.number, title=finding.title, rows=len(finding.rows))
        return 0 if findings is None else 1

    return (Work(name="invariants.ask", queue="bulk", next_due=service.next_due, run=run),)
