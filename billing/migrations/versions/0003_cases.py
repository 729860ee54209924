"""Cases: what waits for a person."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KINDS = "'bank_transfer', 'dispute', 'stray_money', 'finding', 'school_block', 'complaint', 'invoice_request', 'unreachable', 'staff_refund'"


def upgrade() -> None:
    op.create_table(
        "finance_case",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("proposed_by", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind in ({KINDS})", name=op.f("ck_finance_case_kind")),
        sa.CheckConstraint("state in ('open', 'proposed', 'closed')", name=op.f("ck_finance_case_state")),
        sa.CheckConstraint("(state = 'closed') = (closed_at is not null)", name=op.f("ck_finance_case_closed")),
        sa.CheckConstraint("(state = 'open') = (outcome is null)", name=op.f("ck_finance_case_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finance_case")),
        sa.UniqueConstraint("kind", "about", name=op.f("uq_finance_case_kind_about")),
    )
    op.create_index(op.f("ix_finance_case_order_id"), "finance_case", ["order_id"])
    op.create_index(op.f("ix_finance_case_account"), "finance_case", ["account"])
    op.create_index("ix_finance_case_waiting", "finance_case", ["due_at"], postgresql_where="state <> 'closed'")


def downgrade() -> None:
    op.drop_table("finance_case")
