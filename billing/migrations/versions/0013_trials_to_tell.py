"""Which trials are to be told of now is found without a look at those that are not."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_WAITING = "bound_at is null and pupil is not null and converted_at is null and staff_since is null"
_UNPLANNED = f"{_WAITING} and planned_for is distinct from reverts_on"


def upgrade() -> None:
    op.create_index("ix_trial_to_tell", "trial", ["tell_from", "id"], postgresql_where=sa.text(_UNPLANNED))
    op.create_index("ix_trial_told_by", "trial", ["told_by", "id"], postgresql_where=sa.text(_WAITING))
    op.drop_index("ix_trial_unbound", "trial")


def downgrade() -> None:
    op.create_index("ix_trial_unbound", "trial", ["reverts_on"], postgresql_where=sa.text(_WAITING))
    op.drop_index("ix_trial_told_by", "trial")
    op.drop_index("ix_trial_to_tell", "trial")
