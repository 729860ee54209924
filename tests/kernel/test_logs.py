"""Logs are JSON lines without personal data (I28): planted canaries never come out."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from billing.kernel.db import Database
from billing.kernel.logs import exception_told
from billing.kernel.outbox import put

PROGRAM = """
import logging, structlog
from billing.kernel import logs
from billing.kernel.errors import BillingError
logs.configure("debug")
log = structlog.get_logger("test")
structlog.contextvars.bind_contextvars(request_id="req-1")
log.info("plain", work="letters.send", done=3)
log.info("dressed", email="canary-email@example.pl", token="canary-token", key="canary-key", body=b"canary-body",
         name="canary-name", authorization="Bearer canary-bearer", url="https://x.example/activate/canary-url")
def pay(secret, email):
    raise ValueError(f"canary-message {email}")
try:
    pay("canary-local", "canary-local@example.pl")
except ValueError:
    log.exception("failed", kind="order.paid")
logging.getLogger("sqlalchemy").warning("statement with canary-parameter")
logging.getLogger("celery").error("task args canary-args", exc_info=None)
try:
    pay("canary-std", "canary-std@example.pl")
except ValueError:
    logging.getLogger("granian").exception("canary-message")
class Ours(BillingError):
    code = "conflict"
try:
    try:
        pay("canary-cause", "canary-cause@example.pl")
    except ValueError as fault:
        raise Ours("Said by us.") from fault
except Ours:
    log.exception("ours")
log.warning("letters", text="zażółć", number=1)
"""


def _lines() -> tuple[str, list[str]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr, done.stderr.splitlines()


def test_no_canary_comes_out_and_every_line_of_ours_is_json() -> None:
    said, lines = _lines()
    assert [line for line in lines if "canary" in line] == []
    told = [json.loads(line) for line in lines if line.startswith("{")]
    ours = [line for line in told if "request_id" in line]
    assert [line["event"] for line in ours] == ["plain", "dressed", "failed", "ours", "letters"]
    assert {line["request_id"] for line in ours} == {"req-1"}
    assert ours[0] | {"timestamp": ""} == {
        "event": "plain", "work": "letters.send", "done": 3, "level": "info", "request_id": "req-1", "timestamp": "",
    }  # fmt: skip
    assert set(ours[1]) - {"event", "level", "request_id", "timestamp"} == {
        "email", "token", "key", "body", "name", "authorization", "url",
    }  # fmt: skip
    assert {ours[1][field] for field in ("email", "token", "key", "body", "name", "authorization", "url")} == {"…"}
    assert said.isascii()


def test_a_failure_is_told_with_its_place_but_without_its_values() -> None:
    _, lines = _lines()
    failed = next(json.loads(line) for line in lines if '"failed"' in line)
    frames = failed["exception"][0]["frames"]
    assert failed["exception"][0]["exc_type"] == "ValueError"
    assert [frame["name"] for frame in frames] == ["<module>", "pay"]
    assert not any("locals" in frame for frame in frames)
    ours = next(json.loads(line) for line in lines if '"ours"' in line)["exception"]
    assert [(link["exc_type"], link["exc_value"]) for link in ours] == [("Ours", "Said by us."), ("ValueError", "…")]


async def test_a_databases_refusal_does_not_repeat_the_row(database: Database, at: datetime) -> None:
    """PostgreSQL says "Failing row contains (…)"; SQLAlchemy adds the parameters."""

    async def provoke() -> None:
        async with database.begin() as session:
            put(session, "canary-kind", at, canary="canary-fact")
            await session.flush()
            await session.execute(text("update outbox set state = :canary"), {"canary": "canary-state"})

    with pytest.raises(DBAPIError) as caught:
        await provoke()
    said = json.dumps(exception_told((type(caught.value), caught.value, caught.value.__traceback__)))
    assert "IntegrityError" in said
    assert "canary" not in str(caught.value)
    assert "canary" not in said


FULL = """
import resource, structlog
from billing.kernel import logs, metrics
logs.configure()
log = structlog.get_logger()
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
log.warning("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (300, most))
for number in range(1000):
    log.warning("meanwhile", number=number)
for number in range(1000):
    logs.request("req", "GET", "/livez", 200, 0.001)
logs.settle()
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
log.warning("after")
print(int(metrics.LOG_LINES_LOST.collect()[0].samples[0].value))
"""


def test_f57_where_nothing_can_be_written_work_goes_on_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    """Nothing is raised; one line is cut off, and once there is room again, lines are whole again."""
    with (tmp_path / "log").open("wb") as log:
        told = subprocess.run([sys.executable, "-c", FULL], stdout=subprocess.PIPE, stderr=log, check=True)
    first, *_, cut_off, last = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in (first, last)] == ["before", "after"]
    assert not cut_off.endswith("}")
    lines = (tmp_path / "log").read_text(encoding="utf-8").count("\n")
    assert int(told.stdout) == 2002 - (lines - 1)
