"""Trials whose letters are to be planned have a table of their own: to plan them rewrites no trial."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_WAITING = "bound_at is null and pupil is not null and converted_at is null and staff_since is null"
_UNPLANNED = f"{_WAITING} and planned_for is distinct from reverts_on"


def upgrade() -> None:
    op.create_table(
        "trial_to_tell",
        sa.Column("trial", sa.Uuid(), nullable=False),
        sa.Column("tell_from", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["trial"], ["trial.id"], name="fk_trial_to_tell_trial", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial", name="pk_trial_to_tell"),
    )
    op.execute("lock table trial in share row exclusive mode")  # no trial may begin between the copy and the end
    op.execute(
        """
        insert into trial_to_tell select id, tell_from from trial
        where bound_at is null and converted_at is null and staff_since is null
            and planned_for is distinct from reverts_on
        order by id
        """
    )
    op.create_index("ix_trial_to_tell_tell_from", "trial_to_tell", ["tell_from", "trial"])
    op.drop_index("ix_trial_to_tell", "trial")
    op.drop_column("trial", "planned_for")


def downgrade() -> None:
    op.add_column("trial", sa.Column("planned_for", sa.Date()))
    op.execute(
        "update trial t set planned_for = reverts_on"
        " where not exists (select from trial_to_tell told where told.trial = t.id)"
    )
    op.create_index("ix_trial_to_tell", "trial", ["tell_from", "id"], postgresql_where=sa.text(_UNPLANNED))
    op.drop_table("trial_to_tell")
