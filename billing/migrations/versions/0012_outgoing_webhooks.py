"""Outgoing webhooks: who wants to be told, and what each is told of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("busy_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("quiet_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('enabled', 'disabled')", name=op.f("ck_webhook_endpoint_state")),
        sa.CheckConstraint(
            "(state = 'disabled') = (disabled_reason is not null)", name=op.f("ck_webhook_endpoint_disabled")
        ),
        sa.CheckConstraint("(old_secret is null) = (old_until is null)", name=op.f("ck_webhook_endpoint_old")),
        sa.CheckConstraint("(failing_since is null) = (failures = 0)", name=op.f("ck_webhook_endpoint_failing")),
        sa.CheckConstraint("cardinality(events) > 0", name=op.f("ck_webhook_endpoint_events")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
    )
    _deliveries()
    op.create_table(
        "webhook_mark",
        sa.Column("is_only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("is_only", name=op.f("ck_webhook_mark_is_only")),
        sa.PrimaryKeyConstraint("is_only", name=op.f("pk_webhook_mark")),
    )
    op.execute("insert into webhook_mark (seq) values (0)")


def _deliveries() -> None:
    op.create_table(
        "webhook_delivery",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("last_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_delivery_state")),
        sa.CheckConstraint(
            "(state = 'delivered') = (delivered_at is not null)", name=op.f("ck_webhook_delivery_delivered")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoint.id"],
            name=op.f("fk_webhook_delivery_endpoint_id"), ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "message_id", name=op.f("pk_webhook_delivery")),
    )  # fmt: skip
    is_pending, is_over = "state = 'pending'", "state <> 'pending'"
    op.create_index(
        "ix_webhook_delivery_due", "webhook_delivery", ["endpoint_id", "due_at"], postgresql_where=is_pending
    )
    op.create_index("ix_webhook_delivery_over", "webhook_delivery", ["created_at"], postgresql_where=is_over)
    op.create_index(
        "ix_webhook_delivery_account", "webhook_delivery", ["account"], postgresql_where="account is not null"
    )


def downgrade() -> None:
    op.drop_table("webhook_delivery")
    op.drop_table("webhook_endpoint")
    op.drop_table("webhook_mark")
