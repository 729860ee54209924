"""Every table of the house, so that the schema and the code can be compared."""

from sqlalchemy import MetaData

import billing.accounts.tables
import billing.activation.tables
import billing.cases.tables
import billing.catalog.tables
import billing.checkout.tables
import billing.finance.tables
import billing.invoices.tables
import billing.kernel.audit
import billing.kernel.idempotency
import billing.kernel.keys
import billing.kernel.outbox
import billing.ledger.tables
import billing.notices.tables
import billing.payments.tables
import billing.reconciliation.tables
import billing.subscriptions.tables
import billing.subscriptions.tables_consent
import billing.trials.tables
import billing.withdrawals.tables
import billing.withdrawals.tables_complaints
import billing.withdrawals.tables_disputes
import entitlements.tables
import webhooks.inbox
import webhooks.outgoing_tables
from billing.kernel.db import Base

MODULES = (
    billing.accounts.tables,
    billing.activation.tables,
    billing.cases.tables,
    billing.catalog.tables,
    billing.checkout.tables,
    billing.finance.tables,
    billing.invoices.tables,
    billing.kernel.audit,
    billing.kernel.idempotency,
    billing.kernel.keys,
    billing.kernel.outbox,
    billing.ledger.tables,
    billing.notices.tables,
    billing.payments.tables,
    billing.reconciliation.tables,
    billing.subscriptions.tables,
    billing.subscriptions.tables_consent,
    billing.trials.tables,
    billing.withdrawals.tables,
    billing.withdrawals.tables_complaints,
    billing.withdrawals.tables_disputes,
    entitlements.tables,
    webhooks.inbox,
    webhooks.outgoing_tables,
)
"""Importing them is what enters their tables into the metadata."""

metadata: MetaData = Base.metadata
