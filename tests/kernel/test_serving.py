"""A web process as it is once its application stands."""

import subprocess
import sys

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
