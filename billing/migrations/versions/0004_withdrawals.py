"""The withdrawals, and when an order's buyer was told of the right to withdraw."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("informed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("orders", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("subscription", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "withdrawal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_on", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=True),
        sa.Column("contact", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.Column("entered_by", sa.Text(), nullable=True),
        sa.CheckConstraint("state in ('accepted', 'late')", name=op.f("ck_withdrawal_state")),
        sa.CheckConstraint("channel in ('online', 'letter', 'email', 'phone')", name=op.f("ck_withdrawal_channel")),
        sa.CheckConstraint("(channel = 'online') = (entered_by is null)", name=op.f("ck_withdrawal_entered_by")),
        sa.CheckConstraint("kept >= 0", name=op.f("ck_withdrawal_kept")),
        sa.CheckConstraint(
            "state = 'accepted' or (refund_id is null and kept = 0)", name=op.f("ck_withdrawal_late_moves_nothing")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_withdrawal_order_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_withdrawal_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal")),
        sa.UniqueConstraint("order_id", name=op.f("uq_withdrawal_order_id")),
    )


def downgrade() -> None:
    op.drop_table("withdrawal")
    op.drop_column("subscription", "ended_at")
    op.drop_column("orders", "withdrawn_at")
    op.drop_column("orders", "informed_at")
