"""The OpenAPI description, built without a database: nothing is opened until it is used."""

from typing import Any

from billing.app import create_app
from billing.kernel.describing import complete
from billing.kernel.settings import load
from billing.wiring import build

PLACE = {
    "BILLING_DATABASE_URL": "postgresql+asyncpg://localhost/billing",
    "BILLING_BROKER_URL": "redis://localhost/0",
    "BILLING_PUBLIC_URL": "https://billing.example",
    "BILLING_STRIPE_API_KEY": "sk_test_none",
    "BILLING_STRIPE_WEBHOOK_SECRETS": "whsec_none",
    "BILLING_SMTP_URL": "smtp://localhost:25",
    "BILLING_MAIL_FROM": "billing@billing.example",
    "BILLING_OIDC_ISSUER": "https://login.billing.example",
    "BILLING_OIDC_CLIENT_ID": "billing",
    "BILLING_OIDC_CLIENT_SECRET": "none",
    "BILLING_SIGNING_KEYS": '{"keys": []}',
    "BILLING_SECRET_KEY": "0" * 32,
}


def description() -> dict[str, Any]:
    """The whole description as plain data."""
    return complete(create_app(build(load(PLACE))))
