"""The names under which anything was ever sold are found without a look at every order."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_orders_product_name", "orders", ["product_name"])


def downgrade() -> None:
    op.drop_index("ix_orders_product_name", "orders")
