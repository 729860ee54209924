"""OpenFeature's providers of npm, unchanged, against the running product: the server's asks at each evaluation, the
web's holds all flags and polls. Each is talked to by a small program, in the folder beside this file."""

import json
import time
from collections import Counter
from functools import partial
from typing import Any

from tests.family import ADD_ONS, Family
from tests.hand import Hand
from tests.living import Sandbox
from tests.npm import Program, needs_npm, program
from tests.waiting import until

pytestmark = needs_npm

POLLS_EVERY = 200
"""Milliseconds."""
eventually = partial(until, never="no poll has brought it", seconds=15)
"""A poll must have brought what it should: time for many of them, on a machine that is shared."""
BULK = "/ofrep/v1/evaluate/flags"


def context(family: Family, **changes: Any) -> dict[str, Any]:
    told = {"targetingKey": family.account, "channel": "mobile", "pupil": family.pupil, "app_version": "7.1"} | changes
    return {name: value for name, value in told.items() if value is not None}


def options(hand: Hand, key: str, **more: Any) -> dict[str, Any]:
    return {"baseUrl": hand.url, "headers": [["Authorization", f"Bearer {key}"]]} | more


def as_plain(hand: Hand, family: Family, feature: str) -> tuple[Any, ...]:
    """What a provider must tell of a feature: the product's plain answer, and the protocol's word for its kind."""
    plain = hand.answer(family, feature=feature)
    kind = "STATIC" if plain["reason"] == "basic" else "TARGETING_MATCH"
    return (plain["allowed"], kind, plain["reason"], plain["valid_until"], None)


def as_found(found: dict[str, Any]) -> tuple[Any, ...]:
    until = found["flagMetadata"].get("valid_until")
    return (found["value"], found["reason"], found.get("variant"), until, found.get("errorCode"))


def test_the_server_provider_reads_the_trial_its_end_and_the_basic_version(hand: Hand, key: str):
    family = hand.family("npm-server")
    with program("server.mjs", options(hand, key)) as server:
        found = server.ask(flag="messages", otherwise=False, context=context(family))
        assert as_found(found) == as_plain(hand, family, "messages")
        assert (found["variant"], found["flagMetadata"]["pupil"]) == ("trial", family.pupil)
        basic = server.ask(flag="grades", otherwise=False, context=context(family))
        assert as_found(basic) == as_plain(hand, family, "grades") == (True, "STATIC", "basic", None, None)
        browser = server.ask(flag="messages", otherwise=False, context=context(family, channel="web", pupil=None))
        assert (browser["value"], browser.get("errorCode")) == (True, None)
        hand.end_trial(family)
        ended = server.ask(flag="messages", otherwise=True, context=context(family))
        assert as_found(ended) == as_plain(hand, family, "messages")
        assert (ended["value"], ended["variant"]) == (False, "trial_ended")
        assert server.ask(flag="grades", otherwise=False, context=context(family))["value"] is True


def test_the_server_provider_understands_what_goes_wrong(hand: Hand, key: str):
    family = hand.family("npm-server-wrong")
    wrong: dict[str, tuple[str, Any, dict[str, Any]]] = {
        "FLAG_NOT_FOUND": ("telepathy", True, context(family)),
        "INVALID_CONTEXT": ("messages", True, context(family, channel=None)),
        "TARGETING_KEY_MISSING": ("messages", True, context(family, targetingKey=None)),
        "TYPE_MISMATCH": ("messages", "none", context(family)),
    }
    with program("server.mjs", options(hand, key)) as server:
        for code, (flag, otherwise, asked) in wrong.items():
            found = server.ask(flag=flag, otherwise=otherwise, context=asked)
            assert (found["value"], found["reason"], found.get("errorCode")) == (otherwise, "ERROR", code), found
    for headers, code in (
        ([["X-API-Key", key]], None),
        ([["X-API-Key", "nonsense"]], "GENERAL"),
        ([], "GENERAL"),
    ):
        with program("server.mjs", options(hand, key, headers=headers)) as server:
            found = server.ask(flag="messages", otherwise=False, context=context(family))
            assert (found["value"], found.get("errorCode")) == (code is None, code), found


