"""What the operator meets: help with examples, exit codes, keys, settings without secrets, checks."""

import re
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import anyio
import pytest
import rich_click as click
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from cryptography import x509

from billing.cli import main
from billing.kernel.clock import FixedClock
from billing.kernel.db import Database
from billing.notices.mailer import SmtpMailer
from billing.sandbox.valkey import EmbeddedValkey
from tests.benchmarks.place import free_port
from tests.certificate import self_signed
from tests.cli.tool import ROOT, billing, process
from tests.gateway.world import living
from tests.webhooks.conftest import event
from webhooks import service as inbox
from webhooks.inbox import EventRow
from webhooks.translate import head_of

CATALOGUE = ROOT / "billing" / "catalog" / "catalog.toml"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command at every level."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_help_at_every_level_has_an_example_that_begins_with_the_very_command():
    for path, command in commands(main):
        examples = re.findall(r"Example: `(billing[^`]*)`", command.help or "")
        assert len(examples) == 1, path
        assert examples[0].startswith(" ".join(("billing", *path))), path


def test_every_command_of_the_contract_that_exists_is_listed():
    names = {" ".join(path) for path, _ in commands(main)}
    assert names >= {
        "serve",
        "worker",
        "beat",
        "migrate",
        "check",
        "config show",
        "catalog check",
        "catalog diff",
        "catalog push",
        "keys create",
        "keys list",
        "keys revoke",
        "explain",
        "replay",
        "reconcile",
        "openapi",
        "sandbox",
    }


@pytest.mark.slow
def test_help_is_printed_and_ends_with_0_and_nonsense_with_2():
    for argv in (["--help"], ["keys", "create", "-h"], ["explain", "--help"]):
        told = billing(*argv)
        assert (told.code, told.err) == (0, "")
        assert "Example: " in told.out
    for argv in (
        ["nonsense"],
        ["keys", "create", "app"],
        ["keys", "create", "app", "--scope", "all"],
        ["explain", "a1"],
        ["catalog", "check", "/nothing.toml"],
        ["explain", "a1", "p1", "--at", "tomorrow"],
        ["explain", "a1", "p1", "--at", "2026-11-30T00:00:00"],
    ):
        told = billing(*argv)
        assert (told.code, told.out) == (2, ""), argv
        assert told.err


@pytest.mark.slow
def test_wrong_settings_end_with_78_and_every_fault_is_told_at_once():
    wrong = {
        "DATABASE_URL": "mysql://x",
        "SMTP_URL": None,
        "SECRET_KEY": "short-secret",
        "NONSENSE": "1",
        "POOL_SIZE": "x",
    }
    for argv in (["config", "show"], ["keys", "list"], ["migrate"], ["check"]):
        told = billing(*argv, **wrong)
        assert (told.code, told.out) == (78, ""), argv
        for name in wrong:
            assert f"BILLING_{name}" in told.err, argv
        assert "short-secret" not in told.err


@pytest.mark.slow
def test_settings_are_shown_without_secrets():
    told = billing("config", "show", POOL_SIZE="7")
    assert (told.code, told.err) == (0, "")
    assert "hush" not in told.out
    assert {"BILLING_POOL_SIZE=7", "BILLING_SECRET_KEY=…", "BILLING_DATABASE_URL=…"} <= set(told.out.splitlines())


@pytest.mark.slow
def test_a_secret_may_come_from_a_file_and_never_from_both(tmp_path: Path):
    (tmp_path / "key").write_text("k" * 40 + "\n", encoding="utf-8")
    assert billing("config", "show", SECRET_KEY=None, SECRET_KEY_FILE=str(tmp_path / "key")).code == 0
    both = billing("config", "show", SECRET_KEY_FILE=str(tmp_path / "key"))
    assert (both.code, both.err.strip()) == (
        78,
        "BILLING_SECRET_KEY and BILLING_SECRET_KEY_FILE are both set; keep one",
    )


@pytest.mark.slow
def test_a_catalogue_is_checked_and_every_fault_of_it_named(tmp_path: Path):
    good = billing("catalog", "check", str(CATALOGUE))
    assert (good.code, good.err) == (0, "")
    assert "no faults" in good.out
    text = CATALOGUE.read_text(encoding="utf-8")
    bad = tmp_path / "bad.toml"
    bad.write_text(text.replace("4499", "-1").replace('"PLN"', '"EUR"') + '\nnonsense = "x"\n', encoding="utf-8")
    told = billing("catalog", "check", str(bad))
    assert (told.code, told.out) == (78, "")
    assert len(told.err.splitlines()) >= 2
    bad.write_text("this is [not toml", encoding="utf-8")
    assert billing("catalog", "check", str(bad)).code == 78


