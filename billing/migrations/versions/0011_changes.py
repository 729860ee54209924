"""The change log of the front desk: every write that changes an answer, and the numbered news made of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


class Xid8(UserDefinedType[int]):
    """The number of a transaction."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def upgrade() -> None:
    op.create_table(
        "entitlement_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("pupil", sa.Text(), nullable=True),
        sa.Column("school", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "(school is null) = (num_nonnulls(account, pupil) > 0)",
            name=op.f("ck_entitlement_change_whom"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entitlement_change")),
    )
    op.create_index("ix_entitlement_change_xid", "entitlement_change", ["xid"])
    op.create_table(
        "entitlement_news",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("pupil", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("seq > 0", name=op.f("ck_entitlement_news_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_entitlement_news")),
    )
    op.create_table(
        "entitlement_numbering",
        sa.Column("is_only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("swept_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("swept_key", sa.Text(), server_default="", nullable=False),
        sa.Column("followed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("is_only", name=op.f("ck_entitlement_numbering_is_only")),
        sa.CheckConstraint("seq >= 0", name=op.f("ck_entitlement_numbering_seq")),
        sa.PrimaryKeyConstraint("is_only", name=op.f("pk_entitlement_numbering")),
    )
    op.execute("insert into entitlement_numbering (seq, seen) values (0, pg_current_snapshot()::text)")
    op.create_index(
        "ix_entitlement_grant_until",
        "entitlement_grant",
        ["until", "id"],
        postgresql_where=sa.text("until is not null"),
    )
    op.create_index(
        "ix_entitlement_grant_later",
        "entitlement_grant",
        ["since", "id"],
        postgresql_where=sa.text("since > created_at"),
    )


def downgrade() -> None:
    op.drop_index("ix_entitlement_grant_later", "entitlement_grant")
    op.drop_index("ix_entitlement_grant_until", "entitlement_grant")
    op.drop_table("entitlement_numbering")
    op.drop_table("entitlement_news")
    op.drop_table("entitlement_change")
