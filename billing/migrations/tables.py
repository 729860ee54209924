"""Every table of the house, so that the schema and the code can be compared."""
# pyright: reportUnusedImport=false
# Importing a room's tables is what enters them into the metadata.

from sqlalchemy import MetaData

import billing.accounts.tables
import billing.activation.tables
import billing.catalog.tables
import billing.checkout.tables
import billing.finance.tables
import billing.kernel.audit
import billing.kernel.idempotency
import billing.kernel.keys
import billing.kernel.outbox
import billing.ledger.tables
import billing.notices.tables
import billing.payments.tables
import billing.subscriptions.tables
import billing.trials.tables
import entitlements.tables
import webhooks.inbox
from billing.kernel.db import Base

metadata: MetaData = Base.metadata
