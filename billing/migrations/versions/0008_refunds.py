"""Refunds with their legal due day; disputes; complaints; news of payments that are not known yet."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BEFORE = "'new', 'pending', 'succeeded', 'failed', 'unknown', 'canceled'"
AFTER = f"{BEFORE}, 'sent_by_bank', 'waived'"
NOT_BACK = "state in ('new', 'pending', 'unknown', 'failed', 'canceled')"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_refund_state"), "refund", type_="check")
    op.create_check_constraint(op.f("ck_refund_state"), "refund", f"state in ({AFTER})")
    op.add_column("refund", sa.Column("legal_due_on", sa.Date(), nullable=True))
    op.execute("update refund set legal_due_on = (created_at at time zone 'Europe/Warsaw')::date + 14")
    op.alter_column("refund", "legal_due_on", nullable=False)
    op.add_column("refund", sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_refund_legal_due", "refund", ["legal_due_on"], postgresql_where=NOT_BACK)
    _disputes()
    _complaints()


def _disputes() -> None:
    op.create_table(
        "dispute",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stripe_dispute", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('open', 'won', 'lost')", name=op.f("ck_dispute_state")),
        sa.CheckConstraint("(state = 'open') = (closed_at is null)", name=op.f("ck_dispute_closed")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_dispute_amount")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_dispute_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
        sa.UniqueConstraint("stripe_dispute", name=op.f("uq_dispute_stripe_dispute")),
    )
    op.create_index(op.f("ix_dispute_order_id"), "dispute", ["order_id"])
    op.create_table(
        "early_news",
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stripe_payment", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('refund', 'dispute')", name=op.f("ck_early_news_kind")),
        sa.PrimaryKeyConstraint("object_id", name=op.f("pk_early_news")),
    )
    op.create_index(op.f("ix_early_news_stripe_payment"), "early_news", ["stripe_payment"])


def _complaints() -> None:
    op.create_table(
        "complaint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=True),
        sa.Column("registered_by", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome in ('accepted', 'refused', 'accepted_by_law')", name=op.f("ck_complaint_outcome")),
        sa.CheckConstraint("(outcome is null) = (ended_at is null)", name=op.f("ck_complaint_ended")),
        sa.CheckConstraint("outcome is not null or answer is null", name=op.f("ck_complaint_answer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaint")),
    )
    op.create_index(op.f("ix_complaint_order_id"), "complaint", ["order_id"])
    op.create_index(op.f("ix_complaint_account"), "complaint", ["account"])
    op.create_index("ix_complaint_waiting", "complaint", ["received_on"], postgresql_where="outcome is null")


def downgrade() -> None:
    op.drop_table("complaint")
    op.drop_table("early_news")
    op.drop_table("dispute")
    op.drop_index("ix_refund_legal_due", "refund")
    op.drop_column("refund", "warned_at")
    op.drop_column("refund", "legal_due_on")
    op.execute("update refund set state = 'failed' where state in ('sent_by_bank', 'waived')")
    op.drop_constraint(op.f("ck_refund_state"), "refund", type_="check")
    op.create_check_constraint(op.f("ck_refund_state"), "refund", f"state in ({BEFORE})")
