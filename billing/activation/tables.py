"""Links that open the order page. Only the SHA-256 of a token is kept (R31)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base


class ActivationLinkRow(Base):
    """One link: for which account and pupils, until when."""

    __tablename__ = "activation_link"
    __table_args__ = (CheckConstraint("cardinality(pupils) > 0", name="pupils"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    account: Mapped[str] = mapped_column(index=True)
    pupils: Mapped[list[str]] = mapped_column(ARRAY(Text))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
