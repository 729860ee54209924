"""The whole product on one machine, with stand-ins only for what lies outside it.

Real: PostgreSQL, Valkey, the web server, Celery's worker and beat, SMTP. Stand-ins: Stripe, a mailbox, an OpenID
provider and a clock that can be moved. Nothing below ``/sandbox`` exists unless ``billing sandbox`` runs.
"""
