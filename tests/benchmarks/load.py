"""Two clients on loopback, in this process and on this core: a closed loop, and an open one at a fixed rate."""

import random
import select
import socket
import time
from collections import deque
from collections.abc import Callable

import msgspec

Ask = Callable[[int], bytes]
"""The bytes of a request about the account of a number."""

_LENGTH = b"content-length:"
_GOOD = (b"HTTP/1.1 200", b"HTTP/1.1 304")


class Wrong(Exception):
    """An answer that is not the one that was to be measured."""


class Closed(msgspec.Struct, frozen=True):
    """One window of a closed loop: each connection asks again when it was answered."""

    requests: int
    seconds: float


class Open(msgspec.Struct, frozen=True):
    """One window of an open loop. Milliseconds count from when a request was due, not from when it could be sent, so a
    server that stops for a moment is charged with everything that it kept waiting."""

    asked: int
    millis: list[float]
    """Sorted."""

    def at(self, share: float) -> float:
        """The latency that this share of the requests stays within."""
        return self.millis[min(len(self.millis) - 1, int(share * len(self.millis)))]


class _Wire:
    """One keep-alive connection, one request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self._got = b""

    def send(self, request: bytes) -> None:
        """Ask. A request fits into the socket's buffer."""
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Take what has come; whether the answer is whole. Raises Wrong where it is none of the good ones."""
        part = self.socket.recv(262_144)
        if not part:
            raise Wrong("the server hung up")
        got = self._got + part if self._got else part
        end = got.find(b"\r\n\r\n")
        if end >= 0:
            head = got[:end].lower()
            at = head.find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0
            if len(got) >= end + 4 + length:
                if not got.startswith(_GOOD):
                    raise Wrong(got[:600].decode("latin-1"))
                self._got = b""
                return True
        self._got = got
        return False


def answer_of(port: int, request: bytes) -> bytes:
    """The body of one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        link.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        parts = iter(lambda: link.recv(262_144), b"")
        head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    if not head.startswith(_GOOD):
        raise Wrong((head + body)[:600].decode("latin-1"))
    return body


def closed_loop(port: int, ask: Ask, accounts: int, seconds: float, connections: int) -> Closed:
    """Ask about random accounts over so many connections; at least until as many answers have come, or 30 s more."""
    wires = {(wire := _Wire(port)).socket.fileno(): wire for _ in range(connections)}
    poll = select.epoll()
    pick = random.randrange
    try:
        for number, wire in wires.items():
            poll.register(number, select.EPOLLIN)
            wire.send(ask(pick(accounts)))
        done, started = 0, time.perf_counter()
        deadline = started + seconds
        while (now := time.perf_counter()) < deadline or (done < connections and now < deadline + 30):
            for number, _ in poll.poll(5):
                wire = wires[number]
                if wire.is_answered():
                    done += 1
                    wire.send(ask(pick(accounts)))
        return Closed(done, now - started)
    finally:
        poll.close()
        for wire in wires.values():
            wire.socket.close()


def open_loop(port: int, ask: Ask, accounts: int, rate: float, seconds: float, connections: int = 64) -> Open:
    """Ask at a fixed rate, whether or not earlier questions were answered; at most 5 s more for the last answers."""
    wires = [_Wire(port) for _ in range(connections)]
    idle, busy = deque(wires), dict[int, _Wire]()
    late: deque[float] = deque()
    millis: list[float] = []
    total, sent_for = int(rate * seconds), 0
    started = time.perf_counter()
    try:
        while len(millis) < total:
            now = time.perf_counter()
            if now > started + seconds + 5:
                break
            while sent_for < total and (due := started + sent_for / rate) <= now:
                late.append(due)
                sent_for += 1
            while late and idle:
                wire = idle.popleft()
                wire.due = late.popleft()
                wire.send(ask(random.randrange(accounts)))
                busy[wire.socket.fileno()] = wire
            wait = max(0.0, started + sent_for / rate - time.perf_counter()) if sent_for < total else 0.05
            for number in select.select(list(busy), [], [], wait)[0]:
                wire = busy[number]
                if wire.is_answered():
                    millis.append((time.perf_counter() - wire.due) * 1e3)
                    idle.append(busy.pop(number))
    finally:
        for wire in wires:
            wire.socket.close()
    millis += [5e3] * (total - len(millis))  # never answered: five seconds, at least
    return Open(total, sorted(millis))
