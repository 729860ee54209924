"""The map of the house. Facts come in at the mail room, are judged in the accounting rooms, leave there as grants, and
are answered at the front desk. Imports run the same way as the data; nobody calls uphill.

app, worker, cli, migrations   what runs: web application, Celery worker and beat, operator's tool, schema
wiring, sandbox                settings -> services; stand-ins for what is outside
(webhooks)                     the mail room: Stripe's events, verified, kept once, judged by re-reading the object
invariants                     what must always hold, asked every night; reports, never repairs
privacy                        erasing a person, deleting the unconfirmed, giving a person's data to that person
finance, notices               the staff's reading room; letters, each sent once
reconciliation                 comparing with Stripe in both directions; payouts to the grosz
withdrawals, invoices          refunds: asked for, sent, answered; requests for invoices, handed over, issued
checkout                       the order page: reserve | ask the provider | record
subscriptions                  paid rights over time
trials                         when a trial starts, ends, reverts; whom to tell, by when
activation                     links in mails: fourteen days, powerless on GET
accounts                       people and schools
cases                          what waits for a person, with an age and a due day
payments, catalog, ledger      the one wall towards Stripe; what is sold; the books
(entitlements)                 the front desk: may this account use this feature now?
kernel                         clock, days, money, ids, errors, database, outbox, audit, idempotency, web
"""