@pytest.mark.slow
def test_keys_are_made_listed_and_cut_off(database_url: str):
    made = billing(
        "keys", "create", "app", "--scope", "entitlements:read", "--scope", "admin", DATABASE_URL=database_url
    )
    key_id, text = made.out.split()
    assert (made.code, made.err) == (0, "")
    assert re.fullmatch(r"key_[0-9a-z]{26}", key_id)
    assert text.startswith(f"edk_test_{key_id.removeprefix('key_')}_")
    listed = billing("keys", "list", DATABASE_URL=database_url)
    assert key_id in listed.out
    assert re.search(r"entitlements:read\W+admin", listed.out)
    assert text not in listed.out
    assert billing("keys", "revoke", key_id, DATABASE_URL=database_url).out == "Revoked.\n"
    assert billing("keys", "revoke", key_id, DATABASE_URL=database_url).code == 0
    absent = billing("keys", "revoke", "key_" + "0" * 26, DATABASE_URL=database_url)
    assert (absent.code, absent.out, len(absent.err.splitlines())) == (1, "", 1)


@pytest.mark.slow
def test_the_tool_is_a_process_with_exit_codes():
    assert process("keys", "list").code == 1
    assert process("keys", "list", SECRET_KEY="short").code == 78
    assert process("keys", "nonsense").code == 2


@pytest.mark.slow
def test_what_fails_is_told_in_one_line_without_a_trace_or_a_secret():
    for argv in (["keys", "list"], ["explain", "a1", "p1"], ["replay", "evt_1"], ["catalog", "diff"], ["migrate"]):
        told = billing(*argv)
        assert (told.code, told.out) == (1, ""), argv
        lines = [line for line in told.err.splitlines() if "[warning" not in line]
        assert len(lines) == 1, told.err
        assert "hush" not in told.err
        assert "Traceback" not in told.err


@pytest.mark.slow
def test_migrating_twice_and_by_two_at_once_is_harmless(database_url: str):
    said: list[int] = []
    runs = [
        threading.Thread(target=lambda: said.append(process("migrate", DATABASE_URL=database_url).code))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert said == [0, 0]


@pytest.mark.slow
def test_a_check_with_everything_down_names_each_and_ends_with_1():
    told = billing("check")
    assert told.code == 1
    for name in ("database", "migrations", "clock", "broker", "stripe", "smtp"):
        assert f"FAIL  {name}: " in told.out
    assert "hush" not in told.out + told.err
    assert "Traceback" not in told.err
    few = billing("check", "--only", "broker", "--only", "clock")
    assert (few.code, [line.split(":")[0] for line in few.out.splitlines()]) == (1, ["FAIL  clock", "FAIL  broker"])


@pytest.mark.slow
async def test_a_check_with_everything_up_says_ok_and_ends_with_0(
    database_url: str, valkey: EmbeddedValkey, tmp_path: Path
):
    post = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    post.start()
    try:
        async with living(tmp_path) as world:
            told = await anyio.to_thread.run_sync(
                lambda: billing(
                    "check",
                    DATABASE_URL=database_url,
                    BROKER_URL=valkey.url(),
                    STRIPE_API_BASE=world.base,
                    SMTP_URL=f"smtp://127.0.0.1:{post.port}",
                )
            )
    finally:
        post.stop()
    assert told.code == 0, told.out + told.err
    assert [line[:4] for line in told.out.splitlines()] == ["ok  "] * 7


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_check_speaks_tls_with_a_relay_that_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool
):
    shown, trusted = self_signed(tmp_path, x509.IPAddress(IPv4Address("127.0.0.1")))
    post = Controller(Sink(), hostname="127.0.0.1", port=free_port(), ssl_context=shown)
    post.start()
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    try:
        greeting = SmtpMailer(f"smtps://127.0.0.1:{post.port}").greet()
        if is_trusted:
            assert (await greeting).startswith("250 ")
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                await greeting
    finally:
        post.stop()


@pytest.mark.slow
async def test_replay_makes_a_kept_event_new_again(database: Database, database_url: str, clock: FixedClock):
    head = head_of(event(livemode=True), expects_livemode=False)
    async with database.begin() as session:
        await inbox.keep(session, head, clock.now())
    told = await anyio.to_thread.run_sync(lambda: billing("replay", "evt_1", DATABASE_URL=database_url))
    assert (told.code, told.err) == (0, "")
    async with database.begin() as session:
        row = await session.get_one(EventRow, "evt_1", populate_existing=True)
        assert (row.state, row.tries, row.note, row.due_at > datetime(2026, 1, 1, tzinfo=UTC)) == ("new", 0, None, True)
    absent = await anyio.to_thread.run_sync(lambda: billing("replay", "evt_2", DATABASE_URL=database_url))
    assert (absent.code, absent.out) == (1, "")
    assert "no such event" in absent.err
