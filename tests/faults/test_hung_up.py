"""Callers that hang up in the middle of anything: nothing of theirs stays behind, and the next is answered as ever."""

import random
import socket
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import pytest

from tests.faults.harm import asked_of_database, failures
from tests.hand import Hand
from tests.living import Sandbox
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

TIMES = 1000
_RESET = struct.pack("ii", 1, 0)
_LEFT = """select a.state, l.locktype, l.mode from pg_stat_activity a left join pg_locks l using (pid)
where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
and (a.state like 'idle in transaction%' or l.locktype in ('transactionid', 'tuple', 'advisory'))"""
"""What a request has left that never came to its end."""


def hang_up(port: int, requests: Sequence[bytes], number: int) -> None:
    """Send one of the requests or a part of it, wait for some thousandths of a second, and be gone."""
    chance = random.Random(number)
    request = chance.choice(requests)
    sent = request if chance.random() < 0.8 else request[: chance.randrange(1, len(request))]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        door.sendall(sent)
        time.sleep(chance.choice((0, 0.001, 0.003, 0.01, 0.03)))


def request(method: str, path: str, key: str, body: object = None) -> bytes:
    """The bytes of a request."""
    content = b"" if body is None else msgspec.json.encode(body)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def test_f19_a_thousand_callers_hang_up_at_any_moment(hand: Hand, sandbox: Sandbox) -> None:
    family = hand.family("urwane")
    key = (sandbox.folder / "api-key").read_text(encoding="utf-8").strip()
    account, page = f"/v1/accounts/{family.account}", hand.new_link(family).removeprefix(sandbox.url)
    requests = [
        request("PUT", f"{account}/pupils/{family.pupil}", key, {"school": family.school}),
        request("PUT", f"/v1/schools/{family.school}", key, {"blocked_features": []}),
        request("GET", f"{account}/entitlements/messages?channel=mobile&consistency=strong", key),
        request("GET", account, key),
        request("POST", f"{account}/activation-links", key, {"pupils": [family.pupil]}),
        request("GET", page, key),
    ]
    before = failures(sandbox)
    with ThreadPoolExecutor(16) as callers:
        list(callers.map(partial(hang_up, sandbox.port, requests), range(TIMES)))
    until(lambda: asked_of_database(sandbox, _LEFT) == [], "something is left for ever", 20)
    assert failures(sandbox) == before
    assert hand.open("/readyz").status_code == 200
    assert hand.allows(family) == (True, "trial")
    assert hand.link(family, family.pupil, expect=200)["state"] == "running"