class Web:
    """The web provider's program, and what the product's log tells of its requests, which bear a name of their own."""

    def __init__(self, asked: Program, sandbox: Sandbox, name: str) -> None:
        self._asked = asked
        self._sandbox = sandbox
        self._name = name

    def flag(self, name: str, *, otherwise: bool = False) -> tuple[Any, ...]:
        """What it holds of a flag."""
        return as_found(self._asked.ask(flag=name, otherwise=otherwise)["details"])

    def go_to(self, told: dict[str, Any]) -> dict[str, Any]:
        """Goes over to another context."""
        return self._asked.ask(goTo=told)

    def changed(self) -> list[str]:
        """The flags of which it said that they changed, at polls."""
        events = self._asked.ask()["events"]
        return sorted({flag for event in events for flag in event.get("flags") or ()})

    def answers(self) -> Counter[int]:
        """How often the product answered it with which status."""
        lines = [json.loads(line) for line in self._sandbox.log().splitlines() if self._name in line]
        ours = [line for line in lines if line.get("request_id") == self._name]
        assert {(line["method"], line["route"]) for line in ours} <= {("POST", BULK)}
        return Counter(line["status"] for line in ours)

    def polls_in_vain(self) -> None:
        """Two polls and more from now on are answered that nothing has changed, and no other way."""
        eventually(lambda: self.answers()[200] > 0)
        time.sleep(2 * POLLS_EVERY / 1000)  # a line of the log may wait so long: the answers before are counted
        before = self.answers()
        eventually(lambda: self.answers()[304] >= before[304] + 2)
        assert self.answers()[200] == before[200]


def test_the_web_provider_holds_all_flags_polls_and_takes_over_changes(hand: Hand, key: str, sandbox: Sandbox):
    family, other = hand.family("npm-web"), hand.family("npm-web-other")
    name = f"npm-polls-{family.account}"
    polling = options(hand, key, pollInterval=POLLS_EVERY)
    polling["headers"].append(["X-Request-ID", name])
    with program("web.mjs", polling, context(family)) as asked:
        web = Web(asked, sandbox, name)
        for feature in ("messages", "homework", "grades"):
            assert web.flag(feature) == as_plain(hand, family, feature)
        assert web.flag("messages")[:3] == (True, "TARGETING_MATCH", "trial")
        web.polls_in_vain()
        assert web.changed() == []
        hand.block(family.school, "messages")
        eventually(lambda: web.flag("messages", otherwise=True)[0] is False)
        assert web.flag("messages") == as_plain(hand, family, "messages")
        assert web.changed() == ["messages"]
        web.polls_in_vain()
        web.go_to(context(other))
        assert web.flag("messages") == as_plain(hand, other, "messages")
        assert web.flag("messages")[:3] == (True, "TARGETING_MATCH", "trial")
        web.polls_in_vain()
        hand.end_trial(other)
        eventually(lambda: web.flag("messages", otherwise=True)[0] is False)
        assert web.flag("messages") == as_plain(hand, other, "messages")
        assert web.flag("messages")[2] == "trial_ended"
        assert web.changed() == sorted(ADD_ONS)
        assert web.flag("grades")[:3] == (True, "STATIC", "basic")


def test_the_web_provider_understands_what_goes_wrong(hand: Hand, key: str):
    family = hand.family("npm-web-wrong")
    with program("web.mjs", options(hand, key), context(family)) as web:
        missing = web.ask(flag="telepathy", otherwise=True)["details"]
        assert (missing["value"], missing["errorCode"]) == (True, "FLAG_NOT_FOUND")
        unknown = context(family, targetingKey="nobody-we-know", pupil=None)
        nobody = web.ask(goTo=unknown, flag="messages", otherwise=True)["details"]
        assert (nobody["value"], nobody["errorCode"]) == (True, "INVALID_CONTEXT")
        assert web.ask(flag="grades", otherwise=False)["details"]["value"] is True
        held = web.ask(goTo=context(family), flag="messages", otherwise=False)
        assert as_found(held["details"]) == as_plain(hand, family, "messages")
        for times, left_out in enumerate(("targetingKey", "channel"), 1):
            refused = web.ask(goTo=context(family, **{left_out: None}), flag="messages", otherwise=False)
            said = [event["message"] for event in refused["events"] if event["type"] == "PROVIDER_ERROR"]
            assert len(said) == times
            assert said[-1].endswith("status: 400")  # it does not pass on the code of a whole answer
            assert refused["details"] == held["details"]
        healed = web.ask(goTo=context(family, channel="web"), flag="messages", otherwise=False)
        assert (healed["details"]["value"], healed["details"]["flagMetadata"]["channel"]) == (True, "web")
    nonsense = options(hand, key, headers=[["Authorization", "Bearer nonsense"]])
    with program("web.mjs", nonsense, context(family)) as web:
        refused = web.ask(flag="messages", otherwise=True)
        assert (refused["status"], refused["details"]["value"]) == ("FATAL", True)
        assert refused["details"]["errorCode"] == "PROVIDER_FATAL"
        assert refused["failed"] is not None
