"""People's app accounts: the only room that knows an e-mail address (R86)."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class AccountRow(Base):
    """One account. Pending until its address is confirmed; deleted when it never is within the term (R90)."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("account ~ '^[A-Za-z0-9._:-]{1,64}$'", name="account"),
        CheckConstraint("locale in ('pl', 'uk', 'en')", name="locale"),
        CheckConstraint("kind in ('guardian', 'pupil')", name="kind"),
        CheckConstraint("age_band in ('adult', '13_17', 'under_13')", name="age_band"),
        CheckConstraint("age_band <> 'under_13' or guardian_email is not null", name="guardian"),
        CheckConstraint("(confirmed_at is null) = (confirm_by is not null)", name="confirmation"),
        Index("ix_account_confirm_by", "confirm_by", postgresql_where="first_confirmed_at is null"),
    )

    account: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str]
    guardian_email: Mapped[str | None]
    locale: Mapped[str]
    kind: Mapped[str]
    age_band: Mapped[str]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    confirm_by: Mapped[datetime | None]
    first_confirmed_at: Mapped[datetime | None]
    bounced_at: Mapped[datetime | None]

    @property
    def address(self) -> str:
        """Where its mail goes: a child's mail goes to the guardian (R26)."""
        if self.age_band == "under_13" and self.guardian_email is not None:
            return self.guardian_email
        return self.email

    @property
    def is_active(self) -> bool:
        """Whether the address was confirmed."""
        return self.confirmed_at is not None


class ConfirmationRow(Base):
    """A link that confirms an address; only the hash of its token is kept."""

    __tablename__ = "account_confirmation"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("account.account", ondelete="CASCADE"), index=True)
    address: Mapped[str]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
