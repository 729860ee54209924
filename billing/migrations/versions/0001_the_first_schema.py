"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("guardian_email", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("age_band", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirm_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("account ~ '^[A-Za-z0-9._:-]{1,64}$'", name=op.f("ck_account_account")),
        sa.CheckConstraint("age_band <> 'under_13' or guardian_email is not null", name=op.f("ck_account_guardian")),
        sa.CheckConstraint("age_band in ('adult', '13_17', 'under_13')", name=op.f("ck_account_age_band")),
        sa.CheckConstraint("kind in ('guardian', 'pupil')", name=op.f("ck_account_kind")),
        sa.CheckConstraint("locale in ('pl', 'uk', 'en')", name=op.f("ck_account_locale")),
        sa.CheckConstraint("(confirmed_at is null) = (confirm_by is not null)", name=op.f("ck_account_confirmation")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_account")),
    )
    op.create_index(
        "ix_account_confirm_by", "account", ["confirm_by"], unique=False, postgresql_where="first_confirmed_at is null"
    )
    op.create_table(
        "activation_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("pupils", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("cardinality(pupils) > 0", name=op.f("ck_activation_link_pupils")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activation_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_activation_link_token_hash")),
    )
    op.create_index(op.f("ix_activation_link_account"), "activation_link", ["account"], unique=False)
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_key_hash")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_account", "audit", ["account", "at"], unique=False)
    op.create_index("ix_audit_subject", "audit", ["subject", "at"], unique=False)
    op.create_table(
        "entitlement_account",
        sa.Column("account", sa.Text(), nullable=False),
        sa.CheckConstraint("account ~ '^[A-Za-z0-9._:-]{1,64}$'", name=op.f("ck_entitlement_account_account")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_entitlement_account")),
    )
    op.create_table(
        "entitlement_block",
        sa.Column("school", sa.Text(), nullable=False),
        sa.Column("feature", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("school", "feature", name=op.f("pk_entitlement_block")),
    )
    op.create_table(
        "entitlement_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pupil", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("features", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bound", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("bound or source = 'trial'", name=op.f("ck_entitlement_grant_bound")),
        sa.CheckConstraint(
            "end_reason in ('withdrawn', 'refunded', 'disputed', 'payment_failed', 'sponsorship_ended')",
            name=op.f("ck_entitlement_grant_end_reason"),
        ),
        sa.CheckConstraint("pupil ~ '^[A-Za-z0-9._:-]{1,64}$'", name=op.f("ck_entitlement_grant_pupil")),
        sa.CheckConstraint(
            "source in ('trial', 'paid', 'sponsored', 'granted', 'grace')", name=op.f("ck_entitlement_grant_source")
        ),
        sa.CheckConstraint("cardinality(features) > 0", name=op.f("ck_entitlement_grant_features")),
        sa.CheckConstraint(
            "end_reason is null or (bound and until is not null)", name=op.f("ck_entitlement_grant_closed")
        ),
        sa.CheckConstraint("since <= until", name=op.f("ck_entitlement_grant_interval")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entitlement_grant")),
    )
    op.create_index("ix_entitlement_grant_origin", "entitlement_grant", ["origin"], unique=False)
    op.create_index("ix_entitlement_grant_pupil", "entitlement_grant", ["pupil"], unique=False)
    op.create_table(
        "entitlement_pupil",
        sa.Column("pupil", sa.Text(), nullable=False),
        sa.Column("school", sa.Text(), nullable=True),
        sa.CheckConstraint("pupil ~ '^[A-Za-z0-9._:-]{1,64}$'", name=op.f("ck_entitlement_pupil_pupil")),
        sa.CheckConstraint("school ~ '^[A-Za-z0-9._:-]{1,64}$'", name=op.f("ck_entitlement_pupil_school")),
        sa.PrimaryKeyConstraint("pupil", name=op.f("pk_entitlement_pupil")),
    )
    op.create_index(
        "ix_entitlement_pupil_school",
        "entitlement_pupil",
        ["school"],
        unique=False,
        postgresql_where="school is not null",
    )
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False)
    op.create_table(
        "ledger_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.CheckConstraint("currency = 'PLN'", name=op.f("ck_ledger_line_currency")),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_ledger_line_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_line")),
        sa.UniqueConstraint("cause", "account", name=op.f("uq_ledger_line_cause_account")),
    )
    op.create_index(op.f("ix_ledger_line_booked_on"), "ledger_line", ["booked_on"], unique=False)
    op.create_index(op.f("ix_ledger_line_order_id"), "ledger_line", ["order_id"], unique=False)
    op.create_index(op.f("ix_ledger_line_transaction_id"), "ledger_line", ["transaction_id"], unique=False)
    op.create_table(
        "letter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("pupils", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("sending_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("doubts", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("server_answer", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("attachments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "(state = 'handed_over') = (handed_over_at is not null)", name=op.f("ck_letter_handed_over")
        ),
        sa.CheckConstraint(
            "state in ('planned', 'handed_over', 'bounced', 'dropped', 'parked')", name=op.f("ck_letter_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letter")),
        sa.UniqueConstraint("account", "kind", "about", name=op.f("uq_letter_account_kind_about")),
    )
    op.create_index("ix_letter_day", "letter", ["day", "kind"], unique=False)
    op.create_index("ix_letter_due", "letter", ["due_at"], unique=False, postgresql_where="state = 'planned'")
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False, start=100001), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("link_id", sa.Uuid(), nullable=False),
        sa.Column("pupils", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("product_name", sa.Text(), nullable=False),
        sa.Column("features", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("season", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("sold_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unit_gross", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("vat_rate_percent", sa.BigInteger(), nullable=False),
        sa.Column("price_key", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Text(), nullable=False),
        sa.Column("terms_hash", sa.Text(), nullable=False),
        sa.Column("start_now", sa.Boolean(), nullable=False),
        sa.Column("blocked_features", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("session_url", sa.Text(), nullable=True),
        sa.Column("session_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checks", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("currency = 'PLN'", name=op.f("ck_orders_currency")),
        sa.CheckConstraint(
            "state in ('incomplete', 'pending', 'paid', 'failed', 'expired')", name=op.f("ck_orders_state")
        ),
        sa.CheckConstraint("since < until", name=op.f("ck_orders_interval")),
        sa.CheckConstraint(
            "total = unit_gross * cardinality(pupils) and unit_gross >= 0", name=op.f("ck_orders_total")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("number", name=op.f("uq_orders_number")),
        sa.UniqueConstraint("session_id", name=op.f("uq_orders_session_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_orders_token_hash")),
    )
    op.create_index(op.f("ix_orders_account"), "orders", ["account"], unique=False)
    op.create_index("ix_orders_check_at", "orders", ["check_at"], unique=False, postgresql_where="check_at is not null")
    op.create_index(
        "uq_orders_open",
        "orders",
        ["account", "season", "pupils"],
        unique=True,
        postgresql_where="state in ('incomplete', 'pending')",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.CheckConstraint("state in ('new', 'done', 'parked')", name=op.f("ck_outbox_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_due", "outbox", ["due_at"], unique=False, postgresql_where="state = 'new'")
    op.create_table(
        "price_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("remembered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("catalogue_version", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("season", sa.Text(), nullable=True),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("vat_rate_percent", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("reduced", sa.Boolean(), nullable=False),
        sa.CheckConstraint("gross >= 0", name=op.f("ck_price_history_gross")),
        sa.CheckConstraint("valid_from < valid_until", name=op.f("ck_price_history_window")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_history")),
    )
    op.create_index("ix_price_history_remembered", "price_history", ["remembered_at"], unique=False)
    op.create_table(
        "provider_intent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'done') = (provider_id is not null)", name=op.f("ck_provider_intent_done_has_id")),
        sa.CheckConstraint("state in ('new', 'done', 'refused', 'unknown')", name=op.f("ck_provider_intent_state")),
        sa.CheckConstraint("attempt >= 1 and tries >= 0", name=op.f("ck_provider_intent_counts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_intent")),
        sa.UniqueConstraint("key", name=op.f("uq_provider_intent_key")),
        sa.UniqueConstraint("kind", "target", "attempt", name=op.f("uq_provider_intent_kind_target_attempt")),
        sa.UniqueConstraint("provider_id", name=op.f("uq_provider_intent_provider_id")),
    )
    op.create_index(
        "ix_provider_intent_unsettled",
        "provider_intent",
        ["created_at"],
        unique=False,
        postgresql_where="state in ('new', 'unknown')",
    )
    op.create_index(
        "uq_provider_intent_open",
        "provider_intent",
        ["kind", "target"],
        unique=True,
        postgresql_where="state in ('new', 'unknown')",
    )
    op.create_table(
        "staff_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role in ('viewer', 'finance', 'finance_lead', 'auditor', 'admin')", name=op.f("ck_staff_session_role")
        ),
        sa.CheckConstraint("created_at <= seen_at and created_at < ends_at", name=op.f("ck_staff_session_times")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_staff_session")),
    )
    op.create_index(op.f("ix_staff_session_ends_at"), "staff_session", ["ends_at"], unique=False)
    op.create_index(op.f("ix_staff_session_subject"), "staff_session", ["subject"], unique=False)
    op.create_table(
        "stripe_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column("api_version", sa.Text(), nullable=True),
        sa.Column("livemode", sa.Boolean(), nullable=True),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("state in ('new', 'done', 'ignored', 'parked')", name=op.f("ck_stripe_event_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_event")),
    )
    op.create_index("ix_stripe_event_due", "stripe_event", ["due_at"], unique=False, postgresql_where="state = 'new'")
    op.create_index("ix_stripe_event_object", "stripe_event", ["object_id"], unique=False)
    op.create_table(
        "subscription",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("pupil", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("features", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('season_pass', 'renewing', 'sponsored')", name=op.f("ck_subscription_kind")),
        sa.CheckConstraint(
            "state in ('active', 'past_due', 'paused', 'ended', 'withdrawn', 'refunded', 'disputed')",
            name=op.f("ck_subscription_state"),
        ),
        sa.CheckConstraint("since < until", name=op.f("ck_subscription_interval")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
    )
    op.create_index(op.f("ix_subscription_account"), "subscription", ["account"], unique=False)
    op.create_index(op.f("ix_subscription_order_id"), "subscription", ["order_id"], unique=False)
    op.create_index("ix_subscription_pupil", "subscription", ["pupil"], unique=False)
    op.create_index(
        "ix_subscription_running", "subscription", ["until"], unique=False, postgresql_where="state = 'active'"
    )
    op.create_table(
        "trial",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("season", sa.Text(), nullable=False),
        sa.Column("season_ends", sa.Date(), nullable=False),
        sa.Column("pupil", sa.Text(), nullable=True),
        sa.Column("pupil_hash", sa.LargeBinary(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reverts_on", sa.Date(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tell_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bound_reason", sa.Text(), nullable=True),
        sa.Column("converted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prolongations", sa.BigInteger(), nullable=False),
        sa.Column("planned_for", sa.Date(), nullable=True),
        sa.Column("staff_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "bound_reason in ('told', 'converted', 'nobody_linked', 'staff')", name=op.f("ck_trial_bound_reason")
        ),
        sa.CheckConstraint("(bound_at is null) = (bound_reason is null)", name=op.f("ck_trial_bound")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_trial_interval")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial")),
        sa.UniqueConstraint("season", "pupil_hash", name=op.f("uq_trial_season_pupil_hash")),
    )
    op.create_index("ix_trial_pupil", "trial", ["pupil"], unique=False)
    op.create_index(op.f("ix_trial_season_ends"), "trial", ["season_ends"], unique=False)
    op.create_index(
        "ix_trial_unannounced",
        "trial",
        ["ends_at"],
        unique=False,
        postgresql_where="ended_at is null and bound_at is not null",
    )
    op.create_index(
        "ix_trial_unbound",
        "trial",
        ["reverts_on"],
        unique=False,
        postgresql_where="bound_at is null and pupil is not null and converted_at is null and staff_since is null",
    )
    op.create_table(
        "account_confirmation",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["account.account"], name=op.f("fk_account_confirmation_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_account_confirmation")),
    )
    op.create_index(op.f("ix_account_confirmation_account"), "account_confirmation", ["account"], unique=False)
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_consent_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index(op.f("ix_consent_order_id"), "consent", ["order_id"], unique=False)
    op.create_table(
        "entitlement_link",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("pupil", sa.Text(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notice_pending", sa.Boolean(), server_default="false", nullable=False),
        sa.ForeignKeyConstraint(["account"], ["entitlement_account.account"], name=op.f("fk_entitlement_link_account")),
        sa.ForeignKeyConstraint(["pupil"], ["entitlement_pupil.pupil"], name=op.f("fk_entitlement_link_pupil")),
        sa.PrimaryKeyConstraint("account", "pupil", name=op.f("pk_entitlement_link")),
    )
    op.create_index("ix_entitlement_link_pupil", "entitlement_link", ["pupil"], unique=False)
    op.create_table(
        "payment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("intent_id", sa.Uuid(), nullable=True),
        sa.Column("stripe_payment_intent", sa.Text(), nullable=False),
        sa.Column("stripe_charge", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount_refunded", sa.BigInteger(), nullable=False),
        sa.Column("refund_reserved", sa.BigInteger(), nullable=False),
        sa.Column("receipt_url", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_amount")),
        sa.CheckConstraint(
            "amount_refunded >= 0 and amount_refunded <= amount", name=op.f("ck_payment_refunded_bounded")
        ),
        sa.CheckConstraint(
            "refund_reserved >= 0 and refund_reserved <= amount", name=op.f("ck_payment_refunds_bounded")
        ),
        sa.ForeignKeyConstraint(["intent_id"], ["provider_intent.id"], name=op.f("fk_payment_intent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("stripe_charge", name=op.f("uq_payment_stripe_charge")),
        sa.UniqueConstraint("stripe_payment_intent", name=op.f("uq_payment_stripe_payment_intent")),
    )
    op.create_index("ix_payment_order", "payment", ["order_id"], unique=False)
    op.create_table(
        "refund",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stripe_refund", sa.Text(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "reason in ('withdrawal', 'duplicate', 'late', 'non_conformity', 'sponsor_overlap', 'goodwill', 'dispute', 'school_block')",
            name=op.f("ck_refund_reason"),
        ),
        sa.CheckConstraint(
            "state in ('new', 'pending', 'succeeded', 'failed', 'unknown', 'canceled')", name=op.f("ck_refund_state")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_refund_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("order_id", "reason", "scope", name=op.f("uq_refund_order_id_reason_scope")),
        sa.UniqueConstraint("stripe_refund", name=op.f("uq_refund_stripe_refund")),
    )
    op.create_index(
        "ix_refund_due", "refund", ["due_at"], unique=False, postgresql_where="state in ('new', 'pending', 'unknown')"
    )
    op.create_index("ix_refund_payment", "refund", ["payment_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_refund_payment", table_name="refund")
    op.drop_index("ix_refund_due", table_name="refund", postgresql_where="state in ('new', 'pending', 'unknown')")
    op.drop_table("refund")
    op.drop_index("ix_payment_order", table_name="payment")
    op.drop_table("payment")
    op.drop_index("ix_entitlement_link_pupil", table_name="entitlement_link")
    op.drop_table("entitlement_link")
    op.drop_index(op.f("ix_consent_order_id"), table_name="consent")
    op.drop_table("consent")
    op.drop_index(op.f("ix_account_confirmation_account"), table_name="account_confirmation")
    op.drop_table("account_confirmation")
    op.drop_index(
        "ix_trial_unbound",
        table_name="trial",
        postgresql_where="bound_at is null and pupil is not null and converted_at is null and staff_since is null",
    )
    op.drop_index(
        "ix_trial_unannounced", table_name="trial", postgresql_where="ended_at is null and bound_at is not null"
    )
    op.drop_index(op.f("ix_trial_season_ends"), table_name="trial")
    op.drop_index("ix_trial_pupil", table_name="trial")
    op.drop_table("trial")
    op.drop_index("ix_subscription_running", table_name="subscription", postgresql_where="state = 'active'")
    op.drop_index("ix_subscription_pupil", table_name="subscription")
    op.drop_index(op.f("ix_subscription_order_id"), table_name="subscription")
    op.drop_index(op.f("ix_subscription_account"), table_name="subscription")
    op.drop_table("subscription")
    op.drop_index("ix_stripe_event_object", table_name="stripe_event")
    op.drop_index("ix_stripe_event_due", table_name="stripe_event", postgresql_where="state = 'new'")
    op.drop_table("stripe_event")
    op.drop_index(op.f("ix_staff_session_subject"), table_name="staff_session")
    op.drop_index(op.f("ix_staff_session_ends_at"), table_name="staff_session")
    op.drop_table("staff_session")
    op.drop_index(
        "uq_provider_intent_open", table_name="provider_intent", postgresql_where="state in ('new', 'unknown')"
    )
    op.drop_index(
        "ix_provider_intent_unsettled", table_name="provider_intent", postgresql_where="state in ('new', 'unknown')"
    )
    op.drop_table("provider_intent")
    op.drop_index("ix_price_history_remembered", table_name="price_history")
    op.drop_table("price_history")
    op.drop_index("ix_outbox_due", table_name="outbox", postgresql_where="state = 'new'")
    op.drop_table("outbox")
    op.drop_index("uq_orders_open", table_name="orders", postgresql_where="state in ('incomplete', 'pending')")
    op.drop_index("ix_orders_check_at", table_name="orders", postgresql_where="check_at is not null")
    op.drop_index(op.f("ix_orders_account"), table_name="orders")
    op.drop_table("orders")
    op.drop_index("ix_letter_due", table_name="letter", postgresql_where="state = 'planned'")
    op.drop_index("ix_letter_day", table_name="letter")
    op.drop_table("letter")
    op.drop_index(op.f("ix_ledger_line_transaction_id"), table_name="ledger_line")
    op.drop_index(op.f("ix_ledger_line_order_id"), table_name="ledger_line")
    op.drop_index(op.f("ix_ledger_line_booked_on"), table_name="ledger_line")
    op.drop_table("ledger_line")
    op.drop_index(op.f("ix_idempotency_created_at"), table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index("ix_entitlement_pupil_school", table_name="entitlement_pupil", postgresql_where="school is not null")
    op.drop_table("entitlement_pupil")
    op.drop_index("ix_entitlement_grant_pupil", table_name="entitlement_grant")
    op.drop_index("ix_entitlement_grant_origin", table_name="entitlement_grant")
    op.drop_table("entitlement_grant")
    op.drop_table("entitlement_block")
    op.drop_table("entitlement_account")
    op.drop_index("ix_audit_subject", table_name="audit")
    op.drop_index("ix_audit_account", table_name="audit")
    op.drop_table("audit")
    op.drop_table("api_key")
    op.drop_index(op.f("ix_activation_link_account"), table_name="activation_link")
    op.drop_table("activation_link")
    op.drop_index("ix_account_confirm_by", table_name="account", postgresql_where="first_confirmed_at is null")
    op.drop_table("account")
