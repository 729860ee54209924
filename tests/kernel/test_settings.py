"""Settings: all faults at once, exit 78, secrets never said, every one also from a file."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from billing.kernel.settings import PREFIX, BadSettings, Secret, Settings, load, shown

GOOD = {
    "BILLING_DATABASE_URL": "postgresql+asyncpg://u:canary-db@localhost/billing",
    "BILLING_BROKER_URL": "redis://:canary-broker@localhost/0",
    "BILLING_PUBLIC_URL": "https://addons.example",
    "BILLING_STRIPE_API_KEY": "sk_test_canary-stripe",
    "BILLING_STRIPE_WEBHOOK_SECRETS": "whsec_canary-one,whsec_canary-two",
    "BILLING_SMTP_URL": "smtp://u:canary-smtp@localhost:25",
    "BILLING_MAIL_FROM": "billing@addons.example",
    "BILLING_OIDC_ISSUER": "https://login.example",
    "BILLING_OIDC_CLIENT_ID": "billing",
    "BILLING_OIDC_CLIENT_SECRET": "canary-oidc",
    "BILLING_SIGNING_KEYS": '{"keys": [], "note": "canary-signing"}',
    "BILLING_SECRET_KEY": "canary-secret-key-canary-secret-key",
}
SECRETS = [name for name, value in GOOD.items() if "canary" in value]


def faults(**changes: str | None) -> list[str]:
    given = {name: value for name, value in (GOOD | changes).items() if value is not None}
    with pytest.raises(BadSettings) as caught:
        load(given)
    return caught.value.lines


def test_a_right_environment_is_read_whole() -> None:
    settings = load(GOOD | {"BILLING_POOL_SIZE": "25", "BILLING_METRICS_PUBLIC": "true"})
    assert (settings.public_url, settings.pool_size, settings.metrics_public) == ("https://addons.example", 25, True)
    assert settings.webhook_secrets == ("whsec_canary-one", "whsec_canary-two")


def test_an_empty_environment_names_everything_that_is_missing() -> None:
    with pytest.raises(BadSettings) as caught:
        load({})
    wanted = {PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings) if field.required}
    assert {line.split()[0] for line in caught.value.lines} == wanted
    assert all(line.endswith("is missing") for line in caught.value.lines)


def test_all_faults_are_told_at_once() -> None:
    lines = faults(
        BILLING_DATABASE_URL="mysql://localhost/billing",
        BILLING_BROKER_URL="http://localhost",
        BILLING_PUBLIC_URL="http://addons.example",
        BILLING_SMTP_URL="localhost:25",
        BILLING_SECRET_KEY="short",
        BILLING_POOL_SIZE="many",
        BILLING_STRIPE_WEBHOOK_SECRETS="whsec_one,",
        BILLING_MAIL_FROM=None,
        BILLING_STRIPE_KEY="sk_test_typo",
    )
    named = sorted({line.split()[0].rstrip(":") for line in lines})
    assert named == sorted(
        ["BILLING_BROKER_URL", "BILLING_DATABASE_URL", "BILLING_MAIL_FROM", "BILLING_POOL_SIZE", "BILLING_PUBLIC_URL",
         "BILLING_SECRET_KEY", "BILLING_SMTP_URL", "BILLING_STRIPE_KEY", "BILLING_STRIPE_WEBHOOK_SECRETS"]
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(GOOD))
def test_every_setting_is_read_from_a_file_too(name: str, tmp_path: Path) -> None:
    place = tmp_path / "value"
    place.write_text(GOOD[name] + "\n", encoding="utf-8")
    given = {other: value for other, value in GOOD.items() if other != name} | {f"{name}_FILE": str(place)}
    assert load(given) == load(GOOD)


def test_a_setting_given_twice_or_in_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    lines = faults(
        BILLING_SECRET_KEY_FILE=str(tmp_path / "value"),
        BILLING_MAIL_FROM=None,
        BILLING_MAIL_FROM_FILE=str(tmp_path / "absent"),
        BILLING_SMTP_URL=None,
        BILLING_SMTP_URL_FILE=str(tmp_path / "latin"),
    )
    assert lines == [
        "BILLING_SMTP_URL_FILE cannot be read: UnicodeDecodeError",
        "BILLING_MAIL_FROM_FILE cannot be read: FileNotFoundError",
        "BILLING_SECRET_KEY and BILLING_SECRET_KEY_FILE are both set; keep one",
    ]


def test_plain_http_is_for_this_machine_only() -> None:
    assert load(GOOD | {"BILLING_PUBLIC_URL": "http://127.0.0.1:8080"}).public_url == "http://127.0.0.1:8080"
    for url in (
        "http://addons.example",
        "ftp://addons.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil",
    ):
        assert faults(BILLING_PUBLIC_URL=url), url


def test_signing_keys_that_cannot_sign_are_a_fault_of_the_settings() -> None:
    """I28: the place is named, never what stands there."""
    for text, words in {
        "canary": "not a JWK set: a JSON object with a list of `keys`",
        '{"keys": [{"kty": "EC", "d": "canary"}]}': "key 1 is no EC key on P-256 for ES256",
    }.items():
        assert faults(BILLING_SIGNING_KEYS=text) == [f"BILLING_SIGNING_KEYS: {words}"]


def test_secrets_are_never_printed() -> None:
    """I28."""
    settings = load(GOOD)
    said = [repr(settings), str(settings), str(shown(settings)), f"{settings.secret_key}", repr(Secret("canary"))]
    assert [text for text in said if "canary" in text] == []
    assert {name for name, value in shown(settings).items() if value == "…"} == set(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_a_fault_in_a_secret_does_not_say_the_secret(name: str) -> None:
    assert not any("canary" in line for line in faults(**{name: "canary", "BILLING_POOL_SIZE": "x"}))


def _billing(*arguments: str, **given: str) -> "subprocess.CompletedProcess[str]":
    bare = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return subprocess.run(
        [sys.executable, "-m", "billing", *arguments], env=bare | given, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_wrong_environment_ends_a_command_with_exit_code_78_and_every_fault() -> None:
    done = _billing("config", "show", **(GOOD | {"BILLING_DATABASE_URL": "canary", "BILLING_POOL_SIZE": "many"}))
    assert done.returncode == 78
    assert done.stdout == ""
    assert [line.split()[0].rstrip(":") for line in done.stderr.splitlines()] == [
        "BILLING_POOL_SIZE",
        "BILLING_DATABASE_URL",
    ]
    assert "canary" not in done.stderr


@pytest.mark.slow
def test_showing_the_settings_shows_no_secret() -> None:
    done = _billing("config", "show", **GOOD)
    assert done.returncode == 0
    assert "BILLING_PUBLIC_URL=https://addons.example" in done.stdout.splitlines()
    assert "canary" not in done.stdout + done.stderr


def test_every_setting_is_explained_in_the_example() -> None:
    example = (Path(__file__).parent.parent.parent / ".env.example").read_text(encoding="utf-8")
    mine = {"BILLING_CLOCK_FILE", "BILLING_SANDBOX_OUTSIDE"}  # made by the sandbox for its own processes
    wanted = {PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings)} - mine
    assert {name for name in wanted if name not in example} == set()
