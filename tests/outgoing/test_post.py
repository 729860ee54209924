"""Where deliveries go: to the address that was checked and to no other, with patience that ends (S13-S17, F56)."""

import asyncio
import ipaddress
import ssl
import time
from uuid import UUID

import pytest
from cryptography import x509

from tests.certificate import self_signed
from tests.outgoing.receiver import OK, receiving
from webhooks.outgoing_post import IN_ALL, Post, resolve
from webhooks.outgoing_rules import Outcome, Parcel

NAME = "hooks.dziennik.pl"
PARCEL = Parcel(UUID(int=7), b'{"id":"evt_1"}', 1)
SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)
REDIRECT = b"HTTP/1.1 %d Elsewhere\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n"


class Names:
    """What a name leads to, each time it is asked: a resolver of our own, since names of others cannot be used here."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server that is `NAME` shows, and what somebody believes who knows it."""
    shown, pem = self_signed(tmp_path_factory.mktemp("identity"), x509.DNSName(NAME))
    return shown, ssl.create_default_context(cafile=pem)


def post(names: Names, trust: ssl.SSLContext | None = None, *, loopback: bool = True, timeout: float = 2) -> Post:
    given = None if trust is None else lambda: trust
    return Post(loopback=loopback, resolver=names.resolve, trust=given, timeout=timeout)


