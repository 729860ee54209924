"""Settings from the environment: prefix BILLING_, each also as a file named by …_FILE. All faults are told at once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from billing.kernel.errors import BillingError
from billing.kernel.peers import Proxies
from billing.kernel.signing import BadSigningKeys, read_keys

PREFIX = "BILLING_"
EXIT_CONFIGURATION = 78
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


class Secret(msgspec.Struct, frozen=True):
    """A value that is never printed."""

    value: str

    def __repr__(self) -> str:
        return "Secret(…)"


class BadSettings(BillingError):
    """What is wrong with the environment: one line a fault."""

    code = "bad_settings"

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What every web process stands on; all that one needs which only answers questions about rights."""

    database_url: Secret
    broker_url: Secret
    public_url: str
    catalog: str = ""
    signing_keys: Secret
    signing_audience: str = "mobile-app"
    pool_size: int = 10
    web_workers: int = 2
    clock_file: str = ""
    metrics_public: bool = False
    metrics_folder: str = ""
    snapshot: str = ""
    log_level: str = "info"


class Settings(Standing, frozen=True, kw_only=True):
    """Everything that differs between one place and another. `.env.example` explains each."""

    stripe_api_key: Secret
    stripe_webhook_secrets: Secret
    stripe_api_base: str = "https://api.stripe.com"
    stripe_timeout_seconds: int = 15
    smtp_url: Secret
    mail_from: str
    mail_per_minute: int = 600
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: Secret
    oidc_roles_claim: str = "roles"
    secret_key: Secret
    trusted_proxies: str = ""
    sandbox_outside: str = ""

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets valid now; two while one is being rolled."""
        return tuple(part.strip() for part in self.stripe_webhook_secrets.value.split(",") if part.strip())


_BEGINNINGS = {
    "database_url": (("postgresql",), "postgresql:// (PostgreSQL is the one database)"),
    "broker_url": (("redis://", "rediss://", "amqp://", "amqps://"), "redis://, rediss://, amqp:// or amqps://"),
    "smtp_url": (("smtp://", "smtps://"), "smtp:// or smtps://"),
}

Kind = TypeVar("Kind", bound=Standing)


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; raises BadSettings that names every fault."""
    return load_as(Settings, environment)


def load_as(kind: type[Kind], environment: Mapping[str, str] | None = None) -> Kind:
    """The settings of a process that needs only those of `kind`; the others may be there, and are not read."""
    given = dict(os.environ if environment is None else environment)
    faults: list[str] = []
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        text = _read(PREFIX + field.name.upper(), given, faults)
        if text is None:
            if field.required and not any(PREFIX + field.name.upper() in line for line in faults):
                faults.append(f"{PREFIX}{field.name.upper()} is missing")
            continue
        try:
            values[field.name] = (
                Secret(text) if field.type is Secret else msgspec.convert(text, field.type, strict=False)
            )
        except msgspec.ValidationError as fault:
            faults.append(f"{PREFIX}{field.name.upper()}: {fault}")
    faults += [f"{name} is not a setting" for name in sorted(given) if _is_stray(name)]
    faults += _sense(values)
    if faults:
        raise BadSettings(faults)
    return kind(**values)


def _read(name: str, given: Mapping[str, str], faults: list[str]) -> str | None:
    path = given.get(f"{name}_FILE")
    if path is None:
        return given.get(name) or None
    if name in given:
        faults.append(f"{name} and {name}_FILE are both set; keep one")
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as fault:
        faults.append(f"{name}_FILE cannot be read: {type(fault).__name__}")
        return None


def _is_stray(name: str) -> bool:
    known = {PREFIX + field.name.upper() for field in msgspec.structs.fields(Settings)}
    return name.startswith(PREFIX) and not {name, name.removesuffix("_FILE")} & known


def _sense(values: Mapping[str, Any]) -> list[str]:
    """What each value must be by itself, said by its name."""
    faults: list[str] = []
    for name, (starts, words) in _BEGINNINGS.items():
        address = values.get(name)
        if isinstance(address, Secret) and not address.value.startswith(starts):
            faults.append(f"{PREFIX}{name.upper()} must begin with {words}")
    for name in ("public_url", "stripe_api_base", "oidc_issuer"):
        url = values.get(name)
        if isinstance(url, str) and not _is_safe(url):
            faults.append(f"{PREFIX}{name.upper()} must begin with https:// (plain http only on this machine)")
    secret = values.get("secret_key")
    if isinstance(secret, Secret) and len(secret.value) < 32:  # noqa: PLR2004 - 32 letters, written beside the rule
        faults.append("BILLING_SECRET_KEY needs at least 32 characters")
    keys = values.get("signing_keys")
    if isinstance(keys, Secret) and (fault := _fault_of_keys(keys)) is not None:
        faults.append(f"BILLING_SIGNING_KEYS: {fault}")
    pace = values.get("mail_per_minute")
    if isinstance(pace, int) and pace < 1:
        faults.append("BILLING_MAIL_PER_MINUTE must be at least 1")
    try:
        Proxies(str(values.get("trusted_proxies", "")))
    except ValueError as fault:
        faults.append(f"BILLING_TRUSTED_PROXIES: {fault}")
    hooks = values.get("stripe_webhook_secrets")
    if isinstance(hooks, Secret) and not all(part.strip() for part in hooks.value.split(",")):
        faults.append("BILLING_STRIPE_WEBHOOK_SECRETS holds a blank secret")
    return faults


def _fault_of_keys(keys: Secret) -> str | None:
    try:
        read_keys(keys.value)
    except BadSigningKeys as fault:
        return fault.detail
    return None


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)
    )


def shown(settings: Settings) -> dict[str, str]:
    """The settings as a person may see them: secrets hidden."""
    return {
        PREFIX + field.name.upper(): "…" if field.type is Secret else str(getattr(settings, field.name))
        for field in msgspec.structs.fields(Settings)
    }
