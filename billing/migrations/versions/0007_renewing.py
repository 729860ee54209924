"""The renewing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
STATES = "'new', 'active', 'past_due', 'paused', 'ended', 'withdrawn', 'refunded', 'disputed'"


def upgrade() -> None:
    _renewal()
    _invoices()
    _changes()
    _evidence()
    op.add_column("subscription", sa.Column("renewal_id", sa.Uuid(), nullable=True))
    op.add_column("subscription", sa.Column("is_renewal_on", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("subscription", "is_renewal_on", server_default=None)
    op.add_column("subscription", sa.Column("is_paused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("subscription", "is_paused", server_default=None)
    op.add_column("subscription", sa.Column("grace_until", INSTANT, nullable=True))
    op.create_foreign_key(op.f("fk_subscription_renewal_id"), "subscription", "renewal", ["renewal_id"], ["id"])
    op.create_check_constraint(
        op.f("ck_subscription_renewal"), "subscription", "(kind = 'renewing') = (renewal_id is not null)"
    )
    op.create_check_constraint(
        op.f("ck_subscription_grace"), "subscription", "grace_until is null or grace_until > until"
    )
    op.create_index(
        "ix_subscription_renewal", "subscription", ["renewal_id"], postgresql_where="renewal_id is not null"
    )


def _renewal() -> None:
    op.create_table(
        "renewal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("product_name", sa.Text(), nullable=False),
        sa.Column("features", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("pupils", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("unit_gross", sa.BigInteger(), nullable=False),
        sa.Column("grace_days", sa.BigInteger(), nullable=False),
        sa.Column("notice_days", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("provider_customer", sa.Text(), nullable=True),
        sa.Column("provider_method", sa.Text(), nullable=True),
        sa.Column("period_start", INSTANT, nullable=True),
        sa.Column("period_end", INSTANT, nullable=True),
        sa.Column("charge_at", INSTANT, nullable=True),
        sa.Column("is_renewal_on", sa.Boolean(), nullable=False),
        sa.Column("off_reason", sa.Text(), nullable=True),
        sa.Column("off_at", INSTANT, nullable=True),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("paused_at", INSTANT, nullable=True),
        sa.Column("past_due_since", INSTANT, nullable=True),
        sa.Column("grace_on", sa.Date(), nullable=True),
        sa.Column("grace_until", INSTANT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("pushed", sa.BigInteger(), nullable=False),
        sa.Column("push_at", INSTANT, nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("check_at", INSTANT, nullable=True),
        sa.Column("checks", sa.BigInteger(), nullable=False),
        sa.Column("guard_at", INSTANT, nullable=True),
        sa.Column("cleared_for", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint(f"state in ({STATES})", name=op.f("ck_renewal_state")),
        sa.CheckConstraint("interval in ('month', 'year')", name=op.f("ck_renewal_interval")),
        sa.CheckConstraint("unit_gross > 0", name=op.f("ck_renewal_unit_gross")),
        sa.CheckConstraint("currency = 'PLN'", name=op.f("ck_renewal_currency")),
        sa.CheckConstraint("period_start < period_end", name=op.f("ck_renewal_period")),
        sa.CheckConstraint(
            "is_renewal_on = (off_reason is null) and is_renewal_on = (off_at is null)", name=op.f("ck_renewal_off")
        ),
        sa.CheckConstraint("pushed <= revision", name=op.f("ck_renewal_pushed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renewal")),
        sa.UniqueConstraint("provider_id", name=op.f("uq_renewal_provider_id")),
    )
    op.create_index(op.f("ix_renewal_order_id"), "renewal", ["order_id"])
    op.create_index(op.f("ix_renewal_account"), "renewal", ["account"])
    op.create_index(op.f("ix_renewal_provider_method"), "renewal", ["provider_method"])
    for name in ("push_at", "check_at", "guard_at"):
        op.create_index(f"ix_renewal_{name}", "renewal", [name], postgresql_where=f"{name} is not null")


def _invoices() -> None:
    op.create_table(
        "renewal_invoice",
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("renewal_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("covers_from", INSTANT, nullable=False),
        sa.Column("covers_until", INSTANT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", INSTANT, nullable=True),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("fate", sa.Text(), nullable=True),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('draft', 'open', 'paid', 'void', 'uncollectible')", name=op.f("ck_renewal_invoice_state")
        ),
        sa.CheckConstraint("fate in ('kept', 'given_back')", name=op.f("ck_renewal_invoice_fate")),
        sa.CheckConstraint("covers_from < covers_until", name=op.f("ck_renewal_invoice_period")),
        sa.CheckConstraint("fate is null or state = 'paid'", name=op.f("ck_renewal_invoice_fate_is_paid")),
        sa.ForeignKeyConstraint(["renewal_id"], ["renewal.id"], name=op.f("fk_renewal_invoice_renewal_id")),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_renewal_invoice")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_renewal_invoice_payment_id")),
    )
    op.create_index("ix_renewal_invoice_renewal", "renewal_invoice", ["renewal_id"])


def _changes() -> None:
    op.create_table(
        "renewal_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("renewal_id", sa.Uuid(), nullable=False),
        sa.Column("pupil", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("product_name", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("unit_gross", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("prorated_at", INSTANT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("invoice_id", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("state in ('shown', 'accepted', 'done', 'refused')", name=op.f("ck_renewal_change_state")),
        sa.CheckConstraint("interval in ('month', 'year')", name=op.f("ck_renewal_change_interval")),
        sa.ForeignKeyConstraint(["renewal_id"], ["renewal.id"], name=op.f("fk_renewal_change_renewal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renewal_change")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_renewal_change_invoice_id")),
    )
    op.create_index(op.f("ix_renewal_change_renewal_id"), "renewal_change", ["renewal_id"])
    op.create_index(
        "uq_renewal_change_accepted", "renewal_change", ["renewal_id"], unique=True,
        postgresql_where="state = 'accepted'",
    )  # fmt: skip


def _evidence() -> None:
    op.create_table(
        "renewal_told",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("renewal_id", sa.Uuid(), nullable=False),
        sa.Column("charge_at", INSTANT, nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("unit_gross", sa.BigInteger(), nullable=False),
        sa.Column("handed_over_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["renewal_id"], ["renewal.id"], name=op.f("fk_renewal_told_renewal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renewal_told")),
        sa.UniqueConstraint(
            "renewal_id", "charge_at", "days", "unit_gross",
            name=op.f("uq_renewal_told_renewal_id_charge_at_days_unit_gross"),
        ),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_subscription_renewal", "subscription")
    for name in ("grace", "renewal"):
        op.drop_constraint(op.f(f"ck_subscription_{name}"), "subscription")
    op.drop_constraint(op.f("fk_subscription_renewal_id"), "subscription")
    for name in ("grace_until", "is_paused", "is_renewal_on", "renewal_id"):
        op.drop_column("subscription", name)
    for table in ("renewal_told", "renewal_change", "renewal_invoice", "renewal"):
        op.drop_table(table)
