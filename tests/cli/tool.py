"""Running the operator's tool as a process of its own, in an environment of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from click.testing import CliRunner

from billing.cli import main

ROOT = Path(__file__).parents[2]
NOWHERE = "postgresql+asyncpg://nobody:hush-password@127.0.0.1:9/nothing"
GIVEN = {
    "BILLING_DATABASE_URL": NOWHERE,
    "BILLING_BROKER_URL": "redis://:hush-broker@127.0.0.1:9/0",
    "BILLING_PUBLIC_URL": "https://billing.test",
    "BILLING_STRIPE_API_KEY": "sk_test_hush",
    "BILLING_STRIPE_API_BASE": "http://127.0.0.1:9",
    "BILLING_STRIPE_WEBHOOK_SECRETS": "whsec_hush",
    "BILLING_SMTP_URL": "smtp://post:hush-smtp@127.0.0.1:9",
    "BILLING_MAIL_FROM": "billing@billing.test",
    "BILLING_OIDC_ISSUER": "https://login.billing.test",
    "BILLING_OIDC_CLIENT_ID": "billing",
    "BILLING_OIDC_CLIENT_SECRET": "hush-client",
    "BILLING_SIGNING_KEYS": '{"keys": [], "x": "hush"}',
    "BILLING_SECRET_KEY": "hush" * 10,
}


class Ran(msgspec.Struct, frozen=True):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def whole(environment: Mapping[str, str | None]) -> dict[str, str | None]:
    """The settings of a run, named without their prefix; None takes one away."""
    return {**GIVEN, **{f"BILLING_{name}": value for name, value in environment.items()}}


def billing(*argv: str, **environment: str | None) -> Ran:
    """Runs `billing` in this process. Not from within an event loop: the tool has its own."""
    done = CliRunner().invoke(main, argv, prog_name="billing", env={**whole(environment), "COLUMNS": "200"})
    return Ran(done.exit_code, done.stdout, done.stderr)


def process(*argv: str, **environment: str | None) -> Ran:
    """Runs `billing` as a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BILLING_")}
    given = clean | {name: value for name, value in whole(environment).items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-m", "billing", *argv],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
