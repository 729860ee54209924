"""``billing sandbox``: the whole product under one parent, from an empty folder to a page one can click on."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from billing.kernel.clock import SharedClock
from billing.sandbox.embedded import EmbeddedServerError, FolderLock
from billing.sandbox.families import LIVED_BEFORE
from billing.sandbox.home import Home
from billing.sandbox.postgres import EmbeddedPostgres
from billing.sandbox.processes import Child, Watcher, stop_all, stop_strays
from billing.sandbox.valkey import EmbeddedValkey

READY_SECONDS = 90.0


def run_sandbox(data_dir: Path, port: int) -> int:
    """Runs everything until Ctrl-C or SIGTERM, then stops everything. Answers the exit code: 0 done, 1 failed.

    Call it from the main thread: it takes over the signals, and the children live as long as that thread.
    """
    over = threading.Event()
    with _signals(over), ExitStack() as stack:
        try:
            return _run(Home(data_dir, port), over, stack)
        except (EmbeddedServerError, _Stopped) as trouble:
            if isinstance(trouble, _Stopped):
                return 0
            sys.stderr.write(f"The sandbox cannot run: {trouble}\n")
            return 1


class _Stopped(Exception):
    """Ctrl-C came while things were still starting."""


def _run(home: Home, over: threading.Event, stack: ExitStack) -> int:
    stack.enter_context(FolderLock(home.folder, "A sandbox"))
    _check_port(home.port)
    stop_strays(str(home.folder))
    _start_clock(home)
    watcher = Watcher()
    environment = _start_servers(home, watcher, stack)
    _say("Bringing the database up to date …")
    _tool(home, environment, "billing", "migrate")
    children = _start_children(home, environment, stack)
    _await_ready(home, children, over)
    if home.api_key() is None:
        _say("Seeding a small demo …")
        _tool(home, environment, "billing.sandbox.demo", str(home.folder))
    for child in children:
        watcher.watch(child)
    _say(banner(home))
    watcher.look_until(over)
    _say("Stopping …")
    return 0


def _start_clock(home: Home) -> None:
    """The clock all processes share, made before they are. A new one begins in the past, so that the demo can live
    through the weeks that lead to the present.
    """
    is_new = not home.clock.exists()
    clock = SharedClock(home.clock)
    if is_new:
        clock.hold(clock.now() - LIVED_BEFORE)
        clock.release()


def _start_servers(home: Home, watcher: Watcher, stack: ExitStack) -> dict[str, str]:
    """Our own PostgreSQL and Valkey, unless we are told of others; answers the children's environment."""
    database_url, broker_url = _given("BILLING_DATABASE_URL"), _given("BILLING_BROKER_URL")
    if database_url is None:
        _say("Starting PostgreSQL …")
        postgres = EmbeddedPostgres(home.folder / "postgres")
        stack.callback(postgres.stop)
        postgres.start("billing")
        watcher.watch(postgres)
        database_url = postgres.url("billing")
    if broker_url is None:
        _say("Starting Valkey …")
        valkey = EmbeddedValkey(home.folder / "valkey")
        stack.callback(valkey.stop)
        valkey.start()
        watcher.watch(valkey)
        broker_url = valkey.url()
    return home.environment(database_url, broker_url, *home.ports())


def _start_children(home: Home, environment: dict[str, str], stack: ExitStack) -> list[Child]:
    http, smtp = (environment[name].rpartition(":")[2] for name in ("BILLING_SANDBOX_OUTSIDE", "BILLING_SMTP_URL"))
    commands = {
        "outside": home.command("billing.sandbox.outside_process", str(home.folder), str(home.port), http, smtp),
        "web": home.command("billing", "serve", "--host", "127.0.0.1", "--port", str(home.port)),
        "worker": home.command("billing", "worker"),
        "beat": home.command("billing", "beat"),
    }
    children = [Child(name, argv, environment, home.logs) for name, argv in commands.items()]
    stack.callback(stop_strays, str(home.folder))
    stack.callback(stop_all, children[:1])
    stack.callback(stop_all, children[1:])  # first: what is half done may still need what is outside
    _say("Starting the product …")
    for child in children:
        child.start()
    return children


def _await_ready(home: Home, children: list[Child], over: threading.Event) -> None:
    """Waits until the product says that it is ready; a child that gives up before that is told of with its log."""
    deadline = time.monotonic() + READY_SECONDS
    while not all(_answers(home.public_url + path) for path in ("/readyz", "/sandbox/info")):
        for child in children:
            if not child.alive:
                raise EmbeddedServerError(f"{child.name} ended ({child.exit_code}): {_tail(child.log)}")
        if time.monotonic() > deadline:
            logs = "\n".join(f"{child.name}: {_tail(child.log, 400)}" for child in children)
            raise EmbeddedServerError(f"not ready after {READY_SECONDS:.0f} s\n{logs}")
        if over.wait(0.1):
            raise _Stopped


def _tool(home: Home, environment: dict[str, str], module: str, *arguments: str) -> None:
    """Runs a short command of the product to its end."""
    log = home.logs / f"{module.rpartition('.')[2]}.log"
    with log.open("ab") as output:
        done = subprocess.run(
            home.command(module, *arguments),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
        )
    if done.returncode != 0:
        raise EmbeddedServerError(f"{module} {' '.join(arguments)} failed ({done.returncode}): {_tail(log)}")


def banner(home: Home) -> str:
    """What to click and what to copy, once everything runs."""
    key, base = home.api_key() or "<key>", home.public_url
    return f"""
The sandbox is ready: {base}

  Mailbox            {base}/sandbox/mailbox
  Finance pages      {base}/finance/
  API description    {base}/schema/openapi.json
  Everything else    {base}/sandbox/info
  Logs and data      {home.folder}

  API key            {key}

  curl -H 'Authorization: Bearer {key}' '{base}/v1/catalog'

Move the clock:      curl -X POST -H 'Content-Type: application/json' -d '{{"advance":"P12D"}}' {base}/sandbox/clock
Stop with Ctrl-C; the data stays.
"""


def _given(name: str) -> str | None:
    """A setting of our own environment, also as a file named by …_FILE."""
    place = os.environ.get(f"{name}_FILE")
    return os.environ.get(name) or (Path(place).read_text(encoding="utf-8").strip() if place else None)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise EmbeddedServerError(f"port {port} is taken ({error.strerror}); choose another: PORT=8081") from error


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return answer.status == 200  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


def _tail(log: Path, letters: int = 1500) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-letters:].strip() if log.exists() else "no log"


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


@contextmanager
def _signals(over: threading.Event) -> Generator[None]:
    """Ctrl-C, SIGTERM and a closed terminal all mean: stop in order. A second one changes nothing."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before: dict[int, Callable[..., object] | int | None] = {number: signal.getsignal(number) for number in numbers}

    def stop(number: int, frame: object) -> None:
        del number, frame
        over.set()

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
