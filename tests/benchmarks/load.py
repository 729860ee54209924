"""A closed-loop client on loopback, bounded in connections and time, and the CPU a process tree has used."""

import asyncio
import random
import time
from pathlib import Path

import msgspec

CONNECTIONS = 16
_TICKS = 100


class Window(msgspec.Struct, frozen=True):
    """One stretch of load: requests done, seconds, and the server's CPU seconds."""

    requests: int
    seconds: float
    cpu: float

    @property
    def micros(self) -> float:
        """Server CPU µs per request."""
        return self.cpu / self.requests * 1e6

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and all its descendants, by /proc."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            fields = Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            children = Path(f"/proc/{one}/task/{one}/children").read_text(encoding="ascii").split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / _TICKS
        waiting += [int(child) for child in children]
    return total


async def hammer(port: int, pid: int, key: str, accounts: int, seconds: float) -> Window:
    """Ask about random accounts over keep-alive connections, each its next question after its last answer."""
    deadline = time.perf_counter() + seconds
    before, started = cpu_of(pid), time.perf_counter()
    counts = await asyncio.gather(*(_ask(port, key, accounts, deadline) for _ in range(CONNECTIONS)))
    return Window(sum(counts), time.perf_counter() - started, cpu_of(pid) - before)


async def _ask(port: int, key: str, accounts: int, deadline: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    done = 0
    try:
        while time.perf_counter() < deadline:
            number = random.randrange(accounts)
            path = f"/v1/accounts/a-{number}/entitlements/messages?channel=mobile&pupil=p-{number}"
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode("latin-1"))
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
    finally:
        writer.close()
    return done
