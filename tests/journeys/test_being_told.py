"""An app backend that wants to be told: every kind of event, from the running product to a receiver's own library."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.family import DAY, midnight
from tests.hand import Hand
from webhooks.outgoing_rules import EVENTS, TOLD

pytestmark = pytest.mark.slow

HOME = "/v1/webhook-endpoints"
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


class Backend(ThreadingHTTPServer):
    """A receiver as anybody would write it: it verifies, remembers the id, and says yes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.secret = ""
        self.told: dict[str, dict[str, Any]] = {}
        self.tries: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/billing"

    def of(self, kind: str, **facts: Any) -> list[dict[str, Any]]:
        """The data of all events of a kind with these facts."""
        found = [event["data"] for event in self.told.values() if event["type"] == kind]
        return [data for data in found if facts.items() <= data.items()]


class _Taking(BaseHTTPRequestHandler):
    server: Backend  # pyright: ignore[reportIncompatibleVariableOverride] - it serves nobody else

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        event = Webhook(self.server.secret).verify(body, dict(self.headers))
        assert event["id"] == self.headers["webhook-id"]
        self.server.tries[event["id"]] += 1
        self.server.told[event["id"]] = event
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_backend_is_told_of_everything_once_and_verifies_it_unchanged(hand: Hand, backend: Backend) -> None:
    """R21, R55, R70, R76, R78, R88 as their events; the sandbox's clock is far from the receiver's, and it holds."""
    made = hand.api("POST", HOME, {"url": backend.url, "events": list(EVENTS)}, expect=201)
    backend.secret = made["secret"]
    try:
        told, told_not = hand.family("powiadamiany"), hand.family("powiadamiany-nie")
        pupil, trial = told.pupil, told.trial["id"]
        begun = _fed_so_far(hand, backend, told.account)
        hand.to(midnight(told.day) + DAY)
        assert backend.of("trial.started", trial=trial) == [{"trial": trial, "pupil": pupil}]
        ending = {"trial": trial, "pupil": pupil, "reverts_on": str(told.day)}
        assert backend.of("trial.ending", trial=trial) == [ending]
        assert backend.of("trial.ended", trial=trial) == [{"trial": trial, "pupil": pupil}]

        page = hand.pay_page(hand.to_pay(hand.new_link(told)), "blik", "succeeded")
        hand.drain()
        (paid,) = backend.of("order.paid", account=told.account)
        assert paid["pupils"] == [pupil]
        second = hand.send(f"{page}/withdrawal", lang="pl", name="Anna", contact=told.email)
        hand.send(f"{page}/withdrawal", **dict(_HIDDEN.findall(second.text)))
        hand.drain()
        (right,) = hand.passes(told)
        assert backend.of("subscription.ended", pupil=pupil) == [{"subscription": right["id"], "pupil": pupil}]
        (refund,) = backend.of("refund.succeeded", order=paid["order"])
        assert refund["refund"].startswith("ref_")

        session = hand.to_pay(hand.new_link(told_not))
        hand.pay(session, "p24", "pending")
        hand.settle(session, "failed")
        hand.drain()
        assert len(backend.of("order.failed", account=told_not.account)) == 1
        changes = [one for one in backend.of("entitlements.changed", account=told.account) if one not in begun]
        hand.api("DELETE", f"/v1/accounts/{told_not.account}", expect=202)
        hand.drain()
        assert len(backend.of("account.erased", account=told_not.account)) == 1
        assert changes == _fed(hand, changes)
        assert {event["type"] for event in backend.told.values()} == set(EVENTS)
        assert all(set(event["data"]) == set(TOLD[event["type"]]) for event in backend.told.values())
        assert set(backend.tries.values()) == {1}
    finally:
        hand.api("DELETE", f"{HOME}/{made['id']}", expect=204)


def _fed_so_far(hand: Hand, backend: Backend, account: str) -> list[dict[str, Any]]:
    """What the account's backend was told until now, just as the feed tells it. News are kept for 30 days: whether the
    first of a story are there at its end is its neighbours' doing."""
    hand.drain()
    begun = backend.of("entitlements.changed", account=account)
    assert begun == _fed(hand, begun)
    return begun


def _fed(hand: Hand, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same changes as the change feed tells them."""
    assert changes
    seqs = [one["seq"] for one in changes]
    query = {"after": min(seqs) - 1, "limit": 1000}
    found = {one["seq"]: one for one in hand.api("GET", "/v1/changes", params=query)["data"]}
    return [found[seq] for seq in seqs]
