"""Letters that somebody waits for are found without a look at a crowd of others, and the first of a crowd that is due at
one instant without sorting all of it."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_AWAITED = "state = 'planned' and kind not in ('season_ending', 'trial_ending')"
_DUE = (("ix_letter_due", "letter", "state = 'planned'"), ("ix_outbox_due", "outbox", "state = 'new'"))


def upgrade() -> None:
    op.create_index("ix_letter_awaited", "letter", ["due_at", "id"], postgresql_where=sa.text(_AWAITED))
    for name, table, where in _DUE:
        op.drop_index(name, table)
        op.create_index(name, table, ["due_at", "id"], postgresql_where=sa.text(where))


def downgrade() -> None:
    for name, table, where in _DUE:
        op.drop_index(name, table)
        op.create_index(name, table, ["due_at"], postgresql_where=sa.text(where))
    op.drop_index("ix_letter_awaited", "letter")
