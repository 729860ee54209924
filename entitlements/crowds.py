"""What concerns many pupils, to be asked of all of them in one statement of another room."""

from datetime import datetime

from sqlalchemy import ColumnElement, Select, or_, select

from entitlements.tables import GrantRow, LinkRow


def accounts_of(pupil: ColumnElement[str]) -> Select[str]:
    """All accounts that share the rights of the pupil of a row (R1)."""
    return select(LinkRow.account).where(LinkRow.pupil == pupil)


def right_besides_trials(pupil: ColumnElement[str], at: datetime) -> Select[str]:
    """The rights of the pupil of a row that hold now or later and are no trial."""
    lasts = or_(GrantRow.until.is_(None), GrantRow.until > at)
    return select(GrantRow.source).where(GrantRow.pupil == pupil, GrantRow.source != "trial", lasts)