async def test_s15_the_connection_goes_to_the_checked_address_and_tls_is_held_against_the_name(
    identity: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """The name is asked once; what it leads to afterwards, another server of ours, is never connected to."""
    shown, trust = identity
    async with receiving(shown, 8443) as right, receiving(shown, 8443) as wrong:
        names = Names([right.host], [wrong.host])
        outcomes = await post(names, trust).deliver(f"https://{NAME}:8443/hook?x=1", SECRETS, [PARCEL] * 3)
        assert outcomes == [Outcome(status=200)] * 3
        assert names.asked == [(NAME, 8443)]
        assert len(right.got) == 3
        assert (right.got[0].line, right.got[0].headers["host"]) == ("POST /hook?x=1 HTTP/1.1", f"{NAME}:8443")
        assert wrong.got == []


async def test_a_server_that_is_not_the_name_gets_nothing(identity: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    shown, trust = identity
    async with receiving(shown, 8443) as other:
        names = Names([other.host])
        outcomes = await post(names, trust).deliver("https://other.dziennik.pl:8443/", SECRETS, [PARCEL])
        assert outcomes == [Outcome(trouble="no_connection")]
        outcomes = await post(names).deliver(f"https://{NAME}:8443/", SECRETS, [PARCEL])
        assert outcomes == [Outcome(trouble="no_connection")], "nobody vouches for it"
        assert other.got == []


@pytest.mark.parametrize("others", [[], ["93.184.215.14"], ["2606:4700::1111", "1.1.1.1"]])
async def test_s14_s15_a_name_that_leads_inside_is_not_connected_to(
    others: list[str], identity: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """Whatever else it leads to, and in whatever order."""
    shown, trust = identity
    async with receiving(shown, 8443) as inside:
        for found in ([inside.host, *others], [*others, inside.host], [f"::ffff:{inside.host}"], ["169.254.169.254"]):
            names = Names(found)
            outcomes = await post(names, trust, loopback=False).deliver(f"https://{NAME}:8443/", SECRETS, [PARCEL])
            assert outcomes == [Outcome(trouble="address_refused")]
            assert names.asked == [(NAME, 8443)]
        assert inside.hung_up == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "0"])
async def test_s14_every_spelling_of_this_machine_is_refused_outside_a_sandbox(host: str) -> None:
    """Also where an address was registered in a sandbox, or by an older rule: it is judged again at each try."""
    carrier = Post(loopback=False, timeout=2)
    for scheme in ("https", "http"):
        outcomes = await carrier.deliver(f"{scheme}://{host}:8443/", SECRETS, [PARCEL])
        assert outcomes == [Outcome(trouble="address_refused")]


@pytest.mark.parametrize("host", ["2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.1"])
async def test_s14_what_the_system_makes_of_an_odd_spelling_is_what_is_judged(host: str) -> None:
    found = await resolve(host, 443)
    assert [ipaddress.ip_address(address).is_loopback for address in found] == [True]


async def test_where_one_address_lets_nobody_in_the_next_is_asked() -> None:
    async with receiving() as open_one, receiving() as closed:
        closed.port = open_one.port
        names = Names(["127.255.0.9", open_one.host])
        outcomes = await post(names).deliver(f"http://localhost:{open_one.port}/", SECRETS, [PARCEL])
        assert outcomes == [Outcome(status=200)]
        assert len(open_one.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_s16_a_redirect_is_a_failure_and_is_not_followed(status: int) -> None:
    async with receiving() as inside, receiving() as receiver:
        receiver.answer = REDIRECT % (status, inside.url.encode())
        (outcome,) = await post(Names([receiver.host])).deliver(receiver.url, SECRETS, [PARCEL])
        assert (outcome.is_delivered, outcome.fault) == (False, f"status_{status}")
        assert len(receiver.got) == 1
        assert inside.hung_up == 0


@pytest.mark.parametrize("kind", ["identity", "gzip"])
async def test_s17_an_answer_without_end_is_not_read(kind: str) -> None:
    """The head is the answer; whatever follows, however packed, is left on the line."""
    async with receiving() as receiver:
        receiver.answer = OK[: OK.index(b"content")] + f"content-encoding: {kind}\r\n\r\n".encode()
        receiver.trickle = b"\x1f\x8b" + b"0" * 65_536
        began = time.process_time()
        outcomes = await post(Names([receiver.host])).deliver(receiver.url, SECRETS, [PARCEL])
        assert outcomes == [Outcome(status=200)]
        async with asyncio.timeout(5):
            await receiver.has_left.wait()
        assert time.process_time() - began < 2


async def test_f56_a_receiver_that_never_answers_is_waited_for_no_longer_than_said() -> None:
    async with receiving() as receiver:
        receiver.answer = None
        outcomes = await post(Names([receiver.host]), timeout=0.3).deliver(receiver.url, SECRETS, [PARCEL])
        assert outcomes == [Outcome(trouble="timeout")]


@pytest.mark.parametrize(("part", "pause", "fault"), [(b"y", 0.05, "timeout"), (b"y" * 20_000, 0.0, "no_answer")])
async def test_f56_a_head_without_end_is_cut_by_time_and_by_length(part: bytes, pause: float, fault: str) -> None:
    """A byte now and then keeps no line open; a flood is not kept in memory."""
    async with receiving() as receiver:
        receiver.answer = b"HTTP/1.1 200 OK\r\nx: "
        receiver.trickle, receiver.pause = part, pause
        outcomes = await post(Names([receiver.host]), timeout=0.5).deliver(receiver.url, SECRETS, [PARCEL])
        assert [outcome.fault for outcome in outcomes] == [fault]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1", b"SSH-2.0-OpenSSH\r\n", b"\x00" * 100, b"HTTP/1.1 abc x\r\n\r\n"])
async def test_what_is_no_answer_is_no_delivery(answer: bytes) -> None:
    async with receiving() as receiver:
        receiver.answer = answer
        outcomes = await post(Names([receiver.host])).deliver(receiver.url, SECRETS, [PARCEL])
        assert outcomes == [Outcome(trouble="no_answer")]


async def test_a_name_that_leads_nowhere_and_a_port_nobody_listens_at() -> None:
    names = Names(OSError("no such name"))
    assert await post(names).deliver("http://localhost:1/", SECRETS, [PARCEL]) == [Outcome(trouble="no_address")]
    outcomes = await post(Names(["127.255.0.9"])).deliver("http://localhost:1/", SECRETS, [PARCEL])
    assert outcomes == [Outcome(trouble="no_connection")]


async def test_f56_the_lines_open_at_once_are_bounded_in_all() -> None:
    async with receiving() as receiver:
        receiver.answer = None
        carrier = post(Names([receiver.host]), timeout=0.6)
        rounds = [carrier.deliver(receiver.url, SECRETS, [PARCEL] * 8) for _ in range(12)]
        await asyncio.gather(*rounds)
        assert receiver.most_open <= IN_ALL
        assert len(receiver.got) > IN_ALL
