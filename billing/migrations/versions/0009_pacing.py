"""The pace of mail to each receiving domain."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("letter", sa.Column("is_paced", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("letter", "is_paced", server_default=None)
    op.create_table(
        "mail_pace",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_mail_pace")),
    )


def downgrade() -> None:
    op.drop_table("mail_pace")
    op.drop_column("letter", "is_paced")
