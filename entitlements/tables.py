"""The facts on which every answer rests: accounts, their pupils, the pupils' grants, the schools' blocks; and the log
of what changed in them."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from billing.kernel.db import Base

_REF = r"~ '^[A-Za-z0-9._:-]{1,64}$'"


class Xid8(UserDefinedType[int]):
    """PostgreSQL's number of a transaction, never used twice."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name."""
        return "xid8"


cast("dict[str, Any]", ischema_names)["xid8"] = Xid8  # so that the schema can be read back and compared


class AccountRow(Base):
    """An account that may be asked about. Who it belongs to is another room's knowledge."""

    __tablename__ = "entitlement_account"
    __table_args__ = (CheckConstraint(f"account {_REF}", name="account"),)

    account: Mapped[str] = mapped_column(primary_key=True)


class PupilRow(Base):
    """A pupil and the school whose blocks apply; null: none is known."""

    __tablename__ = "entitlement_pupil"
    __table_args__ = (
        CheckConstraint(f"pupil {_REF}", name="pupil"),
        CheckConstraint(f"school {_REF}", name="school"),
        Index("ix_entitlement_pupil_school", "school", postgresql_where="school is not null"),
    )

    pupil: Mapped[str] = mapped_column(primary_key=True)
    school: Mapped[str | None]


class LinkRow(Base):
    """An account has a pupil; the pupil's rights are the account's while this row stands (R1, R3)."""

    __tablename__ = "entitlement_link"
    __table_args__ = (Index("ix_entitlement_link_pupil", "pupil"),)

    account: Mapped[str] = mapped_column(ForeignKey("entitlement_account.account"), primary_key=True)
    pupil: Mapped[str] = mapped_column(ForeignKey("entitlement_pupil.pupil"), primary_key=True)
    linked_at: Mapped[datetime]
    notice_pending: Mapped[bool] = mapped_column(server_default="false")


class BlockRow(Base):
    """A school blocks a feature for its pupils since an instant (R12)."""

    __tablename__ = "entitlement_block"

    school: Mapped[str] = mapped_column(primary_key=True)
    feature: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]


class GrantRow(Base):
    """A right of a pupil over [since, until). `origin` is the public id of what gave it; one origin may give many."""

    __tablename__ = "entitlement_grant"
    __table_args__ = (
        CheckConstraint(f"pupil {_REF}", name="pupil"),
        CheckConstraint("source in ('trial', 'paid', 'sponsored', 'granted', 'grace')", name="source"),
        CheckConstraint("cardinality(features) > 0", name="features"),
        CheckConstraint("since <= until", name="interval"),
        CheckConstraint("bound or source = 'trial'", name="bound"),
        CheckConstraint(
            "end_reason in ('withdrawn', 'refunded', 'disputed', 'payment_failed', 'sponsorship_ended')",
            name="end_reason",
        ),
        CheckConstraint("end_reason is null or (bound and until is not null)", name="closed"),
        Index("ix_entitlement_grant_pupil", "pupil"),
        Index("ix_entitlement_grant_origin", "origin"),
        Index("ix_entitlement_grant_until", "until", "id", postgresql_where="until is not null"),
        Index("ix_entitlement_grant_later", "since", "id", postgresql_where="since > created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    pupil: Mapped[str]
    source: Mapped[str]
    origin: Mapped[str]
    features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    bound: Mapped[bool] = mapped_column(server_default="true")
    end_reason: Mapped[str | None]
    created_at: Mapped[datetime]


class ChangeRow(Base):
    """One write that changes what an answer says, in the transaction of that write; nobody ever changes it.

    `account` alone: that account; `account` and `pupil`: that pupil of that account; `pupil` alone: the pupil for every
    account linked to it; `school`: all its pupils. `changed_at` and `effective_at` are instants of the product's clock,
    null where the writer was not told one; `recorded_at` is the database's own. Kept for a day.
    """

    __tablename__ = "entitlement_change"
    __table_args__ = (
        CheckConstraint("(school is null) = (num_nonnulls(account, pupil) > 0)", name="whom"),
        Index("ix_entitlement_change_xid", "xid"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    xid: Mapped[int] = mapped_column(Xid8(), server_default=text("pg_current_xact_id()"))
    account: Mapped[str | None]
    pupil: Mapped[str | None]
    school: Mapped[str | None]
    cause: Mapped[str]
    changed_at: Mapped[datetime | None]
    effective_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class NewsRow(Base):
    """A change as strangers may follow it: numbered without a gap after it was committed. Kept for 30 days.

    `account` null: whoever it was has left since, and nobody was reading (R88).
    """

    __tablename__ = "entitlement_news"
    __table_args__ = (CheckConstraint("seq > 0", name="seq"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account: Mapped[str | None]
    pupil: Mapped[str | None]
    cause: Mapped[str]
    changed_at: Mapped[datetime]
    effective_at: Mapped[datetime]


class NumberingRow(Base):
    """How far numbering has come; there is only one, and whoever numbers holds its lock.

    `seen` is PostgreSQL's snapshot of the transactions whose changes are numbered. Changes by time alone are told up to
    `swept_until`; of those of that very instant, up to `swept_key`. `followed_at`: when a follower of the log was last
    connected, by the database's clock; `read_at`: when the news were last read, to the hour, by the product's.
    """

    __tablename__ = "entitlement_numbering"
    __table_args__ = (CheckConstraint("is_only", name="is_only"), CheckConstraint("seq >= 0", name="seq"))

    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    seq: Mapped[int]
    seen: Mapped[str]
    swept_until: Mapped[datetime | None]
    swept_key: Mapped[str] = mapped_column(server_default="")
    followed_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
