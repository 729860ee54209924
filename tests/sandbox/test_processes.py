"""The sandbox's children come back when they die, and never outlive it."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from billing.kernel.settings import load
from billing.sandbox.embedded import EmbeddedServerError, FolderLock
from billing.sandbox.home import Home
from billing.sandbox.processes import MARK, Child, Watched, Watcher, stop_all, stop_strays
from billing.sandbox.run import run_sandbox

PROJECT = Path(__file__).parents[2]
SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def until(holds: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def looked(watcher: Watcher, at: Watched) -> bool:
    """Whether it is alive after a look of the watcher's."""
    watcher.look()
    return at.alive


def child(folder: Path, argv: list[str], name: str = "child") -> Child:
    return Child(name, argv, {"PATH": os.defpath, MARK: str(folder)}, folder)


def lives(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_child_is_brought_back_and_its_words_are_kept(tmp_path: Path) -> None:
    one = child(tmp_path, SLEEPER)
    one.start()
    watcher = Watcher()
    watcher.watch(one)
    try:
        assert until(lambda: "up" in one.log.read_text())
        first = one.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert until(lambda: not one.alive)
        assert one.exit_code == -signal.SIGKILL

        assert until(lambda: looked(watcher, one))
        assert one.pid != first
        assert until(lambda: one.log.read_text().count("up") == 2)
    finally:
        stop_all([one])


def test_a_child_that_dies_at_once_is_tried_ever_more_seldom(tmp_path: Path) -> None:
    one = child(tmp_path, [sys.executable, "-S", "-c", "print('up')"])
    one.start()
    watcher = Watcher()
    watcher.watch(one)
    deadline = time.monotonic() + 4
    try:
        while time.monotonic() < deadline:
            watcher.look()
            time.sleep(0.02)
    finally:
        stop_all([one])  # on a busy machine the last one is just beginning
    assert 3 <= one.log.read_text().count("up") <= 6


def test_a_server_that_dies_again_while_it_starts_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    class Weak:
        """Comes back at the second try."""

        alive = False

        def __init__(self) -> None:
            self.tries = 0

        def revive(self) -> None:
            self.tries += 1
            if self.tries == 1:
                raise EmbeddedServerError("killed")
            self.alive = True

    weak, watcher = Weak(), Watcher()
    watcher.watch(weak)
    assert until(lambda: looked(watcher, weak))
    assert weak.tries == 2
    assert "killed" in capsys.readouterr().err


def test_all_are_stopped_and_the_stubborn_are_killed(tmp_path: Path) -> None:
    both = [child(tmp_path, SLEEPER, "gentle"), child(tmp_path, STUBBORN, "stubborn")]
    for one in both:
        one.start()
    assert until(lambda: all("up" in one.log.read_text() for one in both))
    stop_all(both, seconds=1)
    assert [one.exit_code for one in both] == [-signal.SIGTERM, -signal.SIGKILL]
    stop_all(both)


def test_children_die_with_a_killed_parent(tmp_path: Path) -> None:
    program = f"""
        import time
        from pathlib import Path
        from billing.sandbox.processes import Child
        child = Child("child", {SLEEPER!r}, {{}}, Path({str(tmp_path)!r}))
        child.start()
        print(child.pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.kill()
    assert until(lambda: not lives(pid))


def test_strays_of_this_folder_are_found_by_their_mark_and_no_others(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    ours, other = child(tmp_path / "one", SLEEPER), child(tmp_path / "two", SLEEPER)
    ours.start()
    other.start()
    assert until(lambda: "up" in ours.log.read_text())
    assert stop_strays(str(tmp_path / "one")) == 1
    assert until(lambda: not ours.alive)
    assert other.alive
    stop_all([ours, other])


def test_a_taken_port_or_folder_ends_with_one_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run_sandbox(tmp_path, taken.getsockname()[1]) == 1
    assert "is taken" in capsys.readouterr().err
    with FolderLock(tmp_path, "A sandbox"):
        assert run_sandbox(tmp_path, 1) == 1
    assert f"already runs on {tmp_path}" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run_sandbox(tmp_path / "file" / "below", 1) == 1


def test_secrets_are_made_once_for_our_eyes_only_and_told_to_the_children(tmp_path: Path) -> None:
    told = Home(tmp_path, 8080).environment("postgresql+asyncpg://x/y", "redis://z", 40001, 40002)
    again = Home(tmp_path, 8080).environment("postgresql+asyncpg://x/y", "redis://z", 40001, 40002)
    assert told == again
    assert told["BILLING_OIDC_ISSUER"] == "http://127.0.0.1:8080/sandbox/openid"
    assert told["BILLING_STRIPE_API_BASE"] == "http://127.0.0.1:40001/sandbox/stripe"
    for name in ("secret-key", "signing-keys.json", "stripe-api-key", "stripe-webhook-secret", "oidc-client-secret"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_the_children_are_told_settings_that_the_product_takes(tmp_path: Path) -> None:
    settings = load(Home(tmp_path, 8080).environment("postgresql+asyncpg://x/y", "redis://z", 40001, 40002))
    assert settings.sandbox_outside == "http://127.0.0.1:40001"
