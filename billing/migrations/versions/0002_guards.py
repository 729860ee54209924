"""Guards that no program can go round: append-only books, zero sums, no two paid rights at once."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("ledger_line", "audit", "consent", "price_history")

REFUSE = """
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$
"""

ZERO_SUM = """
create function ledger_sums_to_zero() returns trigger language plpgsql as $$
declare total bigint;
begin
    select sum(amount) into total from ledger_line where transaction_id = new.transaction_id;
    if total <> 0 then
        raise exception 'ledger transaction % sums to %', new.transaction_id, total using errcode = 'check_violation';
    end if;
    return null;
end $$
"""

NO_OVERLAP = """
alter table subscription add constraint subscription_no_overlap exclude using gist (
    textrange(product || ' ' || pupil, product || ' ' || pupil, '[]') with &&,
    tstzrange(since, until) with &&
) where (state in ('active', 'past_due', 'paused'))
"""


def upgrade() -> None:
    op.execute(REFUSE)
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger {table}_append_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    op.execute(ZERO_SUM)
    op.execute(
        "create constraint trigger ledger_zero_sum after insert on ledger_line deferrable initially deferred "
        "for each row execute function ledger_sums_to_zero()"
    )
    # An exclusion constraint on equality would need the extension btree_gist; a range type over text does without.
    op.execute('create type textrange as range (subtype = text, collation = "C")')
    op.execute(NO_OVERLAP)


def downgrade() -> None:
    op.execute("alter table subscription drop constraint subscription_no_overlap")
    op.execute("drop type textrange")
    op.execute("drop trigger ledger_zero_sum on ledger_line")
    op.execute("drop function ledger_sums_to_zero()")
    for table in APPEND_ONLY:
        op.execute(f"drop trigger {table}_append_only on {table}")
    op.execute("drop function refuse_change()")
