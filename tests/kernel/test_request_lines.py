"""Lines of requests are written in blocks, all others at once, in the order in which they were said."""

import json
import subprocess
import sys

PROGRAM = """
import asyncio, os, signal, sys, structlog
from billing.kernel import logs
logs.configure(sys.argv[2])
log = structlog.get_logger("test")
def asked(number):
    logs.request(f"request-{number}", "GET", "/v1/things/{thing}", 200, 0.00123)
def said():
    return os.fstat(2).st_size
async def run(how):
    for number in range(3):
        asked(number)
    if how == "killed at once":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "killed later":
        await asyncio.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "an error":
        log.error("broken", request_id="request-2")
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "many":
        for number in range(3, 1003):
            asked(number)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(run(sys.argv[1]))
"""


def told(how: str, level: str = "info") -> list[dict[str, object]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how, level], capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_at_the_end_of_a_process_every_line_is_written_with_the_fields_of_all_lines() -> None:
    lines = told("ends")
    assert [line["request_id"] for line in lines] == ["request-0", "request-1", "request-2"]
    assert lines[0] | {"timestamp": ""} == {
        "request_id": "request-0", "method": "GET", "route": "/v1/things/{thing}", "status": 200, "ms": 1.2,
        "event": "request", "level": "info", "timestamp": "",
    }  # fmt: skip
    assert list(lines[0])[-3:] == ["event", "level", "timestamp"]
    assert str(lines[0]["timestamp"]).endswith("Z")


def test_a_line_that_cannot_wait_is_written_at_once_and_after_those_that_were_said_before_it() -> None:
    assert [line["event"] for line in told("an error")] == ["request", "request", "request", "broken"]


def test_a_killed_process_takes_only_the_lines_of_its_last_moment_with_it() -> None:
    assert told("killed at once") == []
    assert len(told("killed later")) == 3
    assert len(told("many")) == 1000


def test_where_only_warnings_are_wanted_requests_are_not_told() -> None:
    assert told("ends", "warning") == []
