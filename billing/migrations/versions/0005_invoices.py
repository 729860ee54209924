"""The books: a chart of accounts, sales with their tax and days; requests for invoices."""

import sqlalchemy as sa
from alembic import op

from billing.kernel.ids import parse, public

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ACCOUNTS = (
    "'stripe_clearing', 'bank', 'stripe_fees', 'deferred_revenue', 'revenue', 'vat_output', 'refunds_payable', "
    "'chargebacks', 'suspense'"
)

FROZEN = """
create function ledger_sale_is_frozen() returns trigger language plpgsql as $$
begin
    if (to_jsonb(new) - 'ended_on' - 'close_at') <> (to_jsonb(old) - 'ended_on' - 'close_at') then
        raise exception 'what was sold is frozen' using errcode = 'restrict_violation';
    end if;
    return new;
end $$
"""

KNOWN_SALE = """
insert into ledger_sale (payment, order_id, gross, vat, unit_gross, vat_rate_percent, vat_method, sold_on, first_day,
    last_day, close_at)
select l.sale, l.order_id, sum(l.amount) filter (where account = 'stripe_clearing'),
    coalesce(-sum(l.amount) filter (where account = 'vat_output'), 0), o.unit_gross, o.vat_rate_percent,
    'per_document', l.booked_on, least(greatest(l.booked_on, o.first_day), o.last_day), o.last_day,
    (date_trunc('month', greatest(l.booked_on, o.first_day)::timestamp) + interval '1 month 3 hours')
        at time zone 'Europe/Warsaw'
from ledger_line l join orders o on o.id = :order
where l.sale = :payment and l.cause = 'payment:' || :payment
group by l.sale, l.order_id, l.booked_on, o.id
"""


