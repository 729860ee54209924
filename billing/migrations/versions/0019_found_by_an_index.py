"""What is asked at each look of the workers, of a probe, of a parent or of staff is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_trial_unlinked", "trial", ["ends_at"], "bound_at is null and pupil is null"),
    ("ix_trial_staff", "trial", ["id"], "staff_since is not null and bound_at is null and converted_at is null"),
    ("ix_letter_trouble", "letter", ["state", "id"], "state in ('parked', 'bounced')"),
    ("ix_outbox_parked", "outbox", ["id"], "state = 'parked'"),
    ("ix_stripe_event_open", "stripe_event", ["received_at"], "state in ('new', 'parked')"),
    ("ix_stripe_event_received", "stripe_event", ["received_at"], None),
    ("ix_provider_intent_target", "provider_intent", ["target"], None),
    ("ix_orders_link_id", "orders", ["link_id"], None),
)


def upgrade() -> None:
    for name, table, columns, where in _INDEXES:
        op.create_index(name, table, columns, postgresql_where=None if where is None else sa.text(where))


def downgrade() -> None:
    for name, table, *_ in _INDEXES:
        op.drop_index(name, table)
