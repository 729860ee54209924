"""A web process as it is once its application stands."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import until

CODE = """
import gc, os, threading
from billing.kernel.serving import interruptible, settled

def policies():
    return {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}

over = threading.Event()
threading.Thread(target=over.wait).start()
found = [policies()]
settled(None)
threading.Thread(target=over.wait).start()
found.append(policies())
with interruptible():
    threading.Thread(target=over.wait).start()
    found.append(policies())
found.append(policies())
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
settled(None)
with interruptible():
    chosen = os.sched_getscheduler(0)
over.set()
usual, batch = {os.SCHED_OTHER}, {os.SCHED_BATCH}
print(found == [usual, batch, usual, batch], chosen == os.SCHED_IDLE, gc.get_freeze_count() > 1000)
"""


def test_threads_let_each_other_finish_but_in_long_work_and_garbage_is_not_looked_for_in_what_stays() -> None:
    told = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True", "True"]


SLOW = """
import pathlib, time

def create():
    pathlib.Path("begun").touch()
    time.sleep(60)
"""


def test_a_process_that_is_asked_to_stop_while_its_application_is_made_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    code = "from billing.kernel.serving import serve; serve('slow:create', '127.0.0.1', 0, 1)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        until((tmp_path / "begun").exists, "nothing was begun")
        server.send_signal(signal.SIGTERM)
        assert "refused to gracefully stop" not in server.communicate()[0]
        assert server.returncode == 0


ANSWERING = """
import os, pathlib

def create():
    pathlib.Path("begun", str(os.getpid())).touch()
    return None
"""


def test_processes_end_when_the_one_that_began_them_was_killed(tmp_path: Path) -> None:
    """Else they would go on to take connections for ever, beside those that come after them."""
    (tmp_path / "quick.py").write_text(ANSWERING, encoding="utf-8")
    begun = tmp_path / "begun"
    begun.mkdir()
    code = "from billing.kernel.serving import serve; serve('quick:create', '127.0.0.1', 0, 3)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, start_new_session=True) as server:
        until(lambda: len(list(begun.iterdir())) == 3, "they were not begun")
        server.kill()
    try:
        until(lambda: not any(Path(f"/proc/{each.name}").exists() for each in begun.iterdir()), "they live on", 20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
