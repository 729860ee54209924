"""The sandbox's folder: what it keeps there, which secrets it made for itself, what its children are told."""

import json
import os
import secrets
import sys
from pathlib import Path

from joserfc.jwk import ECKey

from billing.sandbox.embedded import EmbeddedServerError
from billing.sandbox.keeping import kept, kept_port
from billing.sandbox.openid import Client
from billing.sandbox.processes import MARK

CLIENT_ID = "billing-sandbox"


class Home:
    """One DATA_DIR and the public port it is served on. Everything in it outlives the processes."""

    def __init__(self, folder: Path, port: int) -> None:
        """Makes the folder if need be. Raises ``EmbeddedServerError`` when that cannot be."""
        self.folder = folder.resolve()
        self.public_url = f"http://127.0.0.1:{port}"
        self.port = port
        try:
            for place in (self.folder, self.logs):
                place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedServerError(
                f"{self.folder} cannot be made: {error.strerror}; choose another DATA_DIR"
            ) from error

    @property
    def logs(self) -> Path:
        """Where each process writes its log."""
        return self.folder / "logs"

    @property
    def clock(self) -> Path:
        """The clock all processes share."""
        return self.folder / "clock"

    @property
    def webhook_secret(self) -> str:
        """What Stripe's stand-in signs its events with."""
        return self._secret("stripe-webhook-secret", "whsec_")

    @property
    def oidc_client(self) -> Client:
        """The product, as the OpenID provider knows it."""
        return Client(CLIENT_ID, self._secret("oidc-client-secret"), f"{self.public_url}/finance")

    def api_key(self) -> str | None:
        """The API key that seeding left in ``api-key``, or None before that."""
        place = self.folder / "api-key"
        return place.read_text(encoding="utf-8").strip() if place.exists() else None

    def ports(self) -> tuple[int, int]:
        """The loopback ports of the outside process: HTTP and SMTP; the same ones each time while they are free."""
        return kept_port(self.folder / "outside-port"), kept_port(self.folder / "smtp-port")

    def environment(self, database_url: str, broker_url: str, http: int, smtp: int) -> dict[str, str]:
        """What every child is told; BILLING_ variables of our own environment win where they make sense."""
        outside = f"http://127.0.0.1:{http}"
        told = {
            "BILLING_WEB_WORKERS": "1",
            "BILLING_METRICS_PUBLIC": "true",
            "BILLING_MAIL_FROM": "Dodatki mobilne <dodatki@edziennik.example>",
            **{name: value for name, value in os.environ.items() if name.startswith("BILLING_")},
            "BILLING_DATABASE_URL": database_url,
            "BILLING_BROKER_URL": broker_url,
            "BILLING_PUBLIC_URL": self.public_url,
            "BILLING_STRIPE_API_KEY": self._secret("stripe-api-key", "sk_test_"),
            "BILLING_STRIPE_WEBHOOK_SECRETS": self.webhook_secret,
            "BILLING_STRIPE_API_BASE": f"{outside}/sandbox/stripe",
            "BILLING_SMTP_URL": f"smtp://127.0.0.1:{smtp}",
            "BILLING_OIDC_ISSUER": f"{self.public_url}/sandbox/openid",
            "BILLING_OIDC_CLIENT_ID": CLIENT_ID,
            "BILLING_OIDC_CLIENT_SECRET": self.oidc_client.client_secret,
            "BILLING_SIGNING_KEYS": kept(self.folder / "signing-keys.json", _new_signing_keys),
            "BILLING_SECRET_KEY": self._secret("secret-key"),
            "BILLING_CLOCK_FILE": str(self.clock),
            "BILLING_SANDBOX_OUTSIDE": outside,
        }
        files = {f"{name}_FILE" for name in told}
        ours = {name: value for name, value in os.environ.items() if not name.startswith("BILLING_")}
        named = {name: value for name, value in told.items() if name not in files}
        return {**ours, **named, "PYTHONUNBUFFERED": "1", MARK: str(self.folder)}

    def command(self, module: str, *arguments: str) -> list[str]:
        """How a child is called: this very interpreter."""
        return [sys.executable, "-m", module, *arguments]

    def _secret(self, name: str, prefix: str = "") -> str:
        return kept(self.folder / name, lambda: prefix + secrets.token_hex(24))


def _new_signing_keys() -> str:
    """A JWK set with one private ES256 key."""
    key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(8), "use": "sig", "alg": "ES256"})
    return json.dumps({"keys": [key.as_dict(private=True)]})
