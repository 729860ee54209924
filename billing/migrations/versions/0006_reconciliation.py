"""Reconciliation: when we looked, the provider's account of our money, its payouts."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KINDS = "'charge', 'refund', 'dispute', 'fee', 'payout', 'other'"


def upgrade() -> None:
    _runs()
    _balance_lines()
    _payouts()


def _runs() -> None:
    counts = ("compared", "granted", "caught_up", "opened", "settled", "not_ours", "abandoned")
    op.create_table(
        "reconciliation_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counts),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.CheckConstraint("kind in ('recent', 'nightly', 'on_demand')", name=op.f("ck_reconciliation_run_kind")),
        sa.CheckConstraint("state in ('running', 'done', 'failed')", name=op.f("ck_reconciliation_run_state")),
        sa.CheckConstraint("(state = 'running') = (ended_at is null)", name=op.f("ck_reconciliation_run_ended")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_run")),
    )
    op.create_index("ix_reconciliation_run_kind", "reconciliation_run", ["kind", "started_at"])


def _balance_lines() -> None:
    op.create_table(
        "balance_line",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("payout_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("mark", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("is_foreign", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"kind in ({KINDS})", name=op.f("ck_balance_line_kind")),
        sa.CheckConstraint("net = amount - fee", name=op.f("ck_balance_line_net")),
        sa.CheckConstraint("currency = 'PLN'", name=op.f("ck_balance_line_currency")),
        sa.CheckConstraint("not (is_foreign and order_id is not null)", name=op.f("ck_balance_line_owner")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_line")),
    )
    op.create_index(op.f("ix_balance_line_payout_id"), "balance_line", ["payout_id"])
    op.create_index(op.f("ix_balance_line_booked_on"), "balance_line", ["booked_on"])
    op.create_index("ix_balance_line_charge", "balance_line", ["charge_id"], postgresql_where="charge_id is not null")
    op.create_index("ix_balance_line_order", "balance_line", ["order_id"], postgresql_where="order_id is not null")


def _payouts() -> None:
    sums = ("lines", "charged", "refunded", "disputed", "fees", "returned", "not_ours", "difference")
    op.create_table(
        "payout",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("arrives_on", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in sums),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "difference = amount - (charged + refunded + disputed - fees + returned + not_ours)",
            name=op.f("ck_payout_sum"),
        ),
        sa.CheckConstraint("(closed_at is not null) = (difference = 0)", name=op.f("ck_payout_closed")),
        sa.CheckConstraint("currency = 'PLN'", name=op.f("ck_payout_currency")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout")),
    )
    op.create_index("ix_payout_open", "payout", ["created_at"], postgresql_where="closed_at is null")


def downgrade() -> None:
    op.drop_table("payout")
    op.drop_table("balance_line")
    op.drop_table("reconciliation_run")
