"""Orders and what was agreed to. One open order for each account, pupils and season, by unique index (I11, R34)."""

from datetime import date, datetime
from typing import cast
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from billing.kernel.db import Base
from billing.kernel.money import VatMethod, vat_of


class OrderRow(Base):
    """One buyer, one line per pupil; everything accepted is frozen here (R45). Money in grosz."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("state in ('incomplete', 'pending', 'paid', 'failed', 'expired')", name="state"),
        CheckConstraint("total = unit_gross * cardinality(pupils) and unit_gross >= 0", name="total"),
        CheckConstraint("currency = 'PLN'", name="currency"),
        CheckConstraint("vat_method in ('per_document', 'per_line')", name="vat_method"),
        CheckConstraint("since < until", name="interval"),
        Index(
            "uq_orders_open",
            "account",
            "season",
            "pupils",
            unique=True,
            postgresql_where="state in ('incomplete', 'pending')",
        ),
        Index("ix_orders_check_at", "check_at", postgresql_where="check_at is not null"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Identity(start=100001), unique=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    account: Mapped[str | None] = mapped_column(index=True)
    link_id: Mapped[UUID] = mapped_column(index=True)
    pupils: Mapped[list[str]] = mapped_column(ARRAY(Text))
    product: Mapped[str]
    product_name: Mapped[str] = mapped_column(index=True)
    features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    season: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime]
    first_day: Mapped[date]
    last_day: Mapped[date]
    sold_until: Mapped[datetime]
    unit_gross: Mapped[int]
    total: Mapped[int]
    currency: Mapped[str]
    vat_rate_percent: Mapped[int]
    vat_method: Mapped[str] = mapped_column(default="per_document", server_default="per_document")
    price_key: Mapped[str]
    locale: Mapped[str]
    terms_version: Mapped[str]
    terms_hash: Mapped[str]
    start_now: Mapped[bool]
    waits_days: Mapped[int] = mapped_column(default=0, server_default="0")
    blocked_features: Mapped[list[str]] = mapped_column(ARRAY(Text))
    state: Mapped[str]
    created_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    informed_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    session_id: Mapped[str | None] = mapped_column(unique=True)
    session_url: Mapped[str | None]
    session_expires_at: Mapped[datetime | None]
    check_at: Mapped[datetime | None]
    checks: Mapped[int] = mapped_column(default=0)

    def vat_in(self, gross: int) -> int:
        """The VAT inside so much of this order, by the rate and the method frozen on it (R103, R105)."""
        return vat_of(gross, self.vat_rate_percent, cast("VatMethod", self.vat_method), self.unit_gross)


class ConsentRow(Base):
    """What was shown beside a box and whether it was ticked: append-only evidence (R43, R92)."""

    __tablename__ = "consent"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), index=True)
    kind: Mapped[str]
    text_hash: Mapped[str]
    version: Mapped[str]
    given: Mapped[bool]
    at: Mapped[datetime]
