"""Outgoing webhooks, as values: what is said, how it is signed, when it is tried again, which addresses are called."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from billing.kernel.clock import SystemClock
from webhooks.outgoing_addresses import PORTS, checked, fault_of, may_call, parts_of
from webhooks.outgoing_rules import (
    EVENTS,
    FAILING_FOR,
    JITTER,
    MOST_TRIES,
    TOLD,
    WAITS,
    EventName,
    Outcome,
    body_of,
    next_try,
    quiet_after,
    spread_of,
    wait_asked,
)
from webhooks.outgoing_signing import headers_of, new_secret, signature_of

SPREAD = st.floats(0, 1, exclude_max=True)
PUBLIC = "https://hooks.dziennik.pl/billing"


def test_every_event_says_what_its_data_holds() -> None:
    assert set(TOLD) == set(EVENTS) == set(get_args(EventName))
    assert len(EVENTS) == 9


@given(st.sampled_from(EVENTS), st.dictionaries(st.text(max_size=20), st.text() | st.integers(), max_size=6))
def test_a_body_is_thin_and_the_same_each_time_r87(kind: EventName, more: dict[str, Any]) -> None:
    """Whatever else a message knows, such as an amount or an address, stays here."""
    facts = dict.fromkeys(TOLD[kind], "x") | {name: value for name, value in more.items() if name not in TOLD[kind]}
    body = body_of("evt_1", kind, "2026-09-01T08:00:00Z", facts)
    told = msgspec.json.decode(body)
    assert list(told) == ["id", "type", "timestamp", "data"]
    assert set(told["data"]) == set(TOLD[kind])
    assert body == body_of("evt_1", kind, "2026-09-01T08:00:00Z", dict(reversed(facts.items())))
    assert {"email", "amount", "name"} & set(TOLD[kind]) == set()


def test_s18_the_public_test_vector_of_standard_webhooks() -> None:
    signature = signature_of(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 3))
def test_s18_the_standards_own_library_takes_what_any_of_the_secrets_signed(text: str, number: int) -> None:
    body = msgspec.json.encode({"said": text})
    secrets = [new_secret() for _ in range(number)]
    headers = headers_of(secrets, "evt_1", int(SystemClock().now().timestamp()), body)
    assert [Webhook(secret).verify(body, headers) for secret in secrets] == [{"said": text}] * number
    for wrong in (body + b" ", body[:-1]):
        with pytest.raises(WebhookVerificationError):
            Webhook(secrets[0]).verify(wrong, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)


@given(st.uuids(), st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 - any will do
def test_ten_tries_over_three_days_each_wait_up_to_a_fifth_longer(delivery: Any, at: datetime) -> None:
    """The table of Standard Webhooks, with jitter on top."""
    tried = [at]
    while (following := next_try(len(tried), tried[-1], spread_of(delivery, len(tried)))) is not None:
        tried.append(following)
    assert len(tried) == MOST_TRIES == 10
    waits = [after - before for before, after in pairwise(tried)]
    assert all(wait <= was <= wait * (1 + JITTER) for wait, was in zip(WAITS, waits, strict=True))
    assert timedelta(hours=75, minutes=35) < tried[-1] - at < timedelta(hours=91)
    assert tried[-1] - at < FAILING_FOR


@given(st.integers(1, 10_000), SPREAD)
def test_an_endpoint_left_alone_delays_no_retry_of_a_lone_delivery(failures: int, spread: float) -> None:
    at = datetime(2026, 9, 1)  # noqa: DTZ001
    assert timedelta(seconds=5) <= quiet_after(failures) <= timedelta(minutes=5)
    following = next_try(failures, at, spread)
    assert following is None or at + quiet_after(failures) <= following


NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0), ("120", 120), (" 7 ", 7), ("86400", 86400), ("86401", 86400), ("9" * 5000, 86400), ("-1", 0),
        ("1.5", 0), ("soon", 0), ("", 0), ("٣", 0), ("Tue, 01 Sep 2026 12:05:00 GMT", 300),
        ("Tue, 01 Sep 2026 12:05:00 -0000", 300), ("Tue, 01 Sep 2026 11:05:00 GMT", 0),
        ("Tue, 01 Sep 2099 11:05:00 GMT", 86400), ("Tue, 99 Sep 2026 12:05:00 GMT", 0),
        (f"Tue, 01 Sep {'9' * 20} 12:05:00 GMT", 0), (f"Tue, 01 Sep 2026 12:05:00 +{'9' * 20}", 0),
    ],
)  # fmt: skip
def test_what_a_receiver_asks_for_is_given_for_a_day_at_most(said: str, seconds: int) -> None:
    assert wait_asked(said, NOW) == timedelta(seconds=seconds)


@given(st.text(max_size=40))
def test_whatever_a_receiver_says_is_a_wait_of_up_to_a_day(said: str) -> None:
    assert timedelta() <= wait_asked(said, NOW) <= timedelta(hours=24)


@settings(max_examples=5)
@given(st.lists(st.uuids(), min_size=200, max_size=200, unique=True))
def test_what_failed_together_does_not_come_back_together(deliveries: list[Any]) -> None:
    spreads = sorted(spread_of(delivery, 1) for delivery in deliveries)
    assert 0 <= spreads[0] < 0.2
    assert 0.8 < spreads[-1] < 1


@given(st.integers(100, 599))
def test_only_2xx_is_a_delivery_and_only_silence_or_overload_speaks_for_the_whole_endpoint(status: int) -> None:
    outcome = Outcome(status=status)
    assert outcome.is_delivered == (status // 100 == 2)
    assert outcome.is_gone == (status == 410)
    assert outcome.is_unwell == (status in {429, 502, 503, 504})
    assert (outcome.fault is None) == outcome.is_delivered
    assert Outcome(trouble="timeout").is_unwell


REFUSED = [
    "http://hooks.dziennik.pl/", "ftp://hooks.dziennik.pl/", "file:///etc/passwd", "gopher://hooks.dziennik.pl/",
    "https://", "https:///hook", "//hooks.dziennik.pl/", "hooks.dziennik.pl", "", "javascript:alert(1)",
    "https://user:secret@hooks.dziennik.pl/", "https://hooks.dziennik.pl@10.0.0.1/", "https://10.0.0.1#@dziennik.pl/",
    "https://hooks.dziennik.pl/#x", "https://hooks.dziennik.pl\\@10.0.0.1/", "https://hooks.dziennik.pl /",
    "https://hooks.dziennik.pl/\n", "https://hooks.dziennik.pl/\r\nX: y", "https://hooks.dziennik.pl\n/",
    "https://hooks.dziennik.pl:22/", "https://hooks.dziennik.pl:6379/", "https://hooks.dziennik.pl:5432/",
    "https://hooks.dziennik.pl:80/", "https://hooks.dziennik.pl:0/", "https://hooks.dziennik.pl:99999/",
    "https://hooks.dziennik.pl:/", "https://ｈooks.dziennik.pl/", "https://hooks。dziennik。pl/", "https://żółw.pl/",
    "https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "https://billing/", "https://db.internal/",
    "https://printer.local/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/",
    "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://127.0.0.1./", "https://0/", "https://0.0.0.0/",
    "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fd00::1]/",
    "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[ff02::1]/", "https://[2001::1]/",
    "https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/",
    "https://100.64.0.1/", "https://169.254.169.254/latest/meta-data/", "https://168.63.129.16/", "https://224.0.0.1/",
    "https://255.255.255.255/", "https://198.18.0.1/", "https://hooks..dziennik.pl/", "https://" + "a." * 1100 + "pl/",
    "https://[1.2.3.4]/", "https://[fd00:ec2::254]/", "https://1.2.3/", "https://1.2.3.4.5/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_s13_s14_an_address_that_is_not_public_https_is_refused_in_every_spelling(url: str) -> None:
    assert fault_of(url, loopback=False) is not None


@pytest.mark.parametrize(
    "url",
    [PUBLIC, "https://hooks.dziennik.pl", "HTTPS://Hooks.Dziennik.PL:8443/a?b=c@d", "https://hooks.dziennik.pl?x=1",
     "https://xn--w-uga1v8h.pl/", "https://8.8.8.8/hook", "https://[2606:4700::1111]/hook", "https://a_b.example.com/"],
)  # fmt: skip
def test_a_public_https_address_is_taken(url: str) -> None:
    assert fault_of(url, loopback=False) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/hook", "http://localhost:3000/", "http://[::1]:8080/x?y=1"])
def test_only_a_sandbox_calls_this_machine(url: str) -> None:
    assert fault_of(url, loopback=True) is None
    assert fault_of(url, loopback=False) is not None


@pytest.mark.parametrize("url", [url for url in REFUSED if "127.0.0.1/" not in url and "localhost" not in url.lower()])
def test_s14_a_sandbox_calls_nothing_else_inside(url: str) -> None:
    assert (fault_of(url, loopback=True) is None) == (url == "https://[::1]/")


@given(st.ip_addresses())
@example(ip_address("168.63.129.16"))
@example(ip_address("::ffff:10.0.0.1"))
@example(ip_address("64:ff9b::a00:1"))
@example(ip_address("2002:a00:1::"))
def test_s14_what_may_be_called_is_global_and_nothing_hides_inside_it(address: Any) -> None:
    if may_call(address, loopback=False):
        assert address.is_global
        assert not any((address.is_multicast, address.is_reserved, address.is_loopback, address.is_link_local))
        if address.version == 6:
            assert address.ipv4_mapped is None
            assert address.sixtofour is None
            assert address.teredo is None
    assert may_call(address, loopback=True) == (may_call(address, loopback=False) or address.is_loopback)


@given(st.lists(st.ip_addresses().map(str) | st.sampled_from(["127.0.0.1", "fe80::1%eth0", "", "x"]), max_size=4))
def test_s15_a_name_that_leads_inside_even_once_is_not_called_at_all(found: list[str]) -> None:
    addresses = checked(found, loopback=False)
    assert addresses in ([], [str(ip_address(text)) for text in found] if addresses else [])
    assert all(may_call(ip_address(address), loopback=False) for address in addresses)
    if "127.0.0.1" in found:
        assert addresses == []


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.:\[\]@/?#\\-]{1,40}", fullmatch=True))
def test_any_text_is_judged_and_what_is_taken_apart_is_all_there_is(url: str) -> None:
    """No part of a URL is left over that somebody else might read another way."""
    target = parts_of(url)
    if fault_of(url, loopback=False) is None:
        assert target is not None
        assert target.scheme == "https"
        assert target.port in PORTS
        assert url.lower().startswith(f"https://{target.authority.partition(':')[0]}")
    if target is not None:
        assert "@" not in target.authority
        assert target.path.startswith("/")
        assert "#" not in target.path
