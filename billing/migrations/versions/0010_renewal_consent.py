"""Consent to be charged again, at a price."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "renewal_consent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("unit_gross", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("unit_gross > 0", name=op.f("ck_renewal_consent_unit_gross")),
        sa.CheckConstraint("currency = 'PLN'", name=op.f("ck_renewal_consent_currency")),
        sa.CheckConstraint("interval in ('month', 'year')", name=op.f("ck_renewal_consent_interval")),
        sa.CheckConstraint("channel in ('order_page', 'renewal_page')", name=op.f("ck_renewal_consent_channel")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renewal_consent")),
    )
    op.create_index("ix_renewal_consent_order_id", "renewal_consent", ["order_id", "id"])
    op.execute(
        "create trigger renewal_consent_append_only before update or delete or truncate on renewal_consent "
        "for each statement execute function refuse_change()"
    )


def downgrade() -> None:
    op.drop_table("renewal_consent")
