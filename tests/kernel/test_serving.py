"""A web process as it is once its application stands."""

import subprocess
import sys

CODE = """
import gc, os, threading
from billing.kernel.serving import settled
found = []
look = lambda: found.append(os.sched_getscheduler(0))
look()
settled(None)
thread = threading.Thread(target=look)
thread.start()
thread.join()
print(found == [os.SCHED_OTHER, os.SCHED_BATCH], gc.get_freeze_count() > 1000)
"""


def test_threads_begun_later_let_each_other_finish_and_garbage_is_not_looked_for_in_what_stays() -> None:
    told = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True"]
