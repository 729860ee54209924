"""Of every season pass it is known whether letters about its end are planned."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("end_planned_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_subscription_untold",
        "subscription",
        ["until"],
        postgresql_where=sa.text("kind = 'season_pass' and state = 'active' and end_planned_at is null"),
    )


def downgrade() -> None:
    op.drop_index("ix_subscription_untold", "subscription")
    op.drop_column("subscription", "end_planned_at")
