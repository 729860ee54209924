"""A case names an account that is there; one that goes is taken off by the database itself."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "update finance_case c set account = null"
        " where account is not null and not exists (select from account a where a.account = c.account)"
    )
    op.create_foreign_key(None, "finance_case", "account", ["account"], ["account"], ondelete="SET NULL")


def downgrade() -> None:
    op.drop_constraint(op.f("fk_finance_case_account"), "finance_case")
