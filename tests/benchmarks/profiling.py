"""Where the time of an answer goes: the application asked in its own process, with no server, under Python's profiler.

The profiler charges each call, so small functions look dearer than they are. Compare the shares, not with other tables.
"""

import asyncio
import cProfile
import pstats
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from entitlements.app import create
from tests.benchmarks.answering import say
from tests.benchmarks.contenders import HOT, TYPED, of_name, spread
from tests.benchmarks.place import Place, Row
from tests.benchmarks.servers import desk_environment

ASKED = (HOT, TYPED, "strong: PostgreSQL", "batch of 100, compact", "batch of 100, full")
MOST_LINES = 16
_ROOT = Path(__file__).parents[2]


def rows(place: Place) -> list[Row]:
    """Shares by file of ours and by library, the dearest first."""
    times = 2000 if place.seconds >= 1 else 20
    argv = [sys.executable, "-m", "tests.benchmarks.profiling", place.keys[0], str(place.accounts), str(times)]
    told = subprocess.run(argv, env=desk_environment(place), check=True, capture_output=True)
    shares: dict[str, dict[str, float]] = msgspec.json.decode(told.stdout.splitlines()[-1])
    say("profiles")
    total: defaultdict[str, float] = defaultdict(float)
    for of_one in shares.values():
        for label, share in of_one.items():
            total[label] += share
    return [
        Row(label, None, {name: f"{shares[name].get(label, 0.0):.0%}" for name in ASKED})
        for label in sorted(total, key=lambda one: -total[one])[:MOST_LINES]
    ]


async def _profile(key: str, accounts: int, times: int) -> dict[str, dict[str, float]]:
    spread(accounts)
    app: Any = create()
    found: dict[str, dict[str, float]] = {}
    async with app.lifespan():
        await asyncio.sleep(1.5)  # until the feed was heard
        for name in ASKED:
            asking, count = of_name(name).asking, times // (20 if "batch" in name else 1)
            for number in range(20):
                await _ask(app, asking(key, number % accounts))
            profile = cProfile.Profile()
            profile.enable()
            for number in range(count):
                await _ask(app, asking(key, number * 7919 % accounts))
            profile.disable()
            found[name] = _shares(profile)
    return found


async def _ask(app: Any, request: bytes) -> None:
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.split(b" ")
    path, _, query = target.partition(b"?")
    headers = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines if line)]
    status: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method.decode(),
             "scheme": "http", "path": path.replace(b"%73", b"s").decode(), "raw_path": path, "query_string": query,
             "root_path": "", "headers": headers, "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2), "state": {},
             "extensions": {}}  # fmt: skip
    await app(scope, receive, send)
    if status != [200]:
        raise RuntimeError(f"answered {status}")


def _shares(profile: cProfile.Profile) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = vars(pstats.Stats(profile))["stats"]
    for (file, _, function), (_, _, own, _, _) in stats.items():
        found[_label(file, function)] += own
    whole = sum(found.values())
    return {label: own / whole for label, own in found.items() if label}


def _label(file: str, function: str) -> str:
    """A file of ours, a library's name, or what is built in; the profiler's own asking is left out."""
    if file == __file__ or file.endswith("contenders.py"):
        return "the asking itself"
    if file == "~":
        return "select" if "poll" in function else "built-in functions"
    path = Path(file)
    if path.is_relative_to(_ROOT) and ".venv" not in path.parts:
        return str(path.relative_to(_ROOT))
    _, _, library = file.partition("site-packages/")
    return library.partition("/")[0] or "standard library"


if __name__ == "__main__":
    told = asyncio.run(_profile(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
