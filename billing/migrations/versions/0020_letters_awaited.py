"""Letters that somebody waits for are found without a look at a crowd of others."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_AWAITED = "state = 'planned' and kind not in ('season_ending', 'trial_ending')"


def upgrade() -> None:
    op.create_index("ix_letter_awaited", "letter", ["due_at", "id"], postgresql_where=sa.text(_AWAITED))


def downgrade() -> None:
    op.drop_index("ix_letter_awaited", "letter")