def upgrade() -> None:
    op.add_column(
        "orders", sa.Column("vat_method", sa.Text(), nullable=False, server_default=sa.text("'per_document'"))
    )
    op.create_check_constraint(op.f("ck_orders_vat_method"), "orders", "vat_method in ('per_document', 'per_line')")
    op.add_column("ledger_line", sa.Column("sale", sa.Text(), nullable=True))
    op.add_column("ledger_line", sa.Column("corrects", sa.Uuid(), nullable=True))
    op.alter_column("ledger_line", "order_id", existing_type=sa.Text(), nullable=True)
    op.create_check_constraint(op.f("ck_ledger_line_account"), "ledger_line", f"account in ({ACCOUNTS})")
    op.drop_index(op.f("ix_ledger_line_order_id"), table_name="ledger_line")
    op.create_index("ix_ledger_line_order", "ledger_line", ["order_id", "account"])
    op.create_index("ix_ledger_line_sale", "ledger_line", ["sale", "account"], postgresql_where="sale is not null")
    op.create_table(
        "ledger_sale",
        sa.Column("payment", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("vat", sa.BigInteger(), nullable=False),
        sa.Column("unit_gross", sa.BigInteger(), nullable=False),
        sa.Column("vat_rate_percent", sa.BigInteger(), nullable=False),
        sa.Column("vat_method", sa.Text(), nullable=False),
        sa.Column("sold_on", sa.Date(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("close_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "gross > 0 and vat >= 0 and vat <= gross and unit_gross > 0", name=op.f("ck_ledger_sale_amounts")
        ),
        sa.CheckConstraint("vat_method in ('per_document', 'per_line')", name=op.f("ck_ledger_sale_vat_method")),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_ledger_sale_days")),
        sa.PrimaryKeyConstraint("payment", name=op.f("pk_ledger_sale")),
    )
    op.create_index(op.f("ix_ledger_sale_order_id"), "ledger_sale", ["order_id"])
    op.create_index(op.f("ix_ledger_sale_sold_on"), "ledger_sale", ["sold_on"])
    op.create_index("ix_ledger_sale_close_at", "ledger_sale", ["close_at"], postgresql_where="close_at is not null")
    op.execute(FROZEN)
    op.execute(
        "create trigger ledger_sale_frozen before update on ledger_sale "
        "for each row execute function ledger_sale_is_frozen()"
    )
    op.execute(
        "create trigger ledger_sale_kept before delete or truncate on ledger_sale "
        "for each statement execute function refuse_change()"
    )
    _take_over()
    _invoices()


def _invoices() -> None:
    op.create_table(
        "invoice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("payment", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("buyer_kind", sa.Text(), nullable=False),
        sa.Column("buyer", sa.LargeBinary(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("vat", sa.BigInteger(), nullable=False),
        sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("ksef_number", sa.Text(), nullable=True),
        sa.Column("issued_on", sa.Date(), nullable=True),
        sa.Column("corrects", sa.Uuid(), nullable=True),
        sa.Column("refund", sa.Text(), nullable=True),
        sa.CheckConstraint("kind in ('invoice', 'correction')", name=op.f("ck_invoice_kind")),
        sa.CheckConstraint("state in ('requested', 'handed_over', 'issued', 'refused')", name=op.f("ck_invoice_state")),
        sa.CheckConstraint("path in ('ksef', 'offline', 'consumer')", name=op.f("ck_invoice_path")),
        sa.CheckConstraint(
            "(state = 'issued') = (path is not null and number is not null and issued_on is not null)",
            name=op.f("ck_invoice_issued"),
        ),
        sa.CheckConstraint(
            "path is null or (path = 'ksef') = (ksef_number is not null)", name=op.f("ck_invoice_ksef_number")
        ),
        sa.CheckConstraint("(kind = 'correction') = (corrects is not null)", name=op.f("ck_invoice_corrects")),
        sa.CheckConstraint("(state = 'refused') = (buyer is null)", name=op.f("ck_invoice_buyer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.ForeignKeyConstraint(["corrects"], ["invoice.id"], name=op.f("fk_invoice_corrects")),
        sa.UniqueConstraint("ksef_number", name=op.f("uq_invoice_ksef_number")),
        sa.UniqueConstraint("refund", name=op.f("uq_invoice_refund")),
    )
    op.create_index(op.f("ix_invoice_order_id"), "invoice", ["order_id"])
    op.create_index(
        "uq_invoice_payment",
        "invoice",
        ["payment"],
        unique=True,
        postgresql_where="kind = 'invoice' and state <> 'refused'",
    )
    op.create_index(
        "ix_invoice_waiting", "invoice", ["due_on"], postgresql_where="state in ('requested', 'handed_over')"
    )


def _take_over() -> None:
    """Books that were kept before there was a table of sales."""
    link = op.get_bind()
    refunds = "select r.id, p.stripe_payment_intent from refund r join payment p on p.id = r.payment_id"
    payments = link.execute(sa.text("select stripe_payment_intent, order_id from payment")).all()
    causes = [(f"payment:{payment}", payment) for payment, _ in payments]
    causes += [(f"refund_owed:{public('ref', key)}", payment) for key, payment in link.execute(sa.text(refunds))]
    op.execute("alter table ledger_line disable trigger ledger_line_append_only")
    for cause, payment in causes:
        mark = sa.text("update ledger_line set sale = :payment where cause = :cause")
        link.execute(mark, {"payment": payment, "cause": cause})
    op.execute("alter table ledger_line enable trigger ledger_line_append_only")
    for payment, order in payments:
        link.execute(sa.text(KNOWN_SALE), {"payment": payment, "order": parse("ord", order)})


def downgrade() -> None:
    op.drop_table("invoice")
    op.drop_table("ledger_sale")
    op.execute("drop function ledger_sale_is_frozen()")
    op.drop_index("ix_ledger_line_sale", table_name="ledger_line")
    op.drop_index("ix_ledger_line_order", table_name="ledger_line")
    op.create_index(op.f("ix_ledger_line_order_id"), "ledger_line", ["order_id"])
    op.drop_constraint(op.f("ck_ledger_line_account"), "ledger_line", type_="check")
    op.execute("alter table ledger_line disable trigger ledger_line_append_only")
    op.execute("update ledger_line set order_id = '' where order_id is null")
    op.execute("alter table ledger_line enable trigger ledger_line_append_only")
    op.alter_column("ledger_line", "order_id", existing_type=sa.Text(), nullable=False)
    op.drop_column("ledger_line", "corrects")
    op.drop_column("ledger_line", "sale")
    op.drop_constraint(op.f("ck_orders_vat_method"), "orders", type_="check")
    op.drop_column("orders", "vat_method")
