"""To plan the letters about a trial writes two index entries less: nobody asks for letters by their day alone, nor for
the season of a trial that has not ended."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_letter_day", "letter")
    op.drop_index("ix_trial_season_ends", "trial")
    op.create_index("ix_trial_season_ends", "trial", ["season_ends"], postgresql_where=sa.text("ended_at is not null"))


def downgrade() -> None:
    op.drop_index("ix_trial_season_ends", "trial")
    op.create_index("ix_trial_season_ends", "trial", ["season_ends"])
    op.create_index("ix_letter_day", "letter", ["day", "kind"])
